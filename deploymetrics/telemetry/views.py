"""``/metrics`` for Prometheus; ``/healthz`` and ``/readyz`` for load balancers and whatever starts the server."""

import os

import flask
import msgspec
from flask import Blueprint, Flask, current_app
from flask_login import current_user

from ..accounts.records import Role
from ..http.access import public, require_role
from ..http.requests import current_request
from ..http.responses import Response
from ..http.security_headers import DATA_HEADERS
from ..services import NAME, services
from . import audited_requests
from .audit_log import AuditLog
from .counting import Counting
from .documents import DocumentMetrics
from .health import Health
from .shared_memory import Memory

bp = Blueprint("telemetry", __name__)
_DOCUMENTS, _HEALTH, _AUDIT = f"{NAME}.documents", f"{NAME}.health", f"{NAME}.audit"
_NEVER_KEPT = {"Cache-Control": "no-store", **DATA_HEADERS}


def init_app(app: Flask, memory: Memory) -> Counting:
    """Return the Counting of an application, which counts in a Memory."""
    assembled, settings = app.extensions[NAME], app.config
    app.extensions[_DOCUMENTS] = DocumentMetrics(
        assembled.documents,
        assembled.expectations,
        assembled.clock,
        per_tag=settings["METRICS_PER_TAG"],
        in_all=settings["METRICS_SERIES"],
    )
    app.extensions[_HEALTH] = Health(assembled.documents, assembled.clock, is_read_only=settings["READ_ONLY"])
    app.extensions[_AUDIT] = AuditLog(
        app.instance_path, assembled.clock, days=settings["AUDIT_DAYS"], size=settings["AUDIT_MEGABYTES"] * 10**6
    )
    counting = Counting(memory)
    counting.watch(assembled.store)
    return counting


def audit_log_of(app: Flask) -> AuditLog:
    """Return the audit log of an application."""
    log: AuditLog = app.extensions[_AUDIT]
    return log


def note_request(app: Flask, request: flask.Request, status: int) -> None:
    """Have the audit log note a request that was answered, and count a failed login."""
    view = app.view_functions.get(request.endpoint or "")
    audited_requests.note(audit_log_of(app), request, view, status, app.extensions[NAME].accounts)
    if audited_requests.is_failed_login(request, view, status):
        app.counting.count_failed_login(status)  # type: ignore[attr-defined]


@bp.get("/metrics")
@require_role(Role.MASTER_OPERATOR, Role.SCRAPER)
def metrics() -> Response:
    """Show all numbers, in Prometheus' text format or in OpenMetrics."""
    # Here, since nothing else needs prometheus_client, and every command would wait for it.
    from prometheus_client.exposition import choose_encoder

    from .server import ServerNumbers

    environ, counting = current_request().environ, current_app.counting  # type: ignore[attr-defined]
    alone = not counting.memory.is_shared and environ.get("wsgi.multiprocess")
    numbers = ServerNumbers(counting, str(os.getpid()) if alone else "", services().store, current_app.instance_path)
    encode, content_type = choose_encoder(environ.get("HTTP_ACCEPT", ""))
    body = current_app.extensions[_DOCUMENTS].text(), encode(numbers)  # in which OpenMetrics has its end
    return _answer(content_type, *body, Vary="Accept")


@bp.get("/healthz")
@public
def alive() -> Response:
    """Say that the process answers."""
    return _answer("text/plain", b"ok\n")


@bp.get("/readyz")
@public
def ready() -> Response:
    """Say that the storage reads and writes, else 503; a master operator is told more."""
    health: Health = current_app.extensions[_HEALTH]
    health.check()
    if current_user.is_authenticated and current_user.role is Role.MASTER_OPERATOR:
        return _answer("application/json", msgspec.json.encode(health.details()))
    return _answer("text/plain", b"ready\n")


def _answer(content_type: str, *body: bytes, **headers: str) -> Response:
    length = str(sum(map(len, body)))
    return Response(body, {"Content-Type": content_type, "Content-Length": length, **_NEVER_KEPT, **headers})
