"""``/metrics`` for Prometheus; ``/healthz`` and ``/readyz`` for load balancers and whatever starts the server."""

import os

import msgspec
from flask import Blueprint, current_app
from flask_login import current_user

from ..accounts.records import Role
from ..http.access import public, require_role
from ..http.requests import current_request
from ..http.responses import Response, whole_response
from ..services import services
from . import telemetry_of

bp = Blueprint("telemetry", __name__)


@bp.get("/metrics")
@require_role(Role.MASTER_OPERATOR, Role.SCRAPER)
def metrics() -> Response:
    """Show all metrics, in Prometheus' text format or in OpenMetrics."""
    # Here, since nothing else needs prometheus_client, and every command would wait for it.
    from prometheus_client.exposition import choose_encoder

    from .server_metrics import ServerMetrics

    environ, telemetry = current_request().environ, telemetry_of(current_app)
    counting = telemetry.counting
    is_alone = not counting.memory.is_shared and environ.get("wsgi.multiprocess")
    numbers = ServerMetrics(counting, str(os.getpid()) if is_alone else "", services().store, current_app.instance_path)
    encode, content_type = choose_encoder(environ.get("HTTP_ACCEPT", ""))
    body = telemetry.documents.text() + encode(numbers)  # in which OpenMetrics has its end
    return whole_response(body, content_type, {})


@bp.get("/healthz")
@public
def alive() -> Response:
    """Say that the process answers."""
    return whole_response(b"ok\n", "text/plain", {})


@bp.get("/readyz")
@public
def ready() -> Response:
    """Say that the storage reads and writes, else 503; a master operator is told more."""
    health = telemetry_of(current_app).health
    health.check()
    if current_user.is_authenticated and current_user.role is Role.MASTER_OPERATOR:
        return whole_response(msgspec.json.encode(health.details()), "application/json", {})
    return whole_response(b"ready\n", "text/plain", {})
