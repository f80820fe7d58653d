"""The threads that answer the requests of a worker."""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from threading import Barrier, Thread
from typing import Any

_log = logging.getLogger(__name__)


def thread_pool(number: int) -> ThreadPoolExecutor:
    """Return a pool whose threads all run already; raises RuntimeError if they cannot be started.

    A pool starts its threads as they are needed. Where the system has none left by then, the request fails, and
    gunicorn's worker with it.
    """
    pool, all_run = ThreadPoolExecutor(number), Barrier(number)
    try:
        for _ in range(number):
            pool.submit(all_run.wait)
    except RuntimeError:
        all_run.abort()  # else those that were started would keep the process from ending
        raise
    return pool


class Threads:
    """So many threads, which all run already, for functions whose result nobody waits for.

    To hand one to a ThreadPoolExecutor takes three times as long, as its Futures tell what becomes of it. Raises
    RuntimeError if they cannot be started.
    """

    def __init__(self, number: int) -> None:
        self._calls = SimpleQueue[tuple[Callable[..., object], tuple[Any, ...]] | None]()
        self._threads = [Thread(target=self._run, daemon=True) for _ in range(number)]
        for thread in self._threads:
            thread.start()

    def submit(self, function: Callable[..., object], *args: Any) -> None:
        """Have a thread call a function; what it raises is logged."""
        self._calls.put((function, args))

    def end(self) -> None:
        """End the threads, once they have called all that was submitted."""
        for _ in self._threads:
            self._calls.put(None)
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while self._call_next():
            pass

    def _call_next(self) -> bool:
        """Call the next function, keeping nothing of it; return False when the threads end."""
        call = self._calls.get()
        if call is None:
            return False
        function, args = call
        try:
            function(*args)
        except BaseException:
            _log.exception("A request was not answered")
        return True
