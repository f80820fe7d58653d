"""All items of a collection, kept in memory and brought up to date by what changed since.

A list looks at the names that writers noted since (see changes.py), and again at those whose line was still being
written then. Now and then it looks for folders in which files were made or removed otherwise: a backup may be put in
place under a running server.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from hashlib import blake2b

from ...errors import DamagedItem
from .. import Entry, Item, Listing
from . import lines
from .changes import Changes
from .log import Newest

_log = logging.getLogger(__name__)
#: How often a list looks for what somebody put in place, or took away, beside the server.
RECHECK_SECONDS = 30.0
_SETTLED_NS = 2 * 10**9
_PIECE_ITEMS = 256
LONG_SECONDS = 1.0


class FolderListing:
    """Answers ``current()`` for one collection; one per process, shared by its threads.

    ``title`` names it in the log; ``newest`` is a function that gives the Newest of a key.
    """

    def __init__(self, title: str, folder: str, newest: Callable[[str], Newest]) -> None:
        self.title = title
        self.folder = folder
        self.newest = newest
        self._changes = Changes(folder)
        self._lock = threading.Lock()
        self._is_known = False
        self._times: dict[str, int] = {}  # by name, when a file was made or removed there; 0: just now
        self._looked = 0.0
        self._is_outdated = False  # the list is not that of the items
        self._again: set[str] = set()  # names to be looked at whatever changed
        self._items: dict[str, Item] = {}  # by key; a damaged one has no value
        self._keys: list[str] = []
        self._pieces: list[tuple[list[Item], bytes]] = []
        self._listing = self._build()

    def current(self) -> Listing:
        """Return the Listing; right at once after a write by any process."""
        with self._lock:
            changed = self._changes.new()
            # What raises in here may leave the list half looked at; then the rest is looked at the next time.
            if changed is None or not self._is_known:
                self._is_known, self._times = False, {}
                changed = {lines.name_of(key) for key in self._items} | self._moved()
                self._is_known = True
            elif time.monotonic() - self._looked > RECHECK_SECONDS:
                changed |= self._moved()
            self._again |= changed
            if self._again:
                self._look_at(self._again)
            if self._is_outdated:
                self._listing = self._build()
                self._is_outdated = False
            return self._listing

    def _moved(self) -> set[str]:
        """Return the names of the folders in which a file was made or removed since the last call."""
        before, now = self._times, dict[str, int]()
        is_settled = time.time_ns() - _SETTLED_NS
        with suppress(FileNotFoundError), os.scandir(self.folder) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    moved = entry.stat(follow_symlinks=False).st_mtime_ns
                    now[entry.name] = moved if moved < is_settled else 0
        self._times, self._looked = now, time.monotonic()
        return {name for name in before | now if not now.get(name) or before.get(name) != now[name]}

    def _look_at(self, names: set[str]) -> None:
        """Read the newest versions under these names."""
        began, count = time.monotonic(), len(names)
        for name in list(names):
            key = lines.key_of(name)
            item, is_settled = self._item(key) if key else (None, True)
            if is_settled:
                self._again.discard(name)
            if key and self._items.get(key) != item:
                self._is_outdated = True
                self._items.pop(key, None)
                self._items |= {key: item} if item else {}
        if (seconds := time.monotonic() - began) > LONG_SECONDS:
            _log.warning("looking at %d items of %s took %.1f s", count, self.title, seconds)

    def _item(self, key: str) -> tuple[Item | None, bool]:
        """Return the current Item, without its record, and True unless it has to be looked at again."""
        try:
            newest = self.newest(key)
        except DamagedItem as error:
            return Item(key, None, None, 0, "", "", f"damaged {error.log}"), False
        return newest.current and newest.current._replace(record=None), not newest.is_pending

    def _build(self) -> Listing:
        if len(self._keys) != len(self._items) or not all(map(self._items.__contains__, self._keys)):
            self._keys = sorted(self._items)
        items = [self._items[key] for key in self._keys]
        good = [item for item in items if item.value is not None]
        pieces = self._join(good)

        def read(start: int, stop: int) -> Iterator[bytes]:
            if (start, stop) == (0, len(good)):
                yield from pieces
            elif start < stop:
                yield b"".join(b"," + (item.value or b"") for item in good[start:stop])

        return Listing(
            blake2b("\n".join(item.revision for item in items).encode(), digest_size=12).hexdigest(),
            max((item.changed_at for item in good), default=""),
            tuple(
                Entry(item.key, item.version, item.changed_at, item.changed_by, item.revision, item.size)
                for item in good
            ),
            tuple(item.key for item in items if item.value is None),
            read,
        )

    def _join(self, items: list[Item]) -> list[bytes]:
        """Return the values in pieces; only those are made anew in which something changed."""
        pieces = []
        for number, start in enumerate(range(0, len(items), _PIECE_ITEMS)):
            part = items[start : start + _PIECE_ITEMS]
            known = self._pieces[number] if number < len(self._pieces) else None
            if known is None or known[0] != part:
                known = part, b"".join(b"," + (item.value or b"") for item in part)
            pieces.append(known)
        self._pieces = pieces
        return [text for _, text in pieces]
