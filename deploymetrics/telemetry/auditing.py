"""What of a request the audit log notes: changes, logins, and whoever was refused."""

from collections.abc import Mapping
from typing import Any

import flask
from werkzeug.exceptions import HTTPException

from ..errors import DeploymetricsError
from ..http.access import has_header_credential
from ..http.request_ids import CODE, request_id_of
from ..http.requests import SAFE_METHODS
from .audit import AuditLog

_REFUSED = frozenset({401, 403, 429})
_LOGINS = frozenset({"api.login", "web.log_in"})
#: What of an address or a form says what is meant; nothing else of either is noted.
_OF_ADDRESS = ("tag", "version", "name", "id")
_OF_FORM = ("account", "tag", "token")
#: They make what their form or arguments name.
_MAKING = frozenset({"web.add_account", "web.add_token", "api.add_token"})


def is_failed_login(request: flask.Request, status: int) -> bool:
    """Return True for a credential that was wrong, or was sent too often."""
    return status in (401, 429) and (request.endpoint == "web.log_in" or has_header_credential(request.environ))


def note(log: AuditLog, request: flask.Request, status: int, accounts: Any) -> None:
    """Note a request that was answered, if it is of a kind that is noted."""
    environ, endpoint = request.environ, request.endpoint or ""
    who: str = environ.get("REMOTE_USER", "")
    is_change = request.method not in SAFE_METHODS and bool(who)
    is_refused = status in _REFUSED and (bool(who) or has_header_credential(request.environ))
    if not (is_change or is_refused or endpoint in _LOGINS or endpoint == "web.log_out"):
        return
    log.note(
        who or _named(request, accounts),
        endpoint.rpartition(".")[2] or request.method,
        what=_what(request, status) if endpoint else request.path[:200],
        status=status,
        code=environ.get(CODE, ""),
        address=request.remote_addr or "",
        request=request_id_of(environ),
    )


def _named(request: flask.Request, accounts: Any) -> str:
    """Return the account that a wrong credential names, if there is such an account: else it may be a password."""
    if request.endpoint == "web.log_in":
        name = _form(request).get("name", "")
    else:
        try:
            name = (request.authorization and request.authorization.username) or ""
        except ValueError:
            name = ""
    try:
        return name if name and accounts.find(name) else ""
    except DeploymetricsError:
        return ""


def _form(request: flask.Request) -> Mapping[str, str]:
    """Return the form; an empty one where it was refused, which is raised again at each look."""
    try:
        return request.form
    except (DeploymetricsError, HTTPException):
        return {}


def _what(request: flask.Request, status: int) -> str:
    found = [str((request.view_args or {}).get(name, "")) for name in _OF_ADDRESS]
    if request.blueprint == "web" and status not in _REFUSED:
        found += [_form(request).get(name, "")[:200] for name in _OF_FORM]
    if request.endpoint in _MAKING and status not in _REFUSED:
        said = _form(request) if request.blueprint == "web" else request.args
        found.append(said.get("name", "")[:200])
    return " ".join(filter(None, found))
