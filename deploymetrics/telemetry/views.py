"""``/metrics``, for Prometheus."""

import os
from collections.abc import Iterator

from flask import Blueprint, Flask, current_app
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric

from ..accounts.service import Role
from ..http.access import require_role
from ..http.requests import current_request
from ..http.responses import NO_SNIFFING, Response
from ..services import NAME, services
from . import server
from .cells import Memory
from .counting import Counting
from .documents import DocumentMetrics

bp = Blueprint("telemetry", __name__)
_KEY = f"{NAME}.documents"


def init_app(app: Flask, memory: Memory) -> Counting:
    """Return the Counting of an application, which counts in a Memory."""
    assembled, settings = app.extensions[NAME], app.config
    app.extensions[_KEY] = DocumentMetrics(
        assembled.service,
        assembled.expectations,
        assembled.clock,
        per_tag=settings["METRICS_PER_TAG"],
        in_all=settings["METRICS_SERIES"],
    )
    counting = Counting(memory)
    counting.watch(assembled.service.store)
    return counting


class _Server:
    """A collector of prometheus_client's, for one scrape."""

    def collect(self) -> Iterator[Metric]:
        """Yield everything but the documents."""
        counting: Counting = current_app.counting  # type: ignore[attr-defined]
        alone = not counting.memory.is_shared and current_request().environ.get("wsgi.multiprocess")
        yield from counting.families(str(os.getpid()) if alone else "")
        yield from server.families(services().service.store, current_app.instance_path)


@bp.get("/metrics")
@require_role(Role.MASTER_OPERATOR, Role.SCRAPER)
def metrics() -> Response:
    """Show all numbers, in Prometheus' text format or in OpenMetrics."""
    encode, content_type = choose_encoder(current_request().environ.get("HTTP_ACCEPT", ""))
    registry = CollectorRegistry()
    registry.register(_Server())
    body = current_app.extensions[_KEY].text(), encode(registry)  # in which OpenMetrics has its end
    headers = {"Content-Type": content_type, "Cache-Control": "no-store", "Vary": "Accept", **NO_SNIFFING}
    return Response(body, {**headers, "Content-Length": str(sum(map(len, body)))})
