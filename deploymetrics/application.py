"""The application: what of Flask is done otherwise here, and what happens to each request at its end.

A request goes the short way or Flask's. Both end in ``Application.answer_and_note``, which counts it and has the audit
log note it. On Flask's way the hooks before that add headers (``security_headers.harden``, ``cross_site.allow_origin``)
and the session cookie; answers of the short way are made with theirs. The server writes the line of the access log once
all of the answer was sent.
"""

import time
from collections.abc import Callable
from typing import Any, TypeVar

import flask
from flask import Flask
from flask.globals import request_ctx
from werkzeug.routing import MapAdapter

from .http import urls
from .http.request_ids import HEADER, ROUTE, RequestIds
from .http.requests import Request
from .http.responses import FlaskResponse, Response
from .http.security_headers import transport_headers
from .http.short_way import ONLY_SHORT_WAY, ShortWay
from .services import services
from .telemetry import Telemetry
from .telemetry.audited_requests import is_failed_login, note

R = TypeVar("R", bound=flask.Request)
A = TypeVar("A")


class Application(Flask):
    """Flask, spared two things per request: no view here is a coroutine, and no route depends on the host.

    Requests that need nothing of Flask go the short way.
    """

    request_class = Request
    url_rule_class = urls.Rule
    request_ids: RequestIds
    short_way: ShortWay
    telemetry: Telemetry

    def wsgi_app(self, environ: dict[str, Any], start_response: Any) -> Any:
        """Answer a request, as a WSGI application; None where ONLY_SHORT_WAY is asked for and it needs more."""
        added = [(HEADER, self.request_ids.assign(environ)), *transport_headers(environ, self.config["HSTS_SECONDS"])]

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            return start_response(status, headers + added, exc_info)

        self.telemetry.counting.begin()
        try:
            if answer := self.short_way.answer(environ):
                return answer(environ, start)
            return None if ONLY_SHORT_WAY in environ else super().wsgi_app(environ, start)
        finally:
            self.telemetry.counting.end()

    def full_dispatch_request(self) -> flask.Response:
        """Answer a request on Flask's way."""
        return self.answer_and_note(request_ctx.request, lambda request: Flask.full_dispatch_request(self))

    def answer_and_note(self, request: R, answer: Callable[[R], A]) -> A:
        """Return ``answer(request)``; unless that is None, count the request, and have the audit log note it."""
        began, status = time.perf_counter(), 500
        try:
            response: Any = answer(request)
            status = response.status_code if response else 0
            return response  # type: ignore[no-any-return]
        finally:
            if status:
                self._note(request, status, time.perf_counter() - began)

    def _note(self, request: flask.Request, status: int, seconds: float) -> None:
        counting, audit_log = self.telemetry.counting, self.telemetry.audit_log
        route = request.environ[ROUTE] = request.url_rule.rule if request.url_rule else ""
        counting.count(request.method, route, status, seconds)
        view = self.view_functions.get(request.endpoint or "")
        if is_failed_login(request, view, status):
            counting.count_failed_login(status)
        note(audit_log, request, view, status, services(self).accounts)

    def make_response(self, rv: Any) -> flask.Response:
        """Return what a view or an error handler returned as a response of Flask."""
        return FlaskResponse(rv) if isinstance(rv, Response) else super().make_response(rv)

    def make_default_options_response(self) -> flask.Response:
        """Return the answer to OPTIONS, its methods in one order, whichever worker answers."""
        response = super().make_default_options_response()
        response.headers["Allow"] = ", ".join(sorted(response.allow))
        return response

    def create_url_adapter(self, request: flask.Request | None) -> MapAdapter | None:
        """Return what finds the view of a request, by its path alone."""
        if request is None:
            return super().create_url_adapter(request)
        return urls.adapter(self.url_map, request.environ)

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function as it is."""
        return func
