"""One answer of the database for all threads that ask the same at the same time."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")


class SharedAnswer(Generic[T]):
    """Calls ``ask`` in one thread at a time; those that come meanwhile share the next answer.

    A thread never gets an answer that was asked for before it came: that may lack a write which it has seen. A failure
    is shared like an answer, so nobody waits for more than two. The first that comes asks for all that do until its
    turn; so a thread that has its answer, and comes again before others could go on, does not push in before them.
    """

    def __init__(self, ask: Callable[[], T]) -> None:
        self._ask = ask
        self._turn = threading.Lock()
        self._lock = threading.Lock()
        self._next: Future[T] | None = None

    def __call__(self) -> T:
        """Return what ``ask`` returned to this thread or to another one; raises as it does."""
        with self._lock:
            answer, is_first = self._next or Future[T](), self._next is None
            self._next = answer
        if is_first:
            with self._turn:
                with self._lock:
                    self._next = None  # who comes from now on is too late for this one
                try:
                    answer.set_result(self._ask())
                except BaseException as error:
                    answer.set_exception(error)
        return answer.result()
