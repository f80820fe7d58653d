"""What the storage and the machine know of the server and its collector, as families of metrics."""

import os
import platform
from collections.abc import Iterator
from typing import Any

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric

from ..clock import from_precise
from ..collector.task import read_states
from ..starts import last_start
from ..storage import Storage
from ..version import VERSION


def families(store: Storage, instance: str) -> Iterator[Metric]:
    """Yield what is known. Raises StorageError."""
    yield InfoMetricFamily(
        "deploymetrics_build",
        "The version of this server.",
        value={"version": VERSION, "python": platform.python_version()},
    )
    yield _gauge("deploymetrics_start_timestamp_seconds", "When serve last started.", _seconds(last_start(store)))
    yield from _disk(instance)
    yield from _collector(store)


def _disk(instance: str) -> Iterator[Metric]:
    try:
        found = os.statvfs(instance)
    except OSError:
        return
    size, free = found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize
    yield _gauge("deploymetrics_disk_size_bytes", "The size of the disk with the instance folder.", size)
    yield _gauge("deploymetrics_disk_free_bytes", "What is free there for the server's account.", free)


def _collector(store: Storage) -> Iterator[Metric]:
    labels = ["source"]
    families: dict[str, CounterMetricFamily | GaugeMetricFamily] = {
        "rounds": CounterMetricFamily(
            "deploymetrics_collector_rounds", "How often the source was asked.", labels=labels
        ),
        "failedRounds": CounterMetricFamily(
            "deploymetrics_collector_failed_rounds", "How often it failed as a whole.", labels=labels
        ),
        "failures": GaugeMetricFamily(
            "deploymetrics_collector_failures_in_a_row", "How often it failed since it last succeeded.", labels=labels
        ),
        "failed": GaugeMetricFamily(
            "deploymetrics_collector_failed_metrics", "How many of its metrics failed when asked last.", labels=labels
        ),
        "lastSuccess": GaugeMetricFamily(
            "deploymetrics_collector_last_success_timestamp_seconds", "When it last succeeded.", labels=labels
        ),
        "lastFailure": GaugeMetricFamily(
            "deploymetrics_collector_last_failure_timestamp_seconds", "When it last failed.", labels=labels
        ),
    }
    for found in read_states(store):
        for field, family in families.items():
            family.add_metric([found.name], _number(getattr(found, field)))
    return iter(families.values())


def _number(value: Any) -> float:
    if isinstance(value, str):
        return _seconds(value)
    return len(value) if isinstance(value, dict) else value


def _gauge(name: str, help: str, value: float) -> Metric:
    return GaugeMetricFamily(name, help, value=value)


def _seconds(precise: str) -> float:
    """Return seconds since 1970 of a time as the storage writes it, and 0 for one that never came."""
    return from_precise(precise).timestamp() if precise else 0.0
