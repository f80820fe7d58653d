"""What the storage and the machine know of the server and its collector, as families of metrics."""

import os
import platform
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric

from ..clock import from_precise
from ..collector.states import read_states
from ..start_record import last_start
from ..storage import Storage
from ..version import VERSION


def families(store: Storage, instance: str) -> Iterator[Metric]:
    """Yield the families of build, start, disk and collector. Raises StorageError."""
    yield InfoMetricFamily(
        "deploymetrics_build",
        "The version of this server.",
        value={"version": VERSION, "python": platform.python_version()},
    )
    yield _gauge("deploymetrics_start_timestamp_seconds", "When serve last started.", _number(last_start(store)))
    with suppress(OSError):
        size, free = disk_space(instance)
        yield _gauge("deploymetrics_disk_size_bytes", "The size of the disk with the instance folder.", size)
        yield _gauge("deploymetrics_disk_free_bytes", "What is free there for the server's account.", free)
    states = read_states(store)
    for field, (kind, name, help) in _OF_SOURCES.items():
        family = kind(f"deploymetrics_collector_{name}", help, labels=["source"])
        for state in states:
            family.add_metric([state.name], _number(getattr(state, field)))
        yield family


def disk_space(instance: str) -> tuple[int, int]:
    """Return the size of the disk with the instance folder, and what is free there for this account, in bytes."""
    disk = os.statvfs(instance)
    return disk.f_blocks * disk.f_frsize, disk.f_bavail * disk.f_frsize


#: By the field of a SourceState: the kind of metric, its name and what it is.
_OF_SOURCES = {
    "rounds": (CounterMetricFamily, "rounds", "How often the source was asked."),
    "failedRounds": (CounterMetricFamily, "failed_rounds", "How often it failed as a whole."),
    "failures": (GaugeMetricFamily, "failures_in_a_row", "How often it failed since it last succeeded."),
    "failed": (GaugeMetricFamily, "failed_metrics", "How many of its metrics failed when asked last."),
    "lastSuccess": (GaugeMetricFamily, "last_success_timestamp_seconds", "When it last succeeded."),
    "lastFailure": (GaugeMetricFamily, "last_failure_timestamp_seconds", "When it last failed."),
}


def _number(value: Any) -> float:
    """Return a number, how many a dict has, or a time as seconds since 1970, with 0 for one that never came."""
    if isinstance(value, str):
        return from_precise(value).timestamp() if value else 0.0
    return len(value) if isinstance(value, dict) else value


def _gauge(name: str, help: str, value: float) -> Metric:
    return GaugeMetricFamily(name, help, value=value)
