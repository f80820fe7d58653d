"""One answer of the database for all threads that ask the same at the same time."""

import time
from collections.abc import Callable
from copy import copy
from threading import Lock
from typing import Generic, NamedTuple

from .. import T


class _Answer(NamedTuple, Generic[T]):
    """What ``ask`` returned, a list of one, or raised, and when it was called."""

    asked: float
    values: list[T]
    error: BaseException | None


class SharedAnswer(Generic[T]):
    """Calls ``ask`` in one thread at a time; what comes of it is for all threads that came before it was called.

    A thread never gets an answer that was asked for before it came: that may lack a write which it has seen. A failure
    is shared like an answer, so that no thread waits for it again.
    """

    def __init__(self, ask: Callable[[], T]) -> None:
        self._ask = ask
        self._turn = Lock()
        self._latest = _Answer[T](0.0, [], None)

    def __call__(self, came: float | None = None) -> T:
        """Return what ``ask`` returned, or raise what it raised, for a thread that ``came`` then, by perf_counter().

        By default it comes now, and has to wait. One that came before may find the answer there.
        """
        came = time.perf_counter() if came is None else came
        answer = self._latest
        if answer.asked < came:
            with self._turn:
                if self._latest.asked < came:
                    asked = time.perf_counter()
                    try:
                        self._latest = _Answer(asked, [self._ask()], None)
                    except BaseException as error:
                        self._latest = _Answer(asked, [], error)
                answer = self._latest
        if answer.error:  # threads must not raise the same: it would grow by the traceback of each
            raise copy(answer.error) from answer.error
        return answer.values[0]
