"""The fast path: a request for one document or the list whose credential is remembered, answered without Flask.

Flask's routing and contexts take most of such a request's time. No rule is here: the functions that Flask calls are
called here too, among them the views marked with ``on_fast_path``. Flask gets all other requests from the start. What
begins here ends here, errors as well, since a body is read once and a write is tried once.
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
from .security_headers import add_security_headers
from .urls import answer_for_whole_server, check_path

#: Headers with credentials beside the one that is looked at here.
_CREDENTIALS = ("HTTP_COOKIE", "HTTP_SESSIONTOKEN")
#: Hooks that have nothing to do for such a request, or whose work is done here; any other one turns the fast path off.
_HOOKS = {check_access, check_output, check_path, answer_for_whole_server, add_security_headers}
_TAG = "<tag>"
#: In the environ: answer only a read on the fast path that waits for no database, as granian's one thread asks for.
ONLY_FAST_PATH = "deploymetrics.only_fast_path"
#: In the environ: when all of the request had come, by time.perf_counter(), where requests wait for a thread.
RECEIVED_AT = "deploymetrics.received_at"

Operation = Callable[..., Response]
Answer = Callable[[Request], Response | None]


def on_fast_path(operation: Operation) -> Callable[..., Response]:
    """Make a view for Flask and the fast path of a function of request, account and the arguments in the path."""

    @wraps(operation)
    def view(**arguments: str) -> Response:
        return operation(current_request(), current_user._get_current_object(), **arguments)

    view.fast_path = operation  # type: ignore[attr-defined]
    return view


class FastPath:
    """Answers requests past Flask, for an application whose views are registered.

    ``answer_and_note`` is called with a request and the function that answers it; it counts and logs the request.
    """

    def __init__(
        self,
        app: Flask,
        documents: Documents,
        authenticator: Authenticator,
        answer_and_note: Callable[[Request, Answer], Response | None],
    ) -> None:
        self.app = app
        self.store = documents.store
        self.authenticator = authenticator
        self.answer_and_note = answer_and_note
        tables: list[Any] = [app.before_request_funcs, app.after_request_funcs, app.teardown_request_funcs]
        hooks = [hook for table in tables for scope in (None, "api") for hook in table.get(scope, ())]
        self.is_open = _HOOKS.issuperset(hooks)
        # By method, and what stands before the tag in the path.
        self._rules = {
            (method, rule.rule.removesuffix(_TAG)): rule
            for rule in app.url_map.iter_rules()
            if hasattr(app.view_functions[rule.endpoint], "fast_path")
            for method in (rule.methods or set()) - {"OPTIONS"}
        }

    def answer(self, environ: dict[str, Any]) -> Response | None:
        """Return the answer to a request, or None if Flask is to answer it."""
        method, path = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "")
        folder, slash, tag = path.rpartition("/")
        rule, arguments = self._rules.get((method, folder + slash)), {"tag": tag}
        if rule is None:
            rule, arguments = self._rules.get((method, path)), {}
        if rule is None or path.endswith("/") or not (self.is_open and _is_plain(environ, path)):
            return None
        waits = method not in SAFE_METHODS or self.store.reads_wait
        if waits and ONLY_FAST_PATH in environ:
            return None
        request = Request(environ)
        request.app, request.url_rule, request.view_args = self.app, rule, arguments
        answer = self._answer_from_database if waits and method in SAFE_METHODS else self._answer
        return self.answer_and_note(request, answer)

    def _answer_from_database(self, request: Request) -> Response | None:
        """Answer a read, fetching account and document from the database with one question."""
        wanted = (ACCOUNTS, ACCOUNTS_KEY), (DOCUMENTS, (request.view_args or {}).get("tag"))
        try:
            received_at = request.environ.get(RECEIVED_AT)
            return self.store.read_together(partial(self._answer, request), *wanted, not_before=received_at)
        except StorageError as error:  # for which Flask would only wait once more
            return problem_response(problem_of(error, request), request)

    def _answer(self, request: Request) -> Response | None:
        """Answer by the view of the request's rule; None if the credential has to be checked."""
        request.environ.pop("REMOTE_USER", None)  # of an answer that turned out to be outdated
        try:
            account = self.authenticator.find_remembered(request.environ["HTTP_AUTHORIZATION"])
            if account is None:
                return None
            check_account(account, roles_of(request.endpoint or "", self.app), request)
            view: Any = self.app.view_functions[request.endpoint or ""]
            response: Response = view.fast_path(request, account, **request.view_args or {})
            return response
        except Exception as error:
            return problem_response(problem_of(error, request), request)


def _is_plain(environ: dict[str, Any], path: str) -> bool:
    """Return True for a request with an Authorization header as its one credential, no arguments, and a plain path."""
    return (
        "HTTP_AUTHORIZATION" in environ
        and not environ.get("QUERY_STRING")
        and path.isascii()
        and "%" not in (environ.get("RAW_URI") or environ.get("REQUEST_URI") or "")
        and environ.keys().isdisjoint(_CREDENTIALS)
    )
