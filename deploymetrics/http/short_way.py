"""The short way of a read: one document or the list, by GET or HEAD, with a credential that is remembered.

It leads past Flask's routing and contexts, which take most of such a request's time. It decides nothing by itself: it
calls the functions that Flask's way calls too. What it does not know goes Flask's way from the start: another method,
path or header, arguments, a credential that is to be checked, a hook in Flask, and whatever ends in an error.
"""

import time
from collections.abc import Callable
from typing import Any

from flask import Flask

from ..accounts.authentication import Credentials
from ..accounts.records import ACCOUNTS, ACCOUNTS_KEY
from ..documents.service import DOCUMENTS, Service
from .access import check_account, roles_of
from .request_ids import ROUTE
from .requests import Request
from .responses import Response, document_response, list_response

_LIST = "/api/deploymentmetrics"
_ONE = f"{_LIST}/"
_ROUTE_OF_ONE = f"{_LIST}/<tag>"
#: Request headers that change nothing, or that the functions called here see to.
_KNOWN = frozenset(
    "HTTP_" + name
    for name in (
        "ACCEPT ACCEPT_CHARSET ACCEPT_ENCODING ACCEPT_LANGUAGE AUTHORIZATION CACHE_CONTROL CONNECTION HOST IF_MATCH"
        " IF_MODIFIED_SINCE IF_NONE_MATCH IF_UNMODIFIED_SINCE PRAGMA TRACEPARENT USER_AGENT VIA X_FORWARDED_FOR"
        " X_FORWARDED_HOST X_FORWARDED_PORT X_FORWARDED_PREFIX X_FORWARDED_PROTO X_REAL_IP X_REQUEST_ID"
    ).split()
)
#: Hooks that have nothing to say about such a request, or whose work is done here; any other one turns this way off.
_HOOKS = {"check_access", "check_path", "check_output", "harden", "_update_remember_cookie"}
#: In a request, asks for the short way or no answer: a server with one thread for such reads has others for the rest.
ONLY_SHORT_WAY = "deploymetrics.only_short_way"


#: Called with the method, the route, the status and the seconds of each request.
Count = Callable[[str, str, int, float], None]


class Reads:
    """The short way of an application whose views are registered; ``count`` is called for each request on it."""

    def __init__(self, app: Flask, documents: Service, credentials: Credentials, count: Count) -> None:
        self.documents = documents
        self.credentials = credentials
        self.count = count
        self.list_roles = roles_of("api.list_documents", app)
        self.one_roles = roles_of("api.show_document", app)
        kinds: tuple[Any, ...] = (app.before_request_funcs, app.after_request_funcs, app.teardown_request_funcs)
        hooks = [hook.__name__ for kind in kinds for scope in (None, "api") for hook in kind.get(scope, ())]
        self.is_open = _HOOKS.issuperset(hooks)

    def answer(self, environ: dict[str, Any]) -> Response | None:
        """Return the answer to a request, or None where it goes Flask's way."""
        path = environ.get("PATH_INFO", "")
        if not self.is_open or not path.startswith(_LIST) or not _is_plain(environ, path):
            return None
        began = time.perf_counter()
        try:
            answer = self._answer(path, Request(environ))
        except Exception:  # Flask's way meets it again, and has a handler for it
            return None
        if answer is not None:
            route = _LIST if path == _LIST else _ROUTE_OF_ONE
            environ[ROUTE] = route
            self.count(environ["REQUEST_METHOD"], route, answer.status, time.perf_counter() - began)
        return answer

    def _answer(self, path: str, request: Request) -> Response | None:
        # Where each read is a way to a database, this makes one of two.
        key = None if path == _LIST else path.removeprefix(_ONE)
        with self.documents.store.reading((ACCOUNTS, ACCOUNTS_KEY), (DOCUMENTS, key)):
            return self._answer_of_account(path, request)

    def _answer_of_account(self, path: str, request: Request) -> Response | None:
        account = self.credentials.remembered(request.environ["HTTP_AUTHORIZATION"])
        if account is None:
            return None
        if path == _LIST:
            check_account(account, self.list_roles, request, None)
            return list_response(self.documents.list(), request=request)
        tag = path.removeprefix(_ONE)
        if not tag or "/" in tag:
            return None
        check_account(account, self.one_roles, request, tag)
        item = self.documents.get(tag)
        return document_response(item, lambda: self.documents.changed_before(item), request)


def _is_plain(environ: dict[str, Any], path: str) -> bool:
    """Return True for a read with a credential that nothing but the functions called here has to look at."""
    for name in environ:
        if name[:5] == "HTTP_" and name not in _KNOWN:
            return False
    return (
        environ["REQUEST_METHOD"] in ("GET", "HEAD")
        and not environ.get("QUERY_STRING")
        and path.isascii()
        and "%" not in (environ.get("RAW_URI") or environ.get("REQUEST_URI") or "")
        and "HTTP_AUTHORIZATION" in environ
    )
