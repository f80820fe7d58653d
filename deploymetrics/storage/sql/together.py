"""One answer of the database for all threads that ask the same at the same time."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Together(Generic[T]):
    """Calls ``ask`` in one thread at a time; those that waited meanwhile share the next answer.

    A thread never gets an answer that was asked for before it came: that may lack a write which it has seen. A failure
    is shared like an answer, so nobody waits for more than two.
    """

    def __init__(self, ask: Callable[[], T]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._asked = 0
        self._answers: list[T] = []
        self._error: BaseException | None = None

    def __call__(self) -> T:
        """Return what ``ask`` returned to this thread or to another one; raises as it does."""
        asked = self._asked
        with self._lock:
            if self._asked == asked:  # no other one has begun to ask since this one came
                self._asked += 1
                try:
                    self._answers, self._error = [self._ask()], None
                except BaseException as raised:
                    self._answers, self._error = [], raised
            answers, error = self._answers, self._error
        if error:
            raise error
        return answers[0]
