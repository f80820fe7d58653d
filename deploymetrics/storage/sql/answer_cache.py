"""What the database said last of the newest versions and lists that this process reads; it may be old."""

import threading
from typing import Any, NamedTuple

from .. import Item

#: Values larger than this are not kept, nor more than so many bytes of all.
ITEM_BYTES = 2**16
ALL_BYTES = 2**24
_OVERHEAD = 2**10

#: What a statement saw, see reading.py: how many connections were open before, and what the server says.
Snapshot = tuple[int, str]
#: A collection's name and a key; None for the list of the collection.
Name = tuple[str, str | None]


class Answer(NamedTuple):
    """What a statement found, and what it saw.

    The value is an Item, None where there is none, a DamagedItemError, or the marks of a list as one number.
    """

    value: Any
    snapshot: Snapshot


class AnswerCache:
    """Keeps Answers; the threads of a process share it."""

    def __init__(self) -> None:
        self._answers: dict[Name, Answer] = {}
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, name: Name) -> Answer | None:
        """Return what was kept last."""
        return self._answers.get(name)

    def put(self, name: Name, answer: Answer) -> None:
        """Keep an Answer, unless its Item is too large; where there are too many, begin anew."""
        size = _size(answer)
        with self._lock:
            self._drop(name)
            if size > ITEM_BYTES + _OVERHEAD:
                return
            if self._bytes + size > ALL_BYTES:
                self._answers, self._bytes = {}, 0
            self._answers[name] = answer
            self._bytes += size

    def forget(self, name: Name) -> None:
        """Drop what was kept of a name."""
        with self._lock:
            self._drop(name)

    def _drop(self, name: Name) -> None:
        if before := self._answers.pop(name, None):
            self._bytes -= _size(before)


def _size(answer: Answer) -> int:
    return (answer.value.size if isinstance(answer.value, Item) else 0) + _OVERHEAD
