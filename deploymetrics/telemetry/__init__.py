"""Telemetry: metrics for Prometheus, health checks and the audit log."""

from collections.abc import Mapping
from typing import Any

from flask import Flask

from ..services import Services
from .audit_log import AuditLog
from .counting import Counting
from .document_metrics import DocumentMetrics
from .health import Health
from .shared_memory import Memory


class Telemetry:
    """The telemetry of one application, which keeps it as ``app.telemetry``; its counters are in a Memory."""

    def __init__(self, instance: str, settings: Mapping[str, Any], services: Services, memory: Memory) -> None:
        documents, clock = services.documents, services.clock
        numbers = {"per_tag": settings["METRICS_PER_TAG"], "in_all": settings["METRICS_SERIES"]}
        self.documents = DocumentMetrics(documents, services.expectations, clock, **numbers)
        self.health = Health(documents, clock, is_read_only=settings["READ_ONLY"])
        self.audit_log = AuditLog(
            instance, clock, days=settings["AUDIT_DAYS"], size=settings["AUDIT_MEGABYTES"] * 10**6
        )
        self.counting = Counting(memory)
        self.counting.watch(services.store)


def telemetry_of(app: Flask) -> Telemetry:
    telemetry: Telemetry = app.telemetry  # type: ignore[attr-defined]
    return telemetry
