"""The newest versions of keys, kept in memory while two looks at the disk tell that they still are.

The newest version is the last line of the last file of a log. It still is while that file has the same size and there
is no file that begins with the next version. Files only grow, so neither sign can be fooled by the grain of a clock
or by the number of an inode that is used again.
"""

import os
from typing import NamedTuple

from .log import Log, Newest, signature_of

#: Values larger than this are not kept, nor more than so many bytes of all.
ITEM_BYTES = 2**16
ALL_BYTES = 2**24
_OVERHEAD = 2**10


class _Entry(NamedTuple):
    newest: Newest
    path: str
    next_path: str
    size: int


class Remembered:
    """Keeps what was read last; the threads of a process share it."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str], _Entry] = {}
        self._bytes = 0

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

    def put(self, log: Log, newest: Newest) -> None:
        """Keep the Newest of a key, unless it is too large or may not be relied on."""
        name = log.collection.name, log.key
        before = self._entries.pop(name, None)
        self._bytes -= before.size if before else 0
        item = newest.item
        size = len(item.value or b"") + _OVERHEAD if item else 0
        if not size or size > ITEM_BYTES + _OVERHEAD or not newest.signature or newest.signature[0] != newest.end:
            return
        if self._bytes + size > ALL_BYTES:
            self._entries.clear()
            self._bytes = 0
        self._bytes += size
        self._entries[name] = _Entry(newest, log.path(newest.start), log.path(log.next_start(newest)), size)
