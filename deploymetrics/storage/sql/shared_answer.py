"""One answer of the database for all threads that ask the same question at the same time."""

import time
from collections.abc import Callable
from copy import copy
from threading import Lock
from typing import Generic, NamedTuple

from .. import T


class _Answer(NamedTuple, Generic[T]):
    """The outcome of a call of ``ask``: a list with its result, or its error, and when the call began."""

    asked_at: float
    values: list[T]
    error: BaseException | None


class SharedAnswer(Generic[T]):
    """Calls ``ask`` in one thread at a time, and gives its answer to all threads that wanted one before the call.

    A thread never gets an answer to a call that began before it wanted one: that may lack a write which the thread has
    seen. A failure is shared like an answer, so that no thread waits for it again.
    """

    def __init__(self, ask: Callable[[], T]) -> None:
        self._ask = ask
        self._turn = Lock()
        self._latest = _Answer[T](0.0, [], None)

    def __call__(self, not_before: float | None = None) -> T:
        """Return what ``ask`` returned, or raise what it raised, in a call that began ``not_before`` then.

        That is by perf_counter(), and by default now, so that the thread has to wait.
        """
        not_before = time.perf_counter() if not_before is None else not_before
        answer = self._latest
        if answer.asked_at < not_before:
            with self._turn:
                if self._latest.asked_at < not_before:
                    asked_at = time.perf_counter()
                    try:
                        self._latest = _Answer(asked_at, [self._ask()], None)
                    except BaseException as error:
                        self._latest = _Answer(asked_at, [], error)
                answer = self._latest
        if answer.error:  # threads must not raise the same: it would grow by the traceback of each
            raise copy(answer.error) from answer.error
        return answer.values[0]
