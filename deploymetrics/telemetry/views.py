"""``/metrics`` for Prometheus; ``/healthz`` and ``/readyz`` for load balancers and whatever starts the server."""

import os
from typing import NamedTuple

import msgspec
from flask import Blueprint, Flask, current_app
from flask_login import current_user

from ..accounts.records import Role
from ..http.access import public, require_role
from ..http.requests import current_request
from ..http.responses import Response
from ..http.security_headers import DATA_HEADERS
from ..services import NAME, services
from .audit_log import AuditLog
from .counting import Counting
from .documents import DocumentMetrics
from .health import Health
from .shared_memory import Memory

bp = Blueprint("telemetry", __name__)
_KEY = f"{NAME}.telemetry"
_NEVER_KEPT = {"Cache-Control": "no-store", **DATA_HEADERS}


class Telemetry(NamedTuple):
    """What is known of an application beside its documents, which keeps it as ``app.extensions[_KEY]``."""

    documents: DocumentMetrics
    health: Health
    audit_log: AuditLog
    counting: Counting


def init_app(app: Flask, memory: Memory) -> Telemetry:
    """Return the Telemetry of an application, which counts in a Memory."""
    assembled, settings = services(app), app.config
    telemetry = app.extensions[_KEY] = Telemetry(
        DocumentMetrics(
            assembled.documents,
            assembled.expectations,
            assembled.clock,
            per_tag=settings["METRICS_PER_TAG"],
            in_all=settings["METRICS_SERIES"],
        ),
        Health(assembled.documents, assembled.clock, is_read_only=settings["READ_ONLY"]),
        AuditLog(
            app.instance_path, assembled.clock, days=settings["AUDIT_DAYS"], size=settings["AUDIT_MEGABYTES"] * 10**6
        ),
        Counting(memory),
    )
    telemetry.counting.watch(assembled.store)
    return telemetry


def telemetry_of(app: Flask) -> Telemetry:
    """Return the Telemetry of an application."""
    telemetry: Telemetry = app.extensions[_KEY]
    return telemetry


@bp.get("/metrics")
@require_role(Role.MASTER_OPERATOR, Role.SCRAPER)
def metrics() -> Response:
    """Show all numbers, in Prometheus' text format or in OpenMetrics."""
    # Here, since nothing else needs prometheus_client, and every command would wait for it.
    from prometheus_client.exposition import choose_encoder

    from .server import ServerNumbers

    environ, telemetry = current_request().environ, telemetry_of(current_app)
    counting = telemetry.counting
    alone = not counting.memory.is_shared and environ.get("wsgi.multiprocess")
    numbers = ServerNumbers(counting, str(os.getpid()) if alone else "", services().store, current_app.instance_path)
    encode, content_type = choose_encoder(environ.get("HTTP_ACCEPT", ""))
    body = telemetry.documents.text(), encode(numbers)  # in which OpenMetrics has its end
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
    health = telemetry_of(current_app).health
    health.check()
    if current_user.is_authenticated and current_user.role is Role.MASTER_OPERATOR:
        return _answer("application/json", msgspec.json.encode(health.details()))
    return _answer("text/plain", b"ready\n")


def _answer(content_type: str, *body: bytes, **headers: str) -> Response:
    length = str(sum(map(len, body)))
    return Response(body, {"Content-Type": content_type, "Content-Length": length, **_NEVER_KEPT, **headers})
