"""Access control: which account makes a request (flask-login), and whether its role may (``@require_role``).

A view says who may call it one line above itself::

    @bp.get("/api/deploymentmetrics/<tag>")
    @require_role(Role.MASTER_OPERATOR)
    def show(tag): ...

The rule is applied before any view, to routes that say nothing as well: those are for master operators only.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import flask
from flask import current_app
from flask.globals import request_ctx
from flask_login import LoginManager, current_user
from werkzeug.exceptions import MethodNotAllowed

from ..accounts.authentication import Authenticator
from ..accounts.permissions import check_limits
from ..accounts.records import Account, Role
from ..accounts.sessions import Sessions
from ..errors import REALM, Forbidden, ProofNeededError, ReadOnlyError, Unauthorized
from .cross_site import check_same_site, has_ambient_credential
from .requests import SAFE_METHODS, Request, current_request
from .sign_on import SignOn
from .urls import in_api

Roles = frozenset[Role]
View = TypeVar("View", bound=Callable[..., Any])

ANYONE: Roles = frozenset()
MASTER_OPERATORS = frozenset({Role.MASTER_OPERATOR})
MASTER_OPERATOR_NEEDED = "Action requires master operator privileges."


class HeaderFirstLoginManager(LoginManager):  # type: ignore[misc]  # flask_login has no types
    """Loads the account of a request: a header goes before what a proxy says of the client, and that before the cookie.

    flask-login itself would take the cookie first, and not look at the header where there is one.
    """

    def __init__(self, authenticator: Authenticator, sessions: Sessions, sign_on: SignOn) -> None:
        super().__init__()
        self.authenticator = authenticator
        self.sign_on = sign_on
        self.user_loader(sessions.resume)
        # The session in the cookie is checked against the storage, which is stronger than comparing addresses.
        self.session_protection = None

    def _load_user(self) -> None:
        request = current_request()
        if has_header_credential(request.environ):
            self._update_request_context_with_user(self._account_in_headers(request))
        elif account := self.sign_on.account_of(request.environ):
            self._update_request_context_with_user(account)
        else:
            super()._load_user()

    def _account_in_headers(self, request: Request) -> Account | None:
        authorization = request.environ.get("HTTP_AUTHORIZATION")
        token = request.environ.get("HTTP_SESSIONTOKEN")
        if token == "":
            raise Unauthorized("The SessionToken header is empty; /api/login gives a token for it.")
        try:
            return self.authenticator.account_of(authorization, token, request.remote_addr or "")
        except Unauthorized as error:
            if (authorization or "").lower().startswith("bearer"):
                error.headers["WWW-Authenticate"] += f', Bearer realm="{REALM}", error="invalid_token"'
            raise


def has_header_credential(environ: dict[str, Any]) -> bool:
    """Return True if the request carries a credential in a header, right or wrong."""
    return "HTTP_AUTHORIZATION" in environ or "HTTP_SESSIONTOKEN" in environ


def is_authorization_only(environ: dict[str, Any]) -> bool:
    """Return True if the header Authorization is there, and no other credential beside it."""
    return "HTTP_AUTHORIZATION" in environ and environ.keys().isdisjoint(("HTTP_SESSIONTOKEN", "HTTP_COOKIE"))


def mark_view(**attributes: Any) -> Callable[[View], View]:
    """Return a decorator that sets attributes of a view, which say something about it to other modules."""

    def mark(view: View) -> View:
        view.__dict__.update(attributes)
        return view

    return mark


def require_role(*roles: Role) -> Callable[[View], View]:
    """Mark a view as open to accounts with one of the roles."""
    return mark_view(roles=frozenset(roles))


#: Marks a view as open only where the account's password was checked not long ago (``PROOF_SECONDS``).
needs_proof = mark_view(needs_proof=True)
#: Marks a view as open to everyone, with an account or without.
public = mark_view(roles=ANYONE)


def on_fast_path(operation: Callable[..., Any]) -> Callable[..., Any]:
    """Make a view, for Flask and the fast path, of a function of request, account and the arguments in the path."""

    @wraps(operation)
    def view(**arguments: str) -> Any:
        return operation(current_request(), current_user._get_current_object(), **arguments)

    view.fast_path = operation  # type: ignore[attr-defined]
    return view


def roles_of(endpoint: str, app: flask.Flask | None = None) -> Roles:
    """Return the roles that may call an endpoint: ANYONE or a set, MASTER_OPERATORS by default."""
    roles: Roles = getattr((app or current_app).view_functions[endpoint], "roles", MASTER_OPERATORS)
    return roles


def init_app(app: flask.Flask, authenticator: Authenticator, sessions: Sessions, sign_on: SignOn) -> None:
    """Check access before every request of ``app``."""
    # Not its init_app: that looks for a remember-me cookie after each request, so that every answer varies by Cookie.
    app.login_manager = HeaderFirstLoginManager(authenticator, sessions, sign_on)  # type: ignore[attr-defined]
    # The proxy, asked only where a template names it: the page about a broken credential must not meet it again.
    app.jinja_env.globals["current_user"] = current_user
    app.before_request(check_access)


def check_access() -> None:
    """Raise Unauthorized or Forbidden unless the current request's account may make it."""
    request = current_request()
    roles = _roles_for(request)
    if roles is ANYONE:
        return
    account = current_user._get_current_object()  # the proxy costs a microsecond at each use
    if not account.is_authenticated:
        raise Unauthorized()
    check_account(account, roles, request)


def check_account(account: Account, roles: Roles, request: Request) -> None:
    """Raise Forbidden, ReadOnlyError or ProofNeededError unless the account may make a request.

    ``roles`` are those that may make it at all; the credential may allow less. The account is noted for the access log.
    """
    request.environ["REMOTE_USER"] = account.name
    is_read = request.method in SAFE_METHODS
    if account.role not in roles:
        needed = f"Action requires one of these roles: {', '.join(sorted(roles))}."
        raise Forbidden(MASTER_OPERATOR_NEEDED if roles == MASTER_OPERATORS else needed, code="role-required")
    if account.token is not None or account.record.tags:
        check_limits(account, roles, is_read=is_read, tag=(request.view_args or {}).get("tag"))
    if has_ambient_credential(request.environ):
        check_same_site(request)
    if is_read:
        return
    if request.app.config["READ_ONLY"]:
        raise ReadOnlyError()
    if not account.is_proved and hasattr(request.app.view_functions.get(request.endpoint or ""), "needs_proof"):
        raise ProofNeededError()


def _roles_for(request: flask.Request) -> Roles:
    """Return the roles that may get the view, or else the 404 or 405, of a request."""
    error = request.routing_exception
    if error is None and request.method != "OPTIONS":
        return roles_of(request.url_rule.endpoint) if request.url_rule else MASTER_OPERATORS
    if not in_api():
        return ANYONE
    if error is not None and not isinstance(error, MethodNotAllowed):
        return MASTER_OPERATORS
    adapter = request_ctx.url_adapter
    assert adapter is not None
    roles = [roles_of(adapter.match(method=method)[0]) for method in adapter.allowed_methods() if method != "OPTIONS"]
    return ANYONE if ANYONE in roles else frozenset().union(*roles)
