"""The application: what of Flask is done otherwise here, and what happens to each request at its end.

A request takes the fast path, or goes through Flask. Both end in ``Application.answer_and_note``, which counts it and
has the audit log note it. In Flask the hooks before that add headers (``security_headers.add_security_headers``,
``cross_site.allow_origin``) and the login cookie; answers of the fast path are made with theirs. The server writes the
line of the access log once all of the answer was sent.
"""

import time
from collections.abc import Callable
from typing import Any, TypeVar

import flask
from flask import Flask
from flask.globals import request_ctx
from werkzeug.routing import MapAdapter

from .http import urls
from .http.environ_keys import ONLY_FAST_PATH, ROUTE
from .http.fast_path import FastPath
from .http.request_ids import HEADER, RequestIds
from .http.requests import Request
from .http.responses import FlaskResponse, Response
from .http.security_headers import hsts_headers
from .services import services
from .storage import Storage
from .telemetry import Telemetry
from .telemetry.audited_requests import is_failed_login, note_request

R = TypeVar("R", bound=flask.Request)
A = TypeVar("A")


class Application(Flask):
    """A Flask application with a fast path past Flask, and with counters and an audit log at the end of each request.

    It spares each request two things of Flask: no view here is a coroutine, and no route depends on the host.
    """

    request_class = Request
    url_rule_class = urls.Rule
    request_ids: RequestIds
    fast_path: FastPath
    telemetry: Telemetry

    def wsgi_app(self, environ: dict[str, Any], start_response: Any) -> Any:
        """Answer a request, as a WSGI application; return None if it is marked ONLY_FAST_PATH and needs Flask."""
        common = [(HEADER, self.request_ids.assign(environ)), *hsts_headers(environ, self.config["HSTS_SECONDS"])]

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            return start_response(status, headers + common, exc_info)

        self.telemetry.counting.begin()
        try:
            if answer := self.fast_path.answer(environ):
                return answer(environ, start)
            return None if ONLY_FAST_PATH in environ else super().wsgi_app(environ, start)
        finally:
            self.telemetry.counting.end()

    def wait_once(self, store: Storage) -> None:
        """Have each request wait once for a storage that is silent, and not with each of its questions."""
        answer = self.wsgi_app

        def wsgi_app(environ: dict[str, Any], start_response: Any) -> Any:
            with store.waiting_once():
                return answer(environ, start_response)

        self.wsgi_app = wsgi_app  # type: ignore[method-assign]

    def full_dispatch_request(self) -> flask.Response:
        """Answer a request through Flask."""
        return self.answer_and_note(request_ctx.request, lambda request: Flask.full_dispatch_request(self))

    def answer_and_note(self, request: R, answer: Callable[[R], A]) -> A:
        """Return ``answer(request)``; count the request, and have the audit log note it, unless the answer is None."""
        began, status = time.perf_counter(), 500
        try:
            response: Any = answer(request)
            status = response.status_code if response else 0
            return response  # type: ignore[no-any-return]
        finally:
            if status:
                self._count_and_note(request, status, time.perf_counter() - began)

    def _count_and_note(self, request: flask.Request, status: int, seconds: float) -> None:
        counting, audit_log = self.telemetry.counting, self.telemetry.audit_log
        route = request.environ[ROUTE] = request.url_rule.rule if request.url_rule else ""
        counting.count(request.method, route, status, seconds)
        view = self.view_functions.get(request.endpoint or "")
        if is_failed_login(request, view, status):
            counting.count_failed_login(status)
        note_request(audit_log, request, view, status, services(self).accounts)

    def make_response(self, rv: Any) -> flask.Response:
        """Turn what a view or an error handler returned into a Flask response."""
        return FlaskResponse(rv) if isinstance(rv, Response) else super().make_response(rv)

    def make_default_options_response(self) -> flask.Response:
        """Return the answer to OPTIONS, with the methods in alphabetical order in ``Allow``."""
        response = super().make_default_options_response()
        response.headers["Allow"] = ", ".join(sorted(response.allow))
        return response

    def create_url_adapter(self, request: flask.Request | None) -> MapAdapter | None:
        """Return the adapter that finds the view of a request, by its path alone."""
        if request is None:
            return super().create_url_adapter(request)
        return urls.bind_adapter(self.url_map, request.environ)

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return a view function as it is, since none is a coroutine."""
        return func
