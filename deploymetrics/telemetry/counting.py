"""Counting requests, and calls of the storage, in the process that makes them."""

import time
from bisect import bisect_left
from collections.abc import Callable
from typing import Any

from ..errors import StorageError
from ..storage import Collection, Item, Storage
from .shared_memory import Floats, Memory

#: The upper bounds of the histograms, in seconds.
BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
#: The cells of a histogram: one for each bound, one for what takes longer, and the sum.
_TIMES = len(BOUNDS) + 2
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
#: The first words of the names of counters; the values of the labels follow, with newlines between them.
REQUESTS, DURATIONS, IN_PROGRESS = "requests", "durations", "progress"
FAILED_LOGINS, ERRORS, WRITES = "logins", "errors", "writes"


class Counting:
    """Counts the requests and storage calls of this process, in a Memory; for a request that takes a microsecond."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self._counters = memory.counters()
        self._lock = self._counters.lock
        self._in_progress = self._counters.cells_of(IN_PROGRESS)
        self._in_progress[0] = 0
        self._of_requests: dict[tuple[str, str, int], tuple[Floats, Floats]] = {}

    def begin(self) -> None:
        """Count a request that begins to be answered."""
        with self._lock:
            self._in_progress[0] += 1

    def end(self) -> None:
        """Count a request that ends being answered."""
        with self._lock:
            self._in_progress[0] -= 1

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answered request, and its duration; ``route`` is a rule of the URL map, or empty."""
        cells = self._of_requests.get((method, route, status))
        if cells is None:
            cells = self._request_cells(method, route, status)
        number, times = cells
        with self._lock:
            number[0] += 1
            times[bisect_left(BOUNDS, seconds)] += 1
            times[-1] += seconds

    def _request_cells(self, method: str, route: str, status: int) -> tuple[Floats, Floats]:
        """Return the cells that count requests of a kind, and their durations."""
        name = method if method in _METHODS else "other"
        number = self._counters.cells_of(_counter_name(REQUESTS, name, route, str(status)))
        cells = number, self._counters.cells_of(_counter_name(DURATIONS, name, route), _TIMES)
        if name == method:
            self._of_requests[method, route, status] = cells
        return cells

    def count_failed_login(self, status: int) -> None:
        """Count a failed login: 401 for a wrong credential, 429 for one that was not checked."""
        self._add_one(FAILED_LOGINS, str(status))

    def _add_one(self, *words: str) -> None:
        cells = self._counters.cells_of(_counter_name(*words))
        with self._lock:
            cells[0] += 1

    def watch(self, store: Storage) -> None:
        """Count the errors of a storage, which its callers may handle, and time writes, by replacing its methods."""
        for name in ("read", "read_together", "items", "version"):
            setattr(store, name, self._count_errors(getattr(store, name)))
        store.write = self._time_writes(self._count_errors(store.write))  # type: ignore[method-assign]

    def _count_errors(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*args: Any, **kwargs: Any) -> Any:
            try:
                return method(*args, **kwargs)
            except StorageError as error:
                self._add_one(ERRORS, error.code)
                raise

        return watched

    def _time_writes(self, write: Callable[..., Item | None]) -> Callable[..., Item | None]:
        def timed(collection: Collection, *args: Any, **kwargs: Any) -> Item | None:
            began = time.perf_counter()
            item = write(collection, *args, **kwargs)
            seconds = time.perf_counter() - began
            times = self._counters.cells_of(_counter_name(WRITES, collection.name), _TIMES)
            with self._lock:
                times[bisect_left(BOUNDS, seconds)] += 1
                times[-1] += seconds
            return item

        return timed


def _counter_name(*words: str) -> str:
    return "\n".join(words)
