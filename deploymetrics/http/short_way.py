"""The short way of a request for one document or the list whose credential is remembered.

It leads past Flask's routing and contexts, which take most of such a request's time. It decides nothing by itself: it
calls the functions that Flask's way calls too, which a view marked with ``both_ways`` is one of. What it does not know
goes Flask's way from the start: another path, arguments, a credential that is to be checked, a hook in Flask.
What begins here ends here, errors as well, since a body is read once and a write is tried once.
"""

from collections.abc import Callable
from functools import partial, wraps
from typing import Any

from flask import Flask
from flask_login import current_user

from ..accounts.authentication import Authenticator
from ..accounts.records import ACCOUNTS, ACCOUNTS_KEY
from ..documents.service import DOCUMENTS, Documents
from ..errors import StorageError
from .access import check_access, check_account, roles_of
from .error_handlers import problem_of
from .requests import SAFE_METHODS, Request, check_output, current_request
from .responses import Response, problem_response
from .security_headers import harden
from .urls import check_path

#: Headers with credentials beside the one that is looked at here.
_CREDENTIALS = ("HTTP_COOKIE", "HTTP_SESSIONTOKEN")
#: Hooks that have nothing to say about such a request, or whose work is done here; any other one turns this way off.
_HOOKS = {check_access, check_output, check_path, harden}
_TAG = "<tag>"
#: In a request: answer only if it is a read on this way that waits for no database. granian's thread asks so, and gives
#: the rest to others.
ONLY_SHORT_WAY = "deploymetrics.only_short_way"
#: In a request, when all of it had come, by time.perf_counter(); servers say so where requests wait for a thread.
CAME = "deploymetrics.came"

Operation = Callable[..., Response]
Answer = Callable[[Request], Response | None]


def both_ways(operation: Operation) -> Callable[..., Response]:
    """Make a view of a function that gets the request, the account that asks and what is in the path."""

    @wraps(operation)
    def view(**arguments: str) -> Response:
        return operation(current_request(), current_user._get_current_object(), **arguments)

    view.short_way = operation  # type: ignore[attr-defined]
    return view


class ShortWay:
    """The short way of an application whose views are registered.

    ``answer_and_note`` is called with a request and what answers it, and takes note of both.
    """

    def __init__(
        self,
        app: Flask,
        documents: Documents,
        credentials: Authenticator,
        answer_and_note: Callable[[Request, Answer], Response | None],
    ) -> None:
        self.app = app
        self.store = documents.store
        self.credentials = credentials
        self.answer_and_note = answer_and_note
        kinds: list[Any] = [app.before_request_funcs, app.after_request_funcs, app.teardown_request_funcs]
        hooks = [hook for kind in kinds for scope in (None, "api") for hook in kind.get(scope, ())]
        self.is_open = _HOOKS.issuperset(hooks)
        # By method, and what stands before the tag in the path.
        self._rules = {
            (method, rule.rule.removesuffix(_TAG)): rule
            for rule in app.url_map.iter_rules()
            if hasattr(app.view_functions[rule.endpoint], "short_way")
            for method in (rule.methods or set()) - {"OPTIONS"}
        }

    def answer(self, environ: dict[str, Any]) -> Response | None:
        """Return the answer to a request, or None where it goes Flask's way."""
        method, path = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "")
        folder, slash, tag = path.rpartition("/")
        rule, arguments = self._rules.get((method, folder + slash)), {"tag": tag}
        if rule is None:
            rule, arguments = self._rules.get((method, path)), {}
        if rule is None or path.endswith("/") or not (self.is_open and _is_plain(environ, path)):
            return None
        waits = method not in SAFE_METHODS or self.store.reads_wait
        if waits and ONLY_SHORT_WAY in environ:
            return None
        request = Request(environ)
        request.app, request.url_rule, request.view_args = self.app, rule, arguments
        answer = self._answer_from_database if waits and method in SAFE_METHODS else self._answer
        return self.answer_and_note(request, answer)

    def _answer_from_database(self, request: Request) -> Response | None:
        """Answer by two reads, each of which is a way to the database, at once."""
        wanted = (ACCOUNTS, ACCOUNTS_KEY), (DOCUMENTS, (request.view_args or {}).get("tag"))
        try:
            return self.store.reading(partial(self._answer, request), *wanted, came=request.environ.get(CAME))
        except StorageError as error:  # which Flask's way would only wait for once more
            return problem_response(problem_of(error, request), request)

    def _answer(self, request: Request) -> Response | None:
        request.environ.pop("REMOTE_USER", None)  # of an answer that turned out to be outdated
        try:
            account = self.credentials.remembered(request.environ["HTTP_AUTHORIZATION"])
            if account is None:
                return None
            check_account(account, roles_of(request.endpoint or "", self.app), request)
            view: Any = self.app.view_functions[request.endpoint or ""]
            response: Response = view.short_way(request, account, **request.view_args or {})
            return response
        except Exception as error:
            return problem_response(problem_of(error, request), request)


def _is_plain(environ: dict[str, Any], path: str) -> bool:
    """Return True for a request with one credential and no arguments that nothing but the functions here looks at."""
    return (
        "HTTP_AUTHORIZATION" in environ
        and not environ.get("QUERY_STRING")
        and path.isascii()
        and "%" not in (environ.get("RAW_URI") or environ.get("REQUEST_URI") or "")
        and environ.keys().isdisjoint(_CREDENTIALS)
    )
