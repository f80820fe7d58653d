"""From a request to the account that asks, and whether it may: flask-login's loaders, ``@require_role``, and the
same-site check of requests whose only credential is the login cookie.

A view says who may call it one line above itself::

    @bp.get("/api/deploymentmetrics/<tag>")
    @require_role(Role.MASTER_OPERATOR)
    def show(tag): ...

The rule is applied before any view, to routes that say nothing as well: those are for master operators only.
"""

from flask import current_app, request
from flask_login import LoginManager, current_user
from werkzeug.exceptions import MethodNotAllowed

from ..accounts.service import Role
from ..errors import Forbidden, Unauthorized
from .urls import in_api

ANYONE = frozenset()
MASTER_OPERATORS = frozenset({Role.MASTER_OPERATOR})
MASTER_OPERATOR_NEEDED = "Action requires master operator privileges."
_SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}


class HeaderFirstLoginManager(LoginManager):
    """flask-login asks the cookie first and skips the header when any cookie is there; here a header always wins."""

    def _load_user(self):
        if has_header_credential(request.environ):
            self._update_request_context_with_user(self._request_callback(request._get_current_object()))
        else:
            super()._load_user()

    def _update_remember_cookie(self, response):
        """There is no remember-me cookie here, and looking for it would make every answer vary by Cookie."""
        return response


def has_header_credential(environ):
    """Whether the request carries a credential in a header, right or wrong."""
    return "HTTP_AUTHORIZATION" in environ or "HTTP_SESSIONTOKEN" in environ


def require_role(*roles):
    """Mark a view as open to accounts with one of the roles."""

    def mark(view):
        view.roles = frozenset(roles)
        return view

    return mark


def public(view):
    """Mark a view as open to everyone, with an account or without."""
    view.roles = ANYONE
    return view


def roles_of(endpoint):
    """The roles that may call an endpoint: ANYONE, or a set; master operators where it does not say."""
    return getattr(current_app.view_functions[endpoint], "roles", MASTER_OPERATORS)


def init_app(app, credentials, sessions):
    """Have every request of ``app`` checked."""
    manager = HeaderFirstLoginManager()
    manager.init_app(app, add_context_processor=False)
    # The proxy, asked only where a template names it: the page about a broken credential must not meet it again.
    app.jinja_env.globals["current_user"] = current_user
    # The session in the cookie is checked against the storage, which is stronger than comparing addresses.
    manager.session_protection = None
    manager.user_loader(sessions.resume)

    @manager.request_loader
    def from_headers(req):
        environ = req.environ
        return credentials.account_of(
            environ.get("HTTP_AUTHORIZATION"), environ.get("HTTP_SESSIONTOKEN"), req.remote_addr or ""
        )

    app.before_request(check_access)


def check_access():
    """Raise Unauthorized or Forbidden unless the account that asks may call what the URL names."""
    req = request._get_current_object()  # the proxy costs a microsecond at each use
    roles = _roles_of_request(req)
    if roles is ANYONE:
        return
    account = current_user._get_current_object()
    if not account.is_authenticated:
        raise Unauthorized()
    req.environ["REMOTE_USER"] = account.name  # for the access log
    if account.role not in roles:
        raise Forbidden(_needed(roles), code="role-required")
    if not has_header_credential(req.environ):
        check_same_site()


def _roles_of_request(req):
    """Who may go on to the view, or to the 404 or 405 where the URL or the method has none."""
    error = req.routing_exception
    if error is None and req.method != "OPTIONS":
        return roles_of(req.url_rule.endpoint)
    if not in_api():
        return ANYONE
    if error is None or isinstance(error, MethodNotAllowed):
        return _roles_of_any_method()
    return MASTER_OPERATORS


def _roles_of_any_method():
    from flask.globals import request_ctx

    adapter = request_ctx.url_adapter
    roles = [roles_of(adapter.match(method=method)[0]) for method in adapter.allowed_methods() if method != "OPTIONS"]
    return ANYONE if ANYONE in roles else frozenset().union(*roles)


def _needed(roles):
    if roles == MASTER_OPERATORS:
        return MASTER_OPERATOR_NEEDED
    return f"Action requires one of these roles: {', '.join(sorted(roles))}."


def check_same_site():
    """Raise Forbidden where a request that rests on the cookie alone comes from another site.

    A page of our own is same-origin; ``none`` is a person who typed the address. Old browsers, which do not say
    Sec-Fetch-Site, send Origin with a write; what sends neither is no browser, and had to be given the cookie.
    """
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    if site is not None:
        foreign = site not in ("same-origin", "none")
    else:
        foreign = origin is not None and origin.lower() != f"{request.scheme}://{request.host}".lower()
    if foreign and (request.method not in _SAFE_METHODS or (in_api() and site == "cross-site")):
        raise Forbidden("A request from another site cannot rest on the login cookie.", code="cross-site")
