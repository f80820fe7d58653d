"""The entries of a list in blocks, so that a change costs the work of one block, not of the whole list.

Which keys begin a block is a matter of the keys alone, not of what was written in which order. So every process has
the same blocks of the same items, and says the same revision.

A block keeps its values once they were asked for, joined, up to a limit of all; what is beyond that is read each time.
So a process that sends pages, or answers 304, keeps little.
"""

import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from hashlib import blake2b
from itertools import chain, zip_longest
from operator import attrgetter
from typing import Generic, TypeVar

from .listing import Entry, Listing

#: One key of so many begins a block.
BLOCK_ITEMS = 256
#: The most bytes of values that a process keeps for the lists of a collection.
KEPT_BYTES = 2**27
#: The values of a block that is larger are not kept; of what is read each time, about so many bytes are read at once.
BLOCK_BYTES = 2**22
PIECE_BYTES = 2**18
_by_key = attrgetter("key")
E = TypeVar("E", bound=Entry)


class Block(Generic[E]):
    """A block of consecutive entries, with a digest of their revisions, and the latest of their times.

    ``kept`` is (entries, their values, each with a comma before it): those of the block that it replaced until its
    own are asked for. ``is_listed`` until another block replaces it.
    """

    __slots__ = ("entries", "digest", "changed_at", "kept", "is_listed")

    def __init__(self, entries: tuple[E, ...], before: "Block[E] | None" = None) -> None:
        revisions = "\n".join(entry.revision for entry in entries)
        self.entries = entries
        self.digest = blake2b(revisions.encode(), digest_size=16).digest()
        self.changed_at = max(entry.changed_at for entry in entries)
        self.kept: tuple[Sequence[E], bytes] = before.kept if before else ((), b"")
        self.is_listed = True


class Blocks(Generic[E]):
    """The entries of a collection in blocks, ordered by key; ``read`` returns the values of some entries, in order."""

    def __init__(self, read: Callable[[Sequence[E]], Iterable[bytes]]) -> None:
        self.read = read
        self.blocks: list[Block[E]] = []
        self._firsts: list[str] = []

    def listing(self, damaged: Iterable[str]) -> Listing:
        """Return the Listing of all entries; ``damaged`` are the keys of damaged items."""
        keys, blocks = tuple(sorted(damaged)), tuple(self.blocks)
        digests = b"".join(block.digest for block in blocks)
        revision = blake2b(digests + "\n".join(keys).encode(), digest_size=12).hexdigest()
        changed_at = max((block.changed_at for block in blocks), default="")
        entries = tuple(chain.from_iterable(block.entries for block in blocks))
        return Listing(revision, changed_at, entries, keys, partial(self._read_pieces, blocks))

    def apply(self, changes: Mapping[str, E | None]) -> None:
        """Replace the entries of some keys; None, or a deletion, removes an entry."""
        groups: dict[int, dict[str, E | None]] = {}
        for key, entry in changes.items():
            groups.setdefault(max(bisect_right(self._firsts, key) - 1, 0), {})[key] = entry
        for number in sorted(groups, reverse=True):  # from the end, so that the numbers before it stay as they are
            self._change_block(number, groups[number])

    def _change_block(self, number: int, changes: Mapping[str, E | None]) -> None:
        """Apply changes to one block, which may make it several, or a part of the one before."""
        by_key: dict[str, E | None] = {}
        for block in self.blocks[number : number + 1]:
            by_key.update((entry.key, entry) for entry in block.entries)
        by_key.update(changes)
        entries = sorted((entry for entry in by_key.values() if entry and not entry.deleted), key=_by_key)
        first = number
        if number and entries and not _begins_block(entries[0].key):  # what began it is gone
            first -= 1
            entries = [*self.blocks[first].entries, *entries]
        before = self.blocks[first : number + 1]
        new = [Block(part, old) for part, old in zip_longest(_split_into_blocks(entries), before[:1]) if part]
        for block in before:  # a list that is still being sent may have it for a while
            block.is_listed, block.kept = False, ((), b"")
        self.blocks[first : number + 1] = new
        self._firsts[first : number + 1] = [block.entries[0].key for block in new]

    def _read_pieces(self, blocks: Iterable[Block[E]], start: int, stop: int) -> Iterator[bytes]:
        """Yield the values of the entries from ``start`` to ``stop`` in pieces, each value with a comma before it."""
        place = 0
        for block in blocks:
            size = len(block.entries)
            first, last = max(start - place, 0), min(stop - place, size)
            place += size
            if first >= last:
                continue
            if text := self._values(block):
                is_part = last - first < size
                yield (text[_sum_sizes(block.entries[:first]) : _sum_sizes(block.entries[:last])] if is_part else text)
            else:
                for batch in _batches(block.entries[first:last]):
                    yield b"".join(b"," + value for value in self.read(batch))

    def _values(self, block: Block[E]) -> bytes:
        """Return the values of a block, joined and kept in memory; empty if there is no room for them."""
        entries, (kept_entries, text) = block.entries, block.kept
        if kept_entries is entries:
            return text
        size = _sum_sizes(entries)
        room = KEPT_BYTES - sum(len(other.kept[1]) for other in self.blocks if other is not block)
        if size > min(BLOCK_BYTES, room):
            return b""
        values, place = {}, 0
        for entry in kept_entries:
            values[entry.revision] = text[place + 1 : (place := place + 1 + entry.size)]
        if missing := [entry for entry in entries if entry.revision not in values]:
            values |= zip((entry.revision for entry in missing), self.read(missing), strict=True)
        text = b"".join(b"," + values[entry.revision] for entry in entries)
        if block.is_listed:
            block.kept = entries, text
        return text


def _begins_block(key: str) -> bool:
    """Return True if a block begins with this key."""
    return zlib.crc32(key.encode()) % BLOCK_ITEMS == 0


def _split_into_blocks(entries: list[E]) -> Iterator[tuple[E, ...]]:
    starts = [number for number, entry in enumerate(entries) if number == 0 or _begins_block(entry.key)]
    for start, end in zip(starts, [*starts[1:], len(entries)]):
        yield tuple(entries[start:end])


def _sum_sizes(entries: Sequence[E]) -> int:
    return sum(entry.size + 1 for entry in entries)


def _batches(entries: Sequence[E]) -> Iterator[Sequence[E]]:
    """Split entries into batches whose values are small enough to be read at once."""
    start = size = 0
    for number, entry in enumerate(entries):
        if number > start and size + entry.size > PIECE_BYTES:
            yield entries[start:number]
            start, size = number, 0
        size += entry.size
    yield entries[start:]
