"""What a process counts while it works: its requests, and its calls of the storage."""

import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Any

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from ..errors import StorageError
from ..storage import Change, Collection, Item, Storage
from .shared_memory import Floats, Memory

#: The upper bounds of the histograms, in seconds.
BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
#: Of each bound, one for what takes longer, and the sum.
_TIMES = len(BOUNDS) + 2
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
IN_PROGRESS, _REQUESTS, _DURATIONS, _ERRORS, _WRITES = "progress", "requests", "durations", "errors", "writes"
_FAILED_LOGINS = "logins"


class Counting:
    """The counters of this process, in a Memory. What it does for a request takes a microsecond."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self._counters = memory.counters()
        self._lock = self._counters.lock
        self._in_progress = self._counters.named(IN_PROGRESS)
        self._in_progress[0] = 0
        self._of_requests: dict[tuple[str, str, int], tuple[Floats, Floats]] = {}

    def begin(self) -> None:
        """Count a request that begins."""
        with self._lock:
            self._in_progress[0] += 1

    def end(self) -> None:
        """Count a request that ends."""
        with self._lock:
            self._in_progress[0] -= 1

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered in so many seconds. ``route`` is a rule of the URL map, or empty."""
        cells = self._of_requests.get((method, route, status))
        if cells is None:
            cells = self._request_cells(method, route, status)
        number, times = cells
        with self._lock:
            number[0] += 1
            times[bisect_left(BOUNDS, seconds)] += 1
            times[-1] += seconds

    def _request_cells(self, method: str, route: str, status: int) -> tuple[Floats, Floats]:
        name = method if method in _METHODS else "other"
        number = self._counters.named(_joined(_REQUESTS, name, route, str(status)))
        cells = number, self._counters.named(_joined(_DURATIONS, name, route), _TIMES)
        if name == method:
            self._of_requests[method, route, status] = cells
        return cells

    def count_failed_login(self, status: int) -> None:
        """Count a wrong credential: 401, or 429 for one that was not even looked at."""
        cells = self._counters.named(_joined(_FAILED_LOGINS, str(status)))
        with self._lock:
            cells[0] += 1

    def watch(self, store: Storage) -> None:
        """Count the errors of a storage, and how long its writes take."""
        kind = type(store)

        def timed_write(
            collection: Collection, key: str, author: str, change: Change, *, kept: bool = False
        ) -> Item | None:
            began = time.perf_counter()
            try:
                item = kind.write(store, collection, key, author, change, kept=kept)
            except StorageError as error:
                self._count_error(error)
                raise
            times, seconds = (
                self._counters.named(_joined(_WRITES, collection.name), _TIMES),
                time.perf_counter() - began,
            )
            with self._lock:
                times[bisect_left(BOUNDS, seconds)] += 1
                times[-1] += seconds
            return item

        store.write = timed_write  # type: ignore[method-assign]
        store.read = self._watched(store.read)  # type: ignore[method-assign]
        store.items = self._watched(store.items)  # type: ignore[method-assign]
        store.version = self._watched(store.version)  # type: ignore[method-assign]

    def _watched(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*args: Any) -> Any:
            try:
                return function(*args)
            except StorageError as error:
                self._count_error(error)
                raise

        return watched

    def _count_error(self, error: StorageError) -> None:
        cells = self._counters.named(_joined(_ERRORS, error.code))
        with self._lock:
            cells[0] += 1

    def families(self, worker: str = "") -> Iterator[Metric]:
        """Yield what all processes counted; ``worker`` labels what only this one counted, where they do not share."""
        names, values = (["worker"], [worker]) if worker else ([], [])
        requests = CounterMetricFamily(
            "deploymetrics_http_requests",
            "Requests that were answered; route is empty where no route has the address.",
            labels=["method", "route", "status", *names],
        )
        durations = HistogramMetricFamily(
            "deploymetrics_http_request_duration_seconds",
            "Time from the beginning of a request to the beginning of its answer.",
            labels=["method", "route", *names],
        )
        errors = CounterMetricFamily(
            "deploymetrics_storage_errors", "Errors of the storage, by their code.", labels=["code", *names]
        )
        failed = CounterMetricFamily(
            "deploymetrics_failed_logins",
            "Wrong credentials: 401, and 429 for those that were not looked at since too many were wrong.",
            labels=["status", *names],
        )
        writes = HistogramMetricFamily(
            "deploymetrics_storage_write_duration_seconds",
            "Time of a write, its wait for a lock and its sync included, by collection.",
            labels=["collection", *names],
        )
        in_progress = GaugeMetricFamily(
            "deploymetrics_http_requests_in_progress", "Requests that are being answered now.", labels=names
        )
        for name, cells in self.memory.totals().items():
            what, *labels = name.split("\n")
            labels += values
            if what == _REQUESTS:
                requests.add_metric(labels, cells[0])
            elif what == _ERRORS:
                errors.add_metric(labels, cells[0])
            elif what == _FAILED_LOGINS:
                failed.add_metric(labels, cells[0])
            elif what == IN_PROGRESS:
                in_progress.add_metric(labels, cells[0])
            else:
                family = durations if what == _DURATIONS else writes
                family.add_metric(labels, *_histogram(cells))
        return iter((requests, durations, in_progress, failed, errors, writes))


def _joined(*words: str) -> str:
    return "\n".join(words)


def _histogram(cells: list[float]) -> tuple[list[tuple[str, float]], float]:
    """Return the buckets of a histogram, each with all that is below its bound, and the sum."""
    bounds = [*map(str, BOUNDS), "+Inf"]
    return list(zip(bounds, accumulate(cells[:-1]))), cells[-1]
