"""The newest versions of keys, kept in memory while two looks at the disk tell that they still are.

The newest version is the last line of the last file of a log. It still is while that file has the same size and there
is no file that begins with the next version. Files only grow, so neither sign can be fooled by the grain of a clock
or by the number of an inode that is used again.

What is not kept here is read where a list saw it last (see listing.py), by the same two signs.
"""

import os
import threading
from typing import NamedTuple

from .log import Log, Newest, signature_of

#: Values larger than this are not kept, nor more than so many bytes of all.
ITEM_BYTES = 2**16
ALL_BYTES = 2**24
_OVERHEAD = 2**10
#: Where there is no room, one of so many is kept of what is quickly read again: what is read often, sooner or later.
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
        self._bytes = 0
        self._offers = 0
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

    def last(self, collection: str, key: str) -> Newest | None:
        """Return the Newest of a key if it is kept; a writer sees by itself whether it is still true."""
        entry = self._entries.get((collection, key))
        return entry and entry.newest

    def offer(self, log: Log, newest: Newest) -> None:
        """Keep the Newest of a key if there is room, and sometimes where there is none."""
        self._offers += 1
        if self._bytes < ALL_BYTES - ITEM_BYTES or self._offers % _PROMOTED == 0:
            self.put(log, newest)

    def put(self, log: Log, newest: Newest) -> None:
        """Keep the Newest of a key, unless it is too large or may not be relied on."""
        name = log.collection.name, log.key
        item = newest.item
        size = item.size + _OVERHEAD if item else 0
        is_known = newest.is_ended and newest.signature and newest.signature[0] == newest.end
        with self._lock:
            if before := self._entries.pop(name, None):
                self._bytes -= before.size
            if is_known and size and size <= ITEM_BYTES + _OVERHEAD:
                self._bytes += size
                self._entries[name] = _Entry(newest, log.path(newest.start), log.path(log.next_start(newest)), size)
            while self._bytes > ALL_BYTES:
                self._bytes -= self._entries.pop(next(iter(self._entries))).size
