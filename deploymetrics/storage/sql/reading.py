"""The newest versions, and the marks of lists: what a process remembers of them counts once the database confirms it.

**A snapshot says which transactions a statement sees**: PostgreSQL writes the number from which on it sees none, and
those below that are still open. Numbers only grow, and a transaction leaves the snapshot before its client is told that
it ended. So where two statements have the same snapshot none ended between them, be it one that was open before, a
prepared or a nested one, and both see the same rows. That holds for one server while it runs, so two things are part of
a snapshot here:

- When the server started. Another one gives numbers of its own, and after a restart those that had not reached the disk
  are given again.
- How many connections this process has opened. A server whose process crashes ends all connections and begins anew, as
  of the same start; while none was opened here, the one that answers was there all the time.

Behind a pool that shares its connections this says nothing, and nothing counts as confirmed (``prepare`` is off). The
snapshot of a standby does not say what is open, but no standby is ever asked.

While nothing changes, a statement asks for the snapshot alone, and the answer is for all requests that had come before
it was asked for. A thread works with what is remembered first, and looks for that answer when it is done: so of many
requests one waits, and the others find what it got. What came of another snapshot is done again. Once it is another
one, statements bring what is wanted too, until two of them have had the same.
"""

import threading
import time
from collections.abc import Callable
from copy import copy
from functools import partial
from typing import Any, NamedTuple

from ...errors import DamagedItemError
from .. import Collection, Item, T, lines
from ..item_cache import ItemCache, Name
from . import statements
from .connections import Connections
from .shared_answer import SharedAnswer

#: What is read of a collection: the item of a key, or the marks of its list where that is None.
Wanted = tuple[Collection, str | None]
#: What a statement saw: how many connections were open before, and what the server says.
Snapshot = tuple[int, str]


class Answer(NamedTuple):
    """The answer of a statement for one key or list, and its snapshot.

    The value is an Item, None where there is none, a DamagedItemError, or the marks of a list as one number.
    """

    value: Any
    snapshot: Snapshot


class _Ahead(threading.local):
    """The answers that a thread has fetched, and has not used yet."""

    def __init__(self) -> None:
        self.answers: dict[Name, Answer] = {}


class Reader:
    """Reads items and the marks of lists for all threads of a process; ``prepare`` is that of SqlStorage."""

    def __init__(self, connections: Connections, *, prepare: bool) -> None:
        self.remembered = ItemCache[Answer]()
        self._connections = connections
        self._prepare = prepare
        self._ahead = _Ahead()
        self._latest: Snapshot = 0, ""
        self._is_calm = False
        self._snapshot = SharedAnswer(self._ask_for_snapshot)
        self._with_lists: dict[tuple[Wanted, ...], SharedAnswer[dict[Name, Answer]]] = {}

    def read_together(self, work: Callable[[], T], wanted: tuple[Wanted, ...], not_before: float | None = None) -> T:
        """Call ``work``, which reads each wanted item once, and return what it returns; see Storage.

        While nothing changes ``work`` begins with what is remembered, and the database is asked afterwards whether that
        is so still: by then another thread often has asked.
        """
        not_before, latest = not_before or time.perf_counter(), self._latest
        if self._is_calm and (answers := self._find_remembered(wanted, latest)):
            try:
                result = self._call_with(answers, work)
            except Exception:
                if self._snapshot(not_before) == latest:
                    raise
            else:
                if self._snapshot(not_before) == latest:
                    return result
        return self._call_with(self._ask_or_share(wanted, not_before).copy(), work)

    def _call_with(self, answers: dict[Name, Answer], work: Callable[[], T]) -> T:
        before, self._ahead.answers = self._ahead.answers, answers
        try:
            return work()
        finally:
            self._ahead.answers = before

    def item(self, collection: Collection, key: str) -> Item | None:
        """Return the newest version of a key, or None if that is a deletion; raises DamagedItemError."""
        value: Item | DamagedItemError | None = self._answer(collection, key).value
        if isinstance(value, DamagedItemError):  # which other threads may have got too
            raise copy(value) from value.__cause__
        return value

    def marks(self, collection: Collection) -> int | None:
        """Return the marks of a collection's shards as one number, or None if it has none."""
        marks: int | None = self._answer(collection, None).value
        return marks

    def expect_change(self) -> None:
        """Have the next read fetch its items at once: this process is about to write, so the snapshot will differ."""
        self._is_calm = False

    def _answer(self, collection: Collection, key: str | None) -> Answer:
        name = collection.name, key
        answer = self._ahead.answers.pop(name, None)
        return answer or self.read_together(lambda: self._ahead.answers.pop(name), ((collection, key),))

    def _find_remembered(self, wanted: tuple[Wanted, ...], latest: Snapshot) -> dict[Name, Answer]:
        """Return the remembered answers for the wanted items; empty unless all of them are of the snapshot."""
        answers = {}
        for collection, key in wanted:
            name = collection.name, key
            answer = self.remembered.get(name)
            if answer is None or answer.snapshot != latest:
                return {}
            answers[name] = answer
        return answers

    def _ask_or_share(self, wanted: tuple[Wanted, ...], not_before: float) -> dict[Name, Answer]:
        """Return the database's answers for the wanted items; threads that want the same lists share them."""
        if all(key is not None for _, key in wanted):
            return self._ask(wanted)
        shared = self._with_lists.get(wanted)
        if shared is None:
            shared = self._with_lists.setdefault(wanted, SharedAnswer(partial(self._ask, wanted)))
        return shared(not_before)

    def _ask_for_snapshot(self) -> Snapshot:
        number_opened, ((text,),) = self._connections.find(statements.SNAPSHOT, ())
        return self._note_snapshot(number_opened, text)

    def _ask(self, wanted: tuple[Wanted, ...]) -> dict[Name, Answer]:
        """Return the answers for all wanted items, by one statement."""
        known_items: list[Item | None] = []
        parameters: list[str] = []
        for collection, key in wanted:
            answer = self.remembered.get((collection.name, key))
            item = answer.value if answer and isinstance(answer.value, Item) else None
            known_items.append(item)
            parameters += [collection.name] if key is None else [collection.name, key, item.revision if item else ""]
        statement = statements.read_all(*(key is None for _, key in wanted))
        number_opened, rows = self._connections.find(statement, parameters)
        by_number: dict[int, Any] = {row[0]: row[1:] for row in rows}
        snapshot = self._note_snapshot(number_opened, by_number[statements.OF_SNAPSHOT][1])
        answers = {}
        for number, (collection, key) in enumerate(wanted):
            name, row = (collection.name, key), by_number.get(number)
            answers[name] = answer = Answer(_value_of_row(collection, key, row, known_items[number]), snapshot)
            # What is not there is not remembered: clients may ask for anything.
            if row and not isinstance(answer.value, DamagedItemError):
                self.remembered.put(name, answer, answer.value.size if isinstance(answer.value, Item) else 0)
        return answers

    def _note_snapshot(self, number_opened: int, text: str) -> Snapshot:
        snapshot = number_opened, text
        self._is_calm = self._prepare and snapshot == self._latest
        self._latest = snapshot
        return snapshot


def _value_of_row(collection: Collection, key: str | None, row: Any, known: Item | None) -> Any:
    """Return the value of an Answer from its row; ``known`` is the Item whose value the row leaves out."""
    if key is None:
        return row[0]
    if row is None or row[-1]:
        return None
    if row[-2] is None:
        return known
    try:
        return lines.item_of(collection, key, *row[:-1])
    except DamagedItemError as error:
        return error
