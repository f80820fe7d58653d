"""All items of a folder, kept in memory and brought up to date by what changed in the folder since.

The folder's times tell whether a name was added, replaced or removed; then every file is looked at, and those that
changed are read. A file or folder that changed within the last clock tick is looked at again the next time, since its
time may not tell the next change (git does the same). An edit in place does not touch the folder, so every file is
looked at once in RECHECK_SECONDS in any case.
"""

import os
import threading
import time
from hashlib import blake2b
from operator import attrgetter

from ..errors import DamagedItem, StorageFull
from . import Item, Listing, durable, entries

PIECE_BYTES = 2**20
RECHECK_SECONDS = 1.0


class FolderListing:
    """Answers ``current()`` for one kind of a JsonFiles storage; one per process, shared by its threads."""

    def __init__(self, store, kind, folder):
        self.store = store
        self.kind = kind
        self.folder = folder
        self._lock = threading.Lock()
        self._files = {}
        self._signature = None
        self._looked_at = 0.0
        self._listing = self._build(())

    def current(self):
        """The Listing; right at once after a write by any process."""
        with self._lock:
            now = time.time_ns()
            stat = os.stat(self.folder)
            recent = time.monotonic() - self._looked_at < RECHECK_SECONDS
            if not (recent and self._signature == durable.signature(stat)):
                self._looked_at = time.monotonic()
                self._update(now)
                self._signature = durable.reliable_signature(stat, now)
            return self._listing

    def _update(self, now):
        files = {}
        changed = False
        # Some file systems leave out a name that is replaced while the folder is read: those known are tried anyhow.
        for name in self._files.keys() | set(os.listdir(self.folder)):
            known = self._files.get(name)
            file = self._file(name, known, now)
            if file is not None:
                files[name] = file
                changed = changed or known is None or known[1] != file[1]
        changed = changed or len(files) != len(self._files)
        self._files = files
        if changed:
            self._listing = self._build(sorted((item for _, item in files.values()), key=attrgetter("key")))

    def _file(self, name, known, now):
        """(signature or None, Item) of a file; None where there is no item or no longer. A damaged one has no value."""
        if known is None and entries.key_of(name) is None:
            return None
        try:
            stat = os.stat(os.path.join(self.folder, name))
        except FileNotFoundError:
            return None
        except OSError:
            stat = None  # reading it will say what is the matter
        if known is not None and stat is not None and known[0] == durable.signature(stat):
            return known
        key = entries.key_of(name)
        try:
            file = self.store.load(self.kind, key)
        except (DamagedItem, StorageFull) as error:  # one that is behind its history on a full disk
            return None, Item(key, None, None, 0, "", "", f"damaged {error.log}")
        if file.item is None:
            return None
        return durable.reliable_signature(file.stat, now), file.item._replace(record=None)

    def _build(self, items):
        good = tuple(item for item in items if item.value is not None)
        return Listing(
            blake2b("\n".join(item.etag for item in items).encode(), digest_size=12).hexdigest(),
            max((item.changed_at for item in good), default=""),
            good,
            tuple(_array(item.value for item in good)),
            tuple(item.key for item in items if item.value is None),
        )


def _array(values):
    """Yield the JSON array of values in pieces: sent as they are, they cost an answer neither copies nor many calls."""
    part, size, before = [], 0, b"["
    for value in values:
        part += before, value
        size += len(value)
        before = b","
        if size >= PIECE_BYTES:
            yield b"".join(part)
            part, size = [], 0
    yield b"".join(part) + (b"]" if before == b"," else b"[]")
