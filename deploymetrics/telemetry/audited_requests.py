"""Which requests the audit log notes (changes, logins, refusals), and what it notes of them."""

from collections.abc import Callable, Mapping
from typing import Any

import flask
from werkzeug.exceptions import HTTPException

from ..accounts.service import Accounts
from ..errors import DeploymetricsError
from ..http.access import has_header_credential, mark_view
from ..http.environ_keys import CODE
from ..http.request_ids import request_id_of
from ..http.requests import SAFE_METHODS
from .audit_log import AuditLog

AnyView = Callable[..., Any] | None

_REFUSED = frozenset({401, 403, 429})
#: What of an address or a form says what is meant; nothing else of either is noted.
_OF_ADDRESS = ("tag", "version", "name", "id")
_OF_FORM = ("account", "tag", "token")


#: Marks a view whose requests are all noted: a login or a logout.
always_noted = mark_view(is_always_noted=True)
#: Marks the view of the login form: all its requests are noted, with the account that ``name`` says.
noted_login = mark_view(is_always_noted=True, is_login_form=True)
#: Marks a view that makes what ``name`` in its form, or in the arguments of the API, says.
noted_by_name = mark_view(is_noted_by_name=True)


def is_failed_login(request: flask.Request, view: AnyView, status: int) -> bool:
    """Return True if a request failed because its credential was wrong, or was sent too often."""
    return status in (401, 429) and (hasattr(view, "is_login_form") or has_header_credential(request.environ))


def note_request(log: AuditLog, request: flask.Request, view: AnyView, status: int, accounts: Accounts) -> None:
    """Note a request if it is a change, a login or was refused; ``view`` is None where no route has its address."""
    environ = request.environ
    who: str = environ.get("REMOTE_USER", "")
    is_change = request.method not in SAFE_METHODS and bool(who)
    was_refused = status in _REFUSED and (bool(who) or has_header_credential(environ))
    if not (is_change or was_refused or hasattr(view, "is_always_noted")):
        return
    log.note(
        who or _claimed_account(request, view, accounts),
        (request.endpoint or "").rpartition(".")[2] or request.method,
        what=_object_of(request, view, status) if view else request.path[:200],
        status=status,
        code=environ.get(CODE, ""),
        # For request.remote_addr werkzeug's part of the request would be made.
        address=environ.get("REMOTE_ADDR") or "",
        request=request_id_of(environ),
    )


def _claimed_account(request: flask.Request, view: AnyView, accounts: Accounts) -> str:
    """Return the name in a wrong credential if an account has it; else it may be a password typed as a name."""
    try:
        if hasattr(view, "is_login_form"):
            name = _form(request).get("name")
        else:
            name = request.authorization.username if request.authorization else None
        return name if name and accounts.find(name) else ""
    except (ValueError, DeploymetricsError):
        return ""


def _form(request: flask.Request) -> Mapping[str, str]:
    """Return the form of a request; an empty one if it was refused, since each look at it raises again."""
    try:
        return request.form
    except (DeploymetricsError, HTTPException):
        return {}


def _object_of(request: flask.Request, view: AnyView, status: int) -> str:
    words = [str((request.view_args or {}).get(name, "")) for name in _OF_ADDRESS]
    if status not in _REFUSED:
        is_page = request.blueprint == "web"
        if is_page:
            words += [_form(request).get(name, "")[:200] for name in _OF_FORM]
        if hasattr(view, "is_noted_by_name"):
            words.append((_form(request) if is_page else request.args).get("name", "")[:200])
    return " ".join(filter(None, words))
