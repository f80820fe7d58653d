"""The entries of a list in order, in blocks, so that a change costs the work of a block and not of all.

Which keys begin a block is a matter of the keys alone, not of what was written in which order. So every process has
the same blocks of the same items, and says the same revision.
"""

import zlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b
from itertools import chain
from operator import attrgetter
from typing import Generic, NamedTuple, TypeVar

from .listing import Entry

#: One key of so many begins a block.
BLOCK_ITEMS = 256
_by_key = attrgetter("key")
E = TypeVar("E", bound=Entry)


class Block(NamedTuple, Generic[E]):
    """Some entries in a row, the digest of their revisions, and the latest of their times."""

    entries: tuple[E, ...]
    digest: bytes
    changed_at: str


class Blocks(Generic[E]):
    """All entries of a collection in the order of their keys."""

    def __init__(self) -> None:
        self.blocks: list[Block[E]] = []
        self._firsts: list[str] = []

    def entries(self) -> tuple[E, ...]:
        """Return all entries."""
        return tuple(chain.from_iterable(block.entries for block in self.blocks))

    def revision(self, damaged: Iterable[str]) -> str:
        """Return the revision of a list of these entries, in which some keys are ``damaged``."""
        digests = b"".join(block.digest for block in self.blocks)
        return blake2b(digests + "\n".join(damaged).encode(), digest_size=12).hexdigest()

    def changed_at(self) -> str:
        """Return the latest of the times, empty where there is no entry."""
        return max((block.changed_at for block in self.blocks), default="")

    def apply(self, changes: Mapping[str, E | None]) -> None:
        """Put the new entries of these keys in their places; None, or a deletion, removes."""
        groups: dict[int, dict[str, E | None]] = {}
        for key, place in changes.items():
            groups.setdefault(max(bisect_right(self._firsts, key) - 1, 0), {})[key] = place
        for number in sorted(groups, reverse=True):  # from the end, so that the numbers before it stay as they are
            self._change(number, groups[number])

    def _change(self, number: int, changes: Mapping[str, E | None]) -> None:
        places: dict[str, E | None] = {}
        for block in self.blocks[number : number + 1]:
            places.update((entry.key, entry) for entry in block.entries)
        places.update(changes)
        entries = sorted((entry for entry in places.values() if entry and not entry.deleted), key=_by_key)
        first = number
        if number and entries and not _begins_block(entries[0].key):  # what began it is gone
            first -= 1
            entries = [*self.blocks[first].entries, *entries]
        self.blocks[first : number + 1] = new = [_block(part) for part in _parts(entries)]
        self._firsts[first : number + 1] = [block.entries[0].key for block in new]


def _begins_block(key: str) -> bool:
    return zlib.crc32(key.encode()) % BLOCK_ITEMS == 0


def _parts(entries: list[E]) -> Iterator[tuple[E, ...]]:
    starts = [number for number, entry in enumerate(entries) if number == 0 or _begins_block(entry.key)]
    for start, end in zip(starts, [*starts[1:], len(entries)]):
        yield tuple(entries[start:end])


def _block(entries: tuple[E, ...]) -> Block[E]:
    revisions = "\n".join(entry.revision for entry in entries)
    digest = blake2b(revisions.encode(), digest_size=16).digest()
    return Block(entries, digest, max(entry.changed_at for entry in entries))
