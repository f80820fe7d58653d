"""A cache of the items that were read last; the storages check that what it returns is not outdated."""

import threading
from typing import Generic, TypeVar

V = TypeVar("V")
#: A collection's name and a key; None for the list of the collection.
Name = tuple[str, str | None]
#: Values larger than this are not kept, nor more than so many bytes of all.
ITEM_BYTES = 2**16
ALL_BYTES = 2**24
# What one takes beside its value, in bytes.
_OVERHEAD = 1600


class ItemCache(Generic[V]):
    """Caches a value for each name, within a limit of memory; the threads of a process share it."""

    def __init__(self) -> None:
        self._kept: dict[Name, tuple[V, int]] = {}  # the one that was put in first is the first
        self._bytes = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def has_room(self) -> bool:
        """True if the next value does not push out another one."""
        return self._bytes < ALL_BYTES - ITEM_BYTES

    def get(self, name: Name) -> V | None:
        """Return the cached value of a name, or None."""
        kept = self._kept.get(name)
        return kept and kept[0]

    def put(self, name: Name, value: V, size: int) -> None:
        """Cache a value, unless the item in it, of ``size`` bytes, is too large."""
        with self._lock:
            self._bytes -= self._kept.pop(name, (None, 0))[1]
            if size <= ITEM_BYTES:
                self._kept[name] = value, size + _OVERHEAD
                self._bytes += size + _OVERHEAD
            while self._bytes > ALL_BYTES:
                self._bytes -= self._kept.pop(next(iter(self._kept)))[1]

    def forget(self, name: Name) -> None:
        """Drop the cached value of a name."""
        with self._lock:
            self._bytes -= self._kept.pop(name, (None, 0))[1]
