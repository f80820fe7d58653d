"""Metrics of the server itself: counters of its processes, version, start, disk and collector."""

import platform
from collections.abc import Iterator
from contextlib import suppress
from itertools import accumulate
from shutil import disk_usage
from typing import Any, NamedTuple

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)

from ..clock import from_precise
from ..collector.states import read_states
from ..errors import StorageError
from ..start_record import last_start
from ..storage import Storage
from ..version import VERSION
from .counting import BOUNDS, DURATIONS, ERRORS, FAILED_LOGINS, IN_PROGRESS, REQUESTS, WRITES, Counting

# fmt: off
#: By the first word of a counter's name: the kind of the family, its name, the labels, which follow, and what it is.
_FAMILIES: dict[str, tuple[Any, str, tuple[str, ...], str]] = {
    REQUESTS: (CounterMetricFamily, "deploymetrics_http_requests", ("method", "route", "status"),
               "Requests that were answered; route is empty where no route has the address."),
    DURATIONS: (HistogramMetricFamily, "deploymetrics_http_request_duration_seconds", ("method", "route"),
                "Time from the beginning of a request to the beginning of its answer."),
    IN_PROGRESS: (GaugeMetricFamily, "deploymetrics_http_requests_in_progress", (),
                  "Requests that are being answered now."),
    FAILED_LOGINS: (CounterMetricFamily, "deploymetrics_failed_logins", ("status",),
                    "Wrong credentials: 401, and 429 for those that were not looked at since too many were wrong."),
    ERRORS: (CounterMetricFamily, "deploymetrics_storage_errors", ("code",), "Errors of the storage, by their code."),
    WRITES: (HistogramMetricFamily, "deploymetrics_storage_write_duration_seconds", ("collection",),
             "Time of a write, its wait for a lock and its sync included, by collection."),
}
# fmt: on


class ServerMetrics(NamedTuple):
    """Collects metrics for one scrape of prometheus_client; ``worker``, if set, labels this process's own counters."""

    counting: Counting
    worker: str
    store: Storage
    instance: str

    def collect(self) -> Iterator[Metric]:
        """Yield all metric families except those of the documents. Raises StorageError."""
        yield from self._counters()
        build = {"version": VERSION, "python": platform.python_version()}
        yield InfoMetricFamily("deploymetrics_build", "The version of this server.", value=build)
        started = _number(last_start(self.store))
        yield GaugeMetricFamily("deploymetrics_start_timestamp_seconds", "When serve last started.", started)
        with suppress(OSError):
            disk = disk_usage(self.instance)
            help = "The size of the disk with the instance folder."
            yield GaugeMetricFamily("deploymetrics_disk_size_bytes", help, disk.total)
            help = "What is free there for the server's account."
            yield GaugeMetricFamily("deploymetrics_disk_free_bytes", help, disk.free)
        sources = read_states(self.store)
        for field, (kind, name, help) in _OF_SOURCES.items():
            family = kind(f"deploymetrics_collector_{name}", help, labels=["source"])
            for state in sources:
                family.add_metric([state.name], _number(getattr(state, field)))
            yield family

    def _counters(self) -> Iterator[Metric]:
        """Yield the metric families of the processes' counters."""
        names, values = (["worker"], [self.worker]) if self.worker else ([], [])
        families = {
            word: kind(name, help, labels=[*labels, *names]) for word, (kind, name, labels, help) in _FAMILIES.items()
        }
        for name, cells in (_zeros() | self.counting.memory.totals()).items():
            word, *labels = name.split("\n")
            if _FAMILIES[word][0] is HistogramMetricFamily:
                # A bucket has all that is below its bound.
                buckets = list(zip([*map(str, BOUNDS), "+Inf"], accumulate(cells[:-1])))
                families[word].add_metric([*labels, *values], buckets, cells[-1])
            else:
                families[word].add_metric([*labels, *values], cells[0])
        yield from families.values()


def _zeros() -> dict[str, list[float]]:
    """Return 0 for counters that alerts watch, so that the first count is an increase."""
    errors: list[type[StorageError]] = [StorageError, *StorageError.__subclasses__()]
    names = [(FAILED_LOGINS, "401"), (FAILED_LOGINS, "429"), *((ERRORS, error.code) for error in errors)]
    return {"\n".join(name): [0] for name in names}


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
    """Return a field of a SourceState as a number: a length, or a time in seconds since 1970, 0 for never."""
    if isinstance(value, str):
        return from_precise(value).timestamp() if value else 0.0
    return len(value) if isinstance(value, dict) else value
