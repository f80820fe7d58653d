"""The fast path: a request for one document or the list whose credential is remembered, answered without Flask.

Flask's routing and contexts take most of such a request's time. No rule is here: the functions that Flask calls are
called here too, among them the views marked with ``on_fast_path``. Flask gets every other request as it came, with
its body unread and nothing written. What access control or a view raises is answered here, as Flask would.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from flask import Flask

from ..accounts.authentication import Authenticator
from ..accounts.records import ACCOUNTS, ACCOUNTS_KEY
from ..documents.service import DOCUMENTS, Documents
from ..errors import StorageError
from .access import Roles, check_access, check_account, is_authorization_only, roles_of
from .environ_keys import ONLY_FAST_PATH, RECEIVED_AT
from .error_handlers import problem_of
from .requests import SAFE_METHODS, Request, check_output
from .responses import Response, problem_response
from .security_headers import add_security_headers
from .urls import answer_for_whole_server, check_path, is_plain_url

#: Hooks that have nothing to do for such a request, or whose work is done here; any other one turns the fast path off.
_HOOKS = {check_access, check_output, check_path, answer_for_whole_server, add_security_headers}

Answer = Callable[[Request], Response | None]


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
        # By method and rule: the rule, and what answers its requests.
        self._routes = {
            (method, rule.rule): (rule, partial(self._answer, roles_of(rule.endpoint, app), operation))
            for rule in app.url_map.iter_rules()
            if (operation := getattr(app.view_functions[rule.endpoint], "fast_path", None))
            for method in (rule.methods or set()) - {"OPTIONS"}
        }

    def answer(self, environ: dict[str, Any]) -> Response | None:
        """Return the answer to a request; None if Flask is to, or it would wait and is marked ONLY_FAST_PATH."""
        method, path = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "")
        folder, _, tag = path.rpartition("/")
        route, arguments = self._routes.get((method, f"{folder}/<tag>")), {"tag": tag}
        if route is None:
            route, arguments = self._routes.get((method, path)), {}
        if not (route and tag and self.is_open and is_plain_url(environ) and is_authorization_only(environ)):
            return None
        is_read, waits_for_database = method in SAFE_METHODS, self.store.reads_wait
        if ONLY_FAST_PATH in environ and (waits_for_database or not is_read):
            return None
        request, (rule, answer) = Request(environ), route
        request.app, request.url_rule, request.view_args = self.app, rule, arguments
        if waits_for_database and is_read:
            answer = partial(self._answer_from_database, answer)
        return self.answer_and_note(request, answer)

    def _answer_from_database(self, answer: Answer, request: Request) -> Response | None:
        """Answer a read by ``answer``, with what it needs of the database fetched by one question."""
        wanted = (ACCOUNTS, ACCOUNTS_KEY), (DOCUMENTS, (request.view_args or {}).get("tag"))
        try:
            received_at = request.environ.get(RECEIVED_AT)
            return self.store.read_together(partial(answer, request), *wanted, not_before=received_at)
        except StorageError as error:  # for which Flask would only wait once more
            return problem_response(problem_of(error, request), request)

    def _answer(self, roles: Roles, operation: Callable[..., Response], request: Request) -> Response | None:
        """Answer by the operation of a view; None if the credential has to be checked."""
        request.environ.pop("REMOTE_USER", None)  # of an answer from the database that turned out to be outdated
        try:
            account = self.authenticator.find_remembered(request.environ["HTTP_AUTHORIZATION"])
            if account is None:
                return None
            check_account(account, roles, request)
            return operation(request, account, **request.view_args or {})
        except Exception as error:
            return problem_response(problem_of(error, request), request)
