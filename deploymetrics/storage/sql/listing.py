"""What there is in a collection, kept in memory and brought up to date by the parts of it that have changed.

Each of the SHARDS parts of a collection has a mark, a random number that every write in it replaces within its own
transaction. One statement compares them with those of the list in memory and brings what is in the parts that differ:
it sees the database at one moment, so marks and items fit together. A number that counts would not do: the order of
commits is another one, and what a failover takes back might be counted twice.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial, reduce
from itertools import chain, islice
from operator import xor
from typing import Any

from ...clock import from_precise
from ...errors import StorageError
from .. import VERSION_LIMIT, Collection, Entry, Listing
from ..blocks import Block, Blocks
from . import rows, statements
from .shared_answer import SharedAnswer

#: The values of a list are kept in memory up to so many bytes, a block at a time.
KEPT_BYTES = 2**24
#: So many bytes, and values, are read at a time.
_BATCH_BYTES = 2**21
_BATCH_ITEMS = 256
#: In the place of the mark of a part in which nothing was ever written.
_NONE = -1
Part = tuple[Entry, ...]


class ShardListing:
    """Answers ``current()`` for one collection; one per process, shared by its threads.

    ``query`` returns the rows that a statement finds with its parameters.
    """

    def __init__(self, collection: Collection, query: Callable[[str, Any], list[Any]]) -> None:
        self.collection = collection
        self._query = query
        self._marks: list[int] = [_NONE] * rows.SHARDS
        self._known = _array(self._marks)
        self._shards: dict[int, dict[str, Entry]] = {}
        self._damaged: dict[int, set[str]] = {}
        self._blocks = Blocks[Entry]()
        self._size = 0
        self._texts: dict[str, tuple[Part, bytes]] = {}  # by the first key of the block
        self._latest: tuple[int | None, Listing] = None, self._build()
        #: Returns the Listing; right at once after a write by any server.
        self.current = SharedAnswer(self._ask)

    def at(self, marks: int | None) -> Listing | None:
        """Return the Listing if it is the one of these marks, which the statement MARKS gives as one number."""
        known, listing = self._latest
        return listing if known == marks else None

    def _ask(self) -> Listing:
        where = {"collection": self.collection.name, "known": self._known}
        if changed := self._query(statements.CHANGED, where):
            self._take(changed)
            marks = reduce(xor, (mark for mark in self._marks if mark != _NONE))
            self._latest = marks, self._build()
        return self._latest[1]

    def _take(self, changed: list[Any]) -> None:
        before: dict[str, Entry] = {}
        found: dict[str, Entry] = {}
        for shard, mark, *_ in changed:
            self._marks[shard] = mark
            before |= self._shards.get(shard, {})
            self._shards[shard], self._damaged[shard] = {}, set()
        for shard, _, key, *row in changed:
            if key is None:
                continue
            entry = Entry(key, *row)
            if _is_good(entry):
                found[key] = self._shards[shard][key] = entry
            else:
                self._damaged[shard].add(key)
        self._known = _array(self._marks)
        self._size += sum(entry.size for entry in found.values()) - sum(entry.size for entry in before.values())
        keys = [key for key in before.keys() | found.keys() if before.get(key) != found.get(key)]
        self._blocks.apply({key: found.get(key) for key in keys})

    def _build(self) -> Listing:
        blocks, damaged = tuple(self._blocks.blocks), tuple(sorted(set().union(*self._damaged.values())))
        if len(self._texts) > len(blocks) or self._size > KEPT_BYTES:
            self._texts.clear()
        read = self._read_in_batches if self._size > KEPT_BYTES else self._read
        items, changed_at = self._blocks.entries(), self._blocks.changed_at()
        return Listing(self._blocks.revision(damaged), changed_at, items, damaged, partial(read, blocks))

    def _read(self, blocks: Sequence[Block[Entry]], start: int, stop: int) -> Iterator[bytes]:
        """Yield the values of a list that is kept in memory."""
        place = 0
        for part, _, _ in blocks:
            first, last = max(start - place, 0), min(stop - place, len(part))
            if first < last:
                text = self._text(part)
                yield text[_size(part[:first]) : len(text) - _size(part[last:])]
            place += len(part)

    def _text(self, part: Part) -> bytes:
        """Return the values of a block; only what changed in it is read anew."""
        known = self._texts.get(part[0].key)
        if known and known[0] is part:
            return known[1]
        values = _values(*known) if known else {}
        missing = tuple(entry for entry in part if entry.revision not in values)
        for batch in _batches(missing):
            values |= zip((entry.revision for entry in batch), self._fetch(batch), strict=True)
        text = b"".join(b"," + values[entry.revision] for entry in part)
        self._texts[part[0].key] = part, text
        return text

    def _read_in_batches(self, blocks: Sequence[Block[Entry]], start: int, stop: int) -> Iterator[bytes]:
        entries = tuple(islice(chain.from_iterable(block.entries for block in blocks), start, stop))
        for batch in _batches(entries):
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
        if number > start and (size + entry.size > _BATCH_BYTES or number - start == _BATCH_ITEMS):
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
