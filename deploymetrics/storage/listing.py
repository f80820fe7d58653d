"""The list of all items of a collection, as every storage returns it."""

from bisect import bisect_left
from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import NamedTuple

import msgspec


class Entry(msgspec.Struct, frozen=True, gc=False):
    """An item in a list, without its value, of which it has only the ``size`` in bytes; see Item for the rest."""

    key: str
    version: int
    changed_at: str
    changed_by: str
    revision: str
    size: int

    @property
    def deleted(self) -> bool:
        """Always False, since a list has no deletions."""
        return False


class Listing(NamedTuple):
    """All items of a collection at one moment, in the order of their keys, and without their values.

    ``revision`` changes whenever an item does; ``changed_at`` is the latest of the items' (empty where there is none);
    ``damaged`` are the keys of items that cannot be read, which are not in ``items``.

    ``read(start, stop)`` yields the values of ``items[start:stop]`` as they were at that moment, each with a comma
    before it, some in one piece. They are read as they are asked for, so a large list needs little memory; StorageError
    is raised where one is gone meanwhile: it was purged, or the collection has no history.
    """

    revision: str
    changed_at: str
    items: tuple[Entry, ...]
    damaged: tuple[str, ...]
    read: Callable[[int, int], Iterator[bytes]]

    def find(self, key: str) -> Entry | None:
        """Return the Entry of a key, or None if it is not in the list."""
        place = bisect_left(self.items, key, key=attrgetter("key"))
        return next((item for item in self.items[place : place + 1] if item.key == key), None)

    def values(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Yield the values of ``items[start:stop]`` one by one."""
        number = start
        for piece in self.read(start, len(self.items) if stop is None else stop):
            end = 0
            while end < len(piece):
                place, end = end + 1, end + 1 + self.items[number].size
                yield piece[place:end]
                number += 1

    def array(self) -> Iterator[bytes]:
        """Yield the values as a JSON array, in pieces."""
        pieces = self.read(0, len(self.items))
        yield b"[" + next(pieces, b",")[1:]
        yield from pieces
        yield b"]"

    @property
    def array_size(self) -> int:
        """The size of ``array`` in bytes."""
        return sum(item.size for item in self.items) + max(len(self.items), 1) + 1
