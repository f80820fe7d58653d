"""The newest versions of keys, kept in memory while two looks at the disk tell that they still are.

The newest version is the last line of the last file of a log. It still is while that file has the same size and there
is no file that begins with the next version. Files grow, so neither sign can be fooled by the grain of a clock or by
the number of an inode that is used again. Where all old versions were purged, or a backup was put in place, a file may
be shorter than before: inode and time say so.

What is not kept here is read where a list saw it last (see listing.py), by the same two signs.
"""

from typing import NamedTuple

from ..item_cache import ItemCache
from .log import Log, Newest, is_unchanged


class _Kept(NamedTuple):
    newest: Newest
    path: str
    next_path: str
    sign: int


class NewestCache(ItemCache[_Kept]):
    """Keeps what was read last; the threads of a process share it."""

    def current(self, collection: str, key: str) -> Newest | None:
        """Return the Newest of a key if it is kept and still true."""
        kept = self.get((collection, key))
        return kept.newest if kept and is_unchanged(kept.path, kept.next_path, kept.sign) else None

    def last(self, collection: str, key: str) -> Newest | None:
        """Return the Newest of a key if it is kept; a writer sees by itself whether it is still true."""
        kept = self.get((collection, key))
        return kept and kept.newest

    def keep(self, log: Log, newest: Newest) -> None:
        """Keep the Newest of a key, unless it is too large or may not be relied on."""
        name = log.collection.name, log.key
        if newest.item and newest.is_ended and (sign := newest.sign):
            kept = _Kept(newest, log.path(newest.start), log.path(log.next_start(newest)), sign)
            self.put(name, kept, newest.item.size)
        else:
            self.forget(name)
