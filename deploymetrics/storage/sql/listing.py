"""The list of a collection, kept in memory and updated by those of its shards that have changed.

Each of the SHARDS parts of a collection has a mark, a random number that every write in it replaces within its own
transaction. One statement compares them with those of the list in memory and brings what is in the parts that differ:
it sees the database at one moment, so marks and items fit together. A number that counts would not do: the order of
commits is another one, and what a failover takes back might be counted twice.
"""

from collections.abc import Callable, Sequence
from functools import reduce
from operator import xor
from typing import Any

from ...clock import from_precise
from ...errors import StorageError
from .. import VERSION_LIMIT, Collection, Entry, Listing
from ..list_blocks import Blocks
from . import rows, statements
from .shared_answer import SharedAnswer

#: In the place of the mark of a part in which nothing was ever written.
_NONE = -1


class ShardListing:
    """Keeps the list of a collection up to date for all threads; ``query`` returns the rows of a statement."""

    def __init__(self, collection: Collection, query: Callable[[str, Any], list[Any]]) -> None:
        self.collection = collection
        self._query = query
        self._marks: list[int] = [_NONE] * rows.SHARDS
        self._known = _sql_array(self._marks)
        self._shards: dict[int, dict[str, Entry | None]] = {}  # None for what is damaged
        self._damaged: set[str] = set()
        self._blocks = Blocks[Entry](self._read_values)
        self._latest: tuple[int | None, Listing] = None, self._blocks.listing(())
        #: Returns the Listing; right at once after a write by any server.
        self.current = SharedAnswer(self._query_changes)

    def at(self, marks: int | None) -> Listing | None:
        """Return the Listing if it is up to date by the marks of all shards, given as one number."""
        known_marks, listing = self._latest
        return listing if known_marks == marks else None

    def _query_changes(self) -> Listing:
        parameters = {"collection": self.collection.name, "known": self._known}
        if changed := self._query(statements.CHANGED, parameters):
            self._apply_changes(changed)
            marks = reduce(xor, (mark for mark in self._marks if mark != _NONE))
            self._latest = marks, self._blocks.listing(self._damaged)
        return self._latest[1]

    def _apply_changes(self, changed: list[Any]) -> None:
        """Update the entries, marks and damaged keys by the rows of the shards that have changed."""
        before: dict[str, Entry | None] = {}
        after: dict[str, Entry | None] = {}
        for shard, mark in {(shard, mark) for shard, mark, *_ in changed}:
            self._marks[shard] = mark
            before |= self._shards.pop(shard, {})
        for shard, _, key, *row in changed:
            if key is not None:  # else there is nothing in that part
                entry = Entry(key, *row)
                after[key] = self._shards.setdefault(shard, {})[key] = entry if _is_valid(entry) else None
        self._known = _sql_array(self._marks)
        self._damaged = self._damaged - before.keys() | {key for key, entry in after.items() if entry is None}
        keys = [key for key in before.keys() | after.keys() if before.get(key) != after.get(key)]
        self._blocks.apply({key: after.get(key) for key in keys})

    def _read_values(self, entries: Sequence[Entry]) -> list[bytes]:
        parameters = {
            "collection": self.collection.name,
            "keys": [entry.key for entry in entries],
            "versions": _sql_array([entry.version for entry in entries]),
        }
        values = [value for (value,) in self._query(statements.VALUES, parameters)]
        if any(len(value or b"") != entry.size for value, entry in zip(values, entries, strict=True)):
            raise StorageError("The list has changed while it was read; try again.")
        return values


def _is_valid(entry: Entry) -> bool:
    try:
        from_precise(entry.changed_at)
    except ValueError:
        return False
    return 0 < entry.version < VERSION_LIMIT


def _sql_array(numbers: list[int]) -> str:
    text = ",".join(map(str, numbers))
    return f"{{{text}}}"
