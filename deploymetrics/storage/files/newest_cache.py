"""The newest versions of keys, kept in memory while two looks at the disk tell that they still are.

The newest version is the last line of the last file of a log. It still is while that file has the same size and there
is no file that begins with the next version. Files only grow, so neither sign can be fooled by the grain of a clock
or by the number of an inode that is used again.

Of what was read longest ago only the location is kept, so that it is read again without a look for it.
"""

import os
import threading
from collections.abc import Callable
from typing import NamedTuple

from .locations import Location, location_of, read_newest
from .log import Log, Newest, signature_of

#: Values larger than this are not kept, nor more than so many bytes of all, and the locations of so many keys.
ITEM_BYTES = 2**16
ALL_BYTES = 2**24
LOCATIONS = 2**17
_OVERHEAD = 2**10
#: One of so many that are read again is kept as a whole again: what is read often, sooner or later.
_PROMOTED = 8


class _Entry(NamedTuple):
    newest: Newest
    path: str
    next_path: str
    size: int


class NewestCache:
    """Keeps what was read last; the threads of a process share it."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str], _Entry] = {}  # the one that was put in first is the first
        self._locations: dict[tuple[str, str], Location] = {}
        self._bytes = 0
        self._rereads = 0
        self._lock = threading.Lock()

    def get(self, collection: str, key: str) -> Newest | None:
        """Return the Newest of a key if it is kept and still true."""
        entry = self._entries.get((collection, key))
        if entry is None:
            return None
        try:
            stat = os.stat(entry.path)
        except OSError:
            return None
        is_same = signature_of(stat) == entry.newest.signature and not os.access(entry.next_path, os.F_OK)
        return entry.newest if is_same else None

    def read(self, log: Log, find: Callable[[str], Location | None]) -> Newest | None:
        """Read the Newest of a key if its location is kept, or ``find`` knows it, and it is still true."""
        location = self._locations.get((log.collection.name, log.key)) or find(log.key)
        newest = read_newest(location, log) if location else None
        self._rereads += 1
        if newest and (self._bytes < ALL_BYTES - ITEM_BYTES or self._rereads % _PROMOTED == 0):
            self.put(log, newest)
        return newest

    def last(self, collection: str, key: str) -> Newest | None:
        """Return the Newest of a key if it is kept; a writer sees by itself whether it is still true."""
        entry = self._entries.get((collection, key))
        return entry and entry.newest

    def put(self, log: Log, newest: Newest) -> None:
        """Keep the Newest of a key, unless it is too large or may not be relied on."""
        name = log.collection.name, log.key
        item = newest.item
        size = item.size + _OVERHEAD if item else 0
        is_known = newest.is_ended and newest.signature and newest.signature[0] == newest.end
        is_kept = is_known and size and size <= ITEM_BYTES + _OVERHEAD
        with self._lock:
            self._locations.pop(name, None)
            before = self._entries.pop(name, None)
            self._bytes -= before.size if before else 0
            if is_kept:
                self._bytes += size
                self._entries[name] = _Entry(newest, log.path(newest.start), log.path(log.next_start(newest)), size)
            while self._bytes > ALL_BYTES:
                self._demote(next(iter(self._entries)))

    def _demote(self, name: tuple[str, str]) -> None:
        """Keep only the location of a key from now on."""
        entry = self._entries.pop(name)
        self._bytes -= entry.size
        if len(self._locations) >= LOCATIONS:
            del self._locations[next(iter(self._locations))]
        if location := location_of(entry.newest):
            self._locations[name] = location
