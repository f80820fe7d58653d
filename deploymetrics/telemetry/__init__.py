"""Telemetry: metrics for Prometheus, health checks and the audit log."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from flask import Flask

from ..services import Services
from .audit_log import AuditLog
from .counting import Counting
from .document_metrics import DocumentMetrics
from .health import Health
from .shared_memory import Memory


class Telemetry(NamedTuple):
    """The telemetry of one application, which keeps it as ``app.telemetry``."""

    documents: DocumentMetrics
    health: Health
    audit_log: AuditLog
    counting: Counting


def assemble(instance: str, settings: Mapping[str, Any], services: Services, memory: Memory) -> Telemetry:
    """Return the Telemetry of an application, whose counters are in a Memory."""
    documents, clock, counting = services.documents, services.clock, Counting(memory)
    counting.watch(services.store)
    numbers = {"per_tag": settings["METRICS_PER_TAG"], "in_all": settings["METRICS_SERIES"]}
    return Telemetry(
        DocumentMetrics(documents, services.expectations, clock, **numbers),
        Health(documents, clock, is_read_only=settings["READ_ONLY"]),
        AuditLog(instance, clock, days=settings["AUDIT_DAYS"], size=settings["AUDIT_MEGABYTES"] * 10**6),
        counting,
    )


def telemetry_of(app: Flask) -> Telemetry:
    telemetry: Telemetry = app.telemetry  # type: ignore[attr-defined]
    return telemetry
