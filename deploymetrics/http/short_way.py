"""The short way of a request for one document or the list whose credential is remembered.

It leads past Flask's routing and contexts, which take most of such a request's time. It decides nothing by itself: it
calls the functions that Flask's way calls too, which a view marked with ``both_ways`` is one of. What it does not know
goes Flask's way from the start: another path, arguments, a credential that is to be checked, a hook in Flask.
What begins here ends here, errors as well, since a body is read once and a write is tried once.
"""

import time
from collections.abc import Callable
from functools import partial, wraps
from typing import Any, NamedTuple

from flask import Flask
from flask_login import current_user
from werkzeug.routing import Rule

from ..accounts.authentication import Authenticator
from ..accounts.records import ACCOUNTS, ACCOUNTS_KEY, Account
from ..documents.service import DOCUMENTS, Documents
from ..errors import StorageError
from .access import Roles, check_access, check_account, roles_of
from .error_handlers import problem_of
from .request_ids import CODE
from .requests import SAFE_METHODS, Request, check_output, current_request
from .responses import Response, problem_response
from .security_headers import harden
from .urls import check_path

#: Headers with credentials beside the one that is looked at here.
_CREDENTIALS = ("HTTP_COOKIE", "HTTP_SESSIONTOKEN")
#: Hooks that have nothing to say about such a request, or whose work is done here; any other one turns this way off.
_HOOKS = {check_access, check_output, check_path, harden}
_TAG = "<tag>"
#: In a request, asks for a read the short way that waits for no database, or no answer: a server that has one thread
#: for these has others for the rest.
ONLY_SHORT_WAY = "deploymetrics.only_short_way"
#: In a request, when all of it had come, by time.perf_counter(); servers say so where requests wait for a thread.
CAME = "deploymetrics.came"

Operation = Callable[..., Response]


def both_ways(operation: Operation) -> Callable[..., Response]:
    """Make a view of a function that gets the request, the account that asks and what is in the path."""

    @wraps(operation)
    def view(**arguments: str) -> Response:
        return operation(current_request(), current_user._get_current_object(), **arguments)

    view.short_way = operation  # type: ignore[attr-defined]
    return view


class _Route(NamedTuple):
    rule: Rule
    roles: Roles
    operation: Operation
    is_read: bool


class ShortWay:
    """The short way of an application whose views are registered.

    ``finish`` is called with a request that was answered here, its status, and when it began.
    """

    def __init__(
        self,
        app: Flask,
        documents: Documents,
        credentials: Authenticator,
        finish: Callable[[Request, int, float], None],
    ) -> None:
        self.app = app
        self.documents = documents
        self.credentials = credentials
        self.finish = finish
        kinds: tuple[Any, ...] = (app.before_request_funcs, app.after_request_funcs, app.teardown_request_funcs)
        hooks = [hook for kind in kinds for scope in (None, "api") for hook in kind.get(scope, ())]
        self.is_open = _HOOKS.issuperset(hooks)
        self._routes = dict(self._found())

    def _found(self) -> Any:
        """Yield the routes of this way by method and what stands before the tag."""
        for rule in self.app.url_map.iter_rules():
            operation = getattr(self.app.view_functions[rule.endpoint], "short_way", None)
            if operation is not None:
                for method in (rule.methods or set()) - {"OPTIONS"}:
                    route = _Route(rule, roles_of(rule.endpoint, self.app), operation, method in SAFE_METHODS)
                    yield (method, rule.rule.removesuffix(_TAG)), route

    def answer(self, environ: dict[str, Any]) -> Response | None:
        """Return the answer to a request, or None where it goes Flask's way."""
        method, path = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "")
        folder, slash, tag = path.rpartition("/")
        route, arguments = self._routes.get((method, folder + slash)), {"tag": tag}
        if route is None:
            route, arguments = self._routes.get((method, path)), {}
        if route is None or path.endswith("/") or not (self.is_open and _is_plain(environ, path)):
            return None
        if ONLY_SHORT_WAY in environ and (self.documents.store.reads_wait or not route.is_read):
            return None
        request = Request(environ)
        request.app, request.url_rule, request.view_args = self.app, route.rule, arguments
        began, status = time.perf_counter(), 500
        try:
            response = self._response(request, route)
            status = response.status if response else 0
            return response
        finally:
            if status:
                self.finish(request, status, began)

    def _response(self, request: Request, route: _Route) -> Response | None:
        answer = partial(self._answer, request, route)
        if not route.is_read:
            return answer()
        # Where each read is a way to a database, this makes one of two.
        wanted = (ACCOUNTS, ACCOUNTS_KEY), (DOCUMENTS, (request.view_args or {}).get("tag"))
        try:
            return self.documents.store.reading(answer, *wanted, came=request.environ.get(CAME))
        except StorageError as error:  # which Flask's way would only wait for once more
            return problem_response(problem_of(error, request), request)

    def _answer(self, request: Request, route: _Route) -> Response | None:
        for name in ("REMOTE_USER", CODE):  # what an answer noted that turned out to be outdated
            request.environ.pop(name, None)
        try:
            account = self._account_of(request)
            if account is None:
                return None
            check_account(account, route.roles, request)
            return route.operation(request, account, **request.view_args or {})
        except Exception as error:
            return problem_response(problem_of(error, request), request)

    def _account_of(self, request: Request) -> Account | None:
        try:
            return self.credentials.remembered(request.environ["HTTP_AUTHORIZATION"])
        except StorageError:
            raise
        except Exception:  # Flask's way meets it again, and has a handler for it
            return None


def _is_plain(environ: dict[str, Any], path: str) -> bool:
    """Return True for a request with one credential and no arguments that nothing but the functions here looks at."""
    return (
        "HTTP_AUTHORIZATION" in environ
        and not environ.get("QUERY_STRING")
        and path.isascii()
        and "%" not in (environ.get("RAW_URI") or environ.get("REQUEST_URI") or "")
        and environ.keys().isdisjoint(_CREDENTIALS)
    )
