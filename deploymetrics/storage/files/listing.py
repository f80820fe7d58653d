"""All items of a collection, kept in memory and brought up to date by what changed since.

Every writer adds the name of its key to the file ``.changes`` of the collection, just before its line is whole. So a list
looks at nothing but the names that were added since, and again at those whose line was still being written then. Now and then it looks for folders in which files were made or removed otherwise: a backup may be put in place
under a running server. Where the file is another one than before, everything is looked at.
"""

import errno
import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from hashlib import blake2b
from typing import NamedTuple

from ...errors import DamagedItem
from .. import Collection, Item, Listing
from . import disk, lines
from .log import Newest

_log = logging.getLogger(__name__)
#: The size at which the file begins anew. Every list is then looked at as a whole once.
CHANGES_BYTES = 2**22
#: How often a list looks for what somebody put in place, or took away, beside the server.
RECHECK_SECONDS = 30.0
_SETTLED_NS = 2 * 10**9
_PIECE_ITEMS = 256
# Longer than the longest entry, so that at least one, with its version, is compared.
_END_BYTES = 512
_LONG_SECONDS = 1.0


class Changes:
    """The file ``.changes`` of a collection, and how far this process has read it."""

    def __init__(self, folder: str) -> None:
        self.path = f"{folder}/.changes"
        self._seen = _Seen()

    def add(self, name: str, version: int) -> None:
        """Add a name and the version that it gets, so that every reader that looks from now on finds it."""
        entry = f"\n{name} {version}\n".encode()  # a newline before it too: what stands there may be half of one
        is_there = False
        while not is_there:
            with disk.opened(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT) as fd:
                if os.write(fd, entry) < len(entry):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                stat = os.fstat(fd)
                is_there = _inode_at(self.path) == stat.st_ino
                if is_there and stat.st_size > max(CHANGES_BYTES, len(entry)):
                    os.unlink(self.path)
                    is_there = False  # begin another one at once: where there is none nobody has written

    def new(self) -> set[str] | None:
        """Return the names that were added since the last call, or None where everything has to be looked at."""
        try:
            stat = os.stat(self.path)
            if (stat.st_ino, stat.st_size, stat.st_mtime_ns) == self._seen[:3]:
                return set()
            with disk.opened(self.path) as fd:
                return self._read(fd)
        except FileNotFoundError:
            before, self._seen = self._seen, _Seen()
            return None if before.inode else set()  # where there was no file nobody has written

    def _read(self, fd: int) -> set[str] | None:
        stat, (inode, size, _, end) = os.fstat(fd), self._seen
        # What was read before must still stand there: a disk that failed may come back without it.
        goes_on = stat.st_ino == inode and os.pread(fd, len(end), size - len(end)) == end
        start = size if goes_on else max(stat.st_size - _END_BYTES, 0)
        data = os.pread(fd, max(stat.st_size - start, 0), start)
        whole = data[:data.rfind(b"\n") + 1]
        end = ((end if goes_on else b"") + whole)[-_END_BYTES:]
        self._seen = _Seen(stat.st_ino, start + len(whole), stat.st_mtime_ns, end)
        names = {entry.rpartition(" ")[0] for entry in whole.decode(errors="replace").split("\n")}
        return names - {""} if goes_on else None


class _Seen(NamedTuple):
    """How far a file was read: its inode, up to which size, its time then, and what stands before that."""

    inode: int = 0
    size: int = 0
    mtime: int = 0
    end: bytes = b""


def _inode_at(path: str) -> int | None:
    try:
        return os.stat(path).st_ino
    except FileNotFoundError:
        return None


class FolderListing:
    """Answers ``current()`` for one collection; one per process, shared by its threads.

    ``newest`` is a function that gives the Newest of a key.
    """

    def __init__(self, collection: Collection, folder: str, newest: Callable[[Collection, str], Newest]) -> None:
        self.collection = collection
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
                if item is None:
                    del self._items[key]
                else:
                    self._items[key] = item
        if (seconds := time.monotonic() - began) > _LONG_SECONDS:
            _log.warning("looking at %d items of %s took %.1f s", count, self.collection.name, seconds)

    def _item(self, key: str) -> tuple[Item | None, bool]:
        """Return the current Item, without its record, and True unless it has to be looked at again."""
        try:
            newest = self.newest(self.collection, key)
        except DamagedItem as error:
            return Item(key, None, None, 0, "", "", f"damaged {error.log}"), False
        return newest.current and newest.current._replace(record=None), not newest.is_pending

    def _build(self) -> Listing:
        if len(self._keys) != len(self._items) or not all(map(self._items.__contains__, self._keys)):
            self._keys = sorted(self._items)
        items = [self._items[key] for key in self._keys]
        good = tuple(item for item in items if item.value is not None)
        return Listing(
            blake2b("\n".join(item.revision for item in items).encode(), digest_size=12).hexdigest(),
            max((item.changed_at for item in good), default=""),
            good,
            self._join(good),
            tuple(item.key for item in items if item.value is None),
        )

    def _join(self, items: tuple[Item, ...]) -> tuple[bytes, ...]:
        """Return the JSON array of the values in pieces; only those are made anew in which something changed."""
        pieces = []
        for number, start in enumerate(range(0, len(items), _PIECE_ITEMS)):
            part = list(items[start:start + _PIECE_ITEMS])
            known = self._pieces[number] if number < len(self._pieces) else None
            if known is None or known[0] != part:
                known = part, (b"," if start else b"[") + b",".join(item.value or b"" for item in part)
            pieces.append(known)
        self._pieces = pieces
        return (*(text for _, text in pieces), b"]") if pieces else (b"[]",)
