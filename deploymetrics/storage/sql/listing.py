"""What there is in a collection, kept in memory and brought up to date by the parts of it that have changed.

Each of the SHARDS parts of a collection has a mark, a random number that every write in it replaces within its own
transaction. One statement compares them with those of the list in memory and brings what is in the parts that differ:
it sees the database at one moment, so marks and items fit together. A number that counts would not do: the order of
commits is another one, and what a failover takes back might be counted twice.
"""

import threading
from collections.abc import Callable, Iterator
from functools import partial
from hashlib import blake2b
from typing import Any

from ...clock import from_precise
from ...errors import StorageError
from .. import VERSION_LIMIT, Collection, Entry, Listing
from . import rows, statements

#: The values of a list are kept in memory up to so many bytes, in pieces of so many items.
KEPT_BYTES = 2**24
_PIECE_ITEMS = 256
#: Of a larger list so many bytes are read at a time.
_BATCH_BYTES = 2**21
Part = tuple[Entry, ...]


class ShardListing:
    """Answers ``current()`` for one collection; one per process, shared by its threads.

    ``query`` returns the rows that a statement finds with its parameters.
    """

    def __init__(self, collection: Collection, query: Callable[[str, Any], list[Any]]) -> None:
        self.collection = collection
        self._query = query
        self._lock = threading.Lock()
        self._marks: list[int] = [-1] * rows.SHARDS
        self._known = _array(self._marks)
        self._shards: dict[int, dict[str, Entry]] = {}
        self._damaged: dict[int, set[str]] = {}
        self._pieces: dict[int, tuple[Part, bytes]] = {}
        self._listing = self._build()

    def current(self) -> Listing:
        """Return the Listing; right at once after a write by any server."""
        with self._lock:
            where = {"collection": self.collection.name, "known": self._known}
            if changed := self._query(statements.CHANGED, where):
                self._take(changed)
                self._listing = self._build()
            return self._listing

    def _take(self, changed: list[Any]) -> None:
        for shard, mark, *_ in changed:
            self._marks[shard] = mark
            self._shards[shard], self._damaged[shard] = {}, set()
        for shard, _, key, *row in changed:
            if key is None:
                continue
            entry = Entry(key, *row)
            if _is_good(entry):
                self._shards[shard][key] = entry
            else:
                self._damaged[shard].add(key)
        self._known = _array(self._marks)

    def _build(self) -> Listing:
        found = {key: entry for entries in self._shards.values() for key, entry in entries.items()}
        items = tuple(found[key] for key in sorted(found))
        damaged = sorted(set().union(*self._damaged.values()))
        listing = Listing(
            blake2b("\n".join([*(item.revision for item in items), *damaged]).encode(), digest_size=12).hexdigest(),
            max((item.changed_at for item in items), default=""),
            items,
            tuple(damaged),
            partial(self._read, items),
        )
        if listing.array_size > KEPT_BYTES:
            self._pieces.clear()
            return listing._replace(read=partial(self._read_in_batches, items))
        return listing

    def _read(self, items: Part, start: int, stop: int) -> Iterator[bytes]:
        """Yield the values of a list that is kept in memory."""
        for first in range(start - start % _PIECE_ITEMS, stop, _PIECE_ITEMS):
            part = items[first : first + _PIECE_ITEMS]
            text = self._text(first // _PIECE_ITEMS, part)
            before, after = max(start - first, 0), min(stop - first, len(part))
            yield text[_size(part[:before]) : len(text) - _size(part[after:])]

    def _text(self, number: int, part: Part) -> bytes:
        """Return a piece of the array; only what changed in it is read anew."""
        known = self._pieces.get(number)
        if known and known[0] == part:
            return known[1]
        values = _values(*known) if known else {}
        missing = tuple(entry for entry in part if entry.revision not in values)
        for batch in _batches(missing):
            values |= zip((entry.revision for entry in batch), self._fetch(batch), strict=True)
        text = b"".join(b"," + values[entry.revision] for entry in part)
        self._pieces[number] = part, text
        return text

    def _read_in_batches(self, items: Part, start: int, stop: int) -> Iterator[bytes]:
        for batch in _batches(items[start:stop]):
            yield b"".join(b"," + value for value in self._fetch(batch))

    def _fetch(self, entries: Part) -> list[bytes]:
        where = {
            "collection": self.collection.name,
            "keys": [entry.key for entry in entries],
            "versions": _array([entry.version for entry in entries]),
        }
        values = [value for (value,) in self._query(statements.VALUES, where)]
        if any(len(value or b"") != entry.size for value, entry in zip(values, entries, strict=True)):
            raise StorageError("The list has changed while it was read; try again.")
        return values


def _is_good(entry: Entry) -> bool:
    try:
        from_precise(entry.changed_at)
    except ValueError:
        return False
    return 0 < entry.version < VERSION_LIMIT


def _values(part: Part, text: bytes) -> dict[str, bytes]:
    """Return the values in a piece by their revisions."""
    values, end = {}, 0
    for entry in part:
        start, end = end + 1, end + 1 + entry.size
        values[entry.revision] = text[start:end]
    return values


def _batches(entries: Part) -> Iterator[Part]:
    """Yield the entries in their order, so many at a time as may be read at once."""
    start = size = 0
    for number, entry in enumerate(entries):
        if number > start and (size + entry.size > _BATCH_BYTES or number - start == _PIECE_ITEMS):
            yield entries[start:number]
            start, size = number, 0
        size += entry.size
    if start < len(entries):
        yield entries[start:]


def _size(part: Part) -> int:
    return sum(entry.size + 1 for entry in part)


def _array(numbers: list[int]) -> str:
    text = ",".join(map(str, numbers))
    return f"{{{text}}}"
