"""The default storage: a JSON file per item in the instance folder, and a folder of superseded versions per key.

    deploymentmetrics/custom.json               the current document with the tag custom
    history/deploymentmetrics/custom/…1.jsonl   its earlier versions (see segments.py)
    locks/                                      a fixed number of lock files

The files are the truth: what is put there is served, and a copy of the folder is a backup. A write, under the lock of
its key: ask ``change``; add the current version to the history and sync; write the new file beside the old one, sync,
rename, sync the folder. The rename is the commit: a crash before it leaves the old file, and a history whose last
line is not below the file's version, which does not count.
"""

import os
import time
import zlib
from contextlib import nullcontext, suppress
from datetime import timedelta
from itertools import islice

from ..clock import as_precise, from_precise
from . import Storage, durable, entries, restoring, verifying
from .listing import FolderListing
from .remembered import Remembered
from .segments import Segments

LOCKS = 256
# How many items are remembered, and of which size at most; and of how many keys where their history goes on.
ITEMS = 1024
ITEM_BYTES = 2**14
ENDS = 2**14
_ONE = timedelta(microseconds=1)


class JsonFiles(Storage):
    """See the module; ``root`` is the instance folder."""

    def __init__(self, root, clock, history_versions, history_days):
        self.root = os.path.abspath(root)
        self.clock = clock
        self.history_versions = history_versions
        self.history_days = history_days
        self._kinds = set()
        self._listings = {}
        self._items = Remembered(ITEMS)
        self._ends = Remembered(ENDS)
        with durable.storage_errors("open"):
            durable.make_folder(self.root, parents=True)
            durable.make_folder(os.path.join(self.root, "locks"))

    def read(self, kind, key):
        with durable.storage_errors("read"):
            return self._items.look(self._path(kind, key), lambda: self._read(kind, key), _is_small)

    def write(self, kind, key, by, change):
        with durable.locked(self._lock_path(kind, key)):
            with durable.storage_errors("read"):
                self._make_folders(kind)
                current, before, _ = self._load(kind, key)
                previous = current or (self._last(kind, key) if kind.history else None)
            at = self.clock.now()
            if previous:
                at = max(at, from_precise(previous.changed_at) + _ONE)
            value = change(current, at)
            if value is None and current is None:
                return None
            with durable.storage_errors("write"):
                version = previous.version + 1 if previous else 1
                return self._commit(kind, key, current, before, value, entries.Head(version, as_precise(at), by))

    def items(self, kind):
        with durable.storage_errors("list"):
            self._make_folders(kind)
            listing = self._listings.get(kind.name)
            if listing is None:
                listing = self._listings.setdefault(kind.name, FolderListing(self, kind, self._folder(kind)))
            return listing.current()

    def stamp(self, kind, key):
        with durable.storage_errors("stamp"):
            now = time.time_ns()  # before the look, as in Remembered
            try:
                stat = os.stat(self._path(kind, key))
            except FileNotFoundError:
                return None
            if durable.is_young(stat, now):
                item = self._read(kind, key)
                return item and item.etag
            return durable.signature(stat)

    def history(self, kind, key, before=None, limit=None):
        def look(current):
            return list(islice(self._versions(kind, key, current, before), limit))

        return self._look_back(kind, key, look) or []

    def version(self, kind, key, version):
        return self._look_back(kind, key, lambda current: self._version(kind, key, current, version))

    def keys(self, kind):
        with durable.storage_errors("list"):
            self._make_folders(kind)
            names = set(os.listdir(self._folder(kind)))
            if kind.history:
                names.update(name + entries.SUFFIX for name in os.listdir(self._history_folder(kind)))
            return sorted(key for name in names if (key := entries.key_of(name)) is not None)

    def restore(self, kind, key, items):
        with durable.locked(self._lock_path(kind, key)), durable.storage_errors("restore"):
            self._make_folders(kind)
            return restoring.restore(self._segments(kind, key), self._path(kind, key), self._read(kind, key), items)

    def verify(self, kind):
        with durable.storage_errors("verify"):
            self._make_folders(kind)
            folders = [self._folder(kind), self._history_folder(kind)] if kind.history else [self._folder(kind)]
            yield from verifying.verify(self, kind, folders)

    def read_file(self, kind, key):
        """The Item and the stat result of its file, or (None, None)."""
        item, _, stat = self._load(kind, key)
        return item, stat

    def _read(self, kind, key):
        return self._load(kind, key)[0]

    def _load(self, kind, key):
        """The current Item, the bytes and the stat result of its file, or (None, None, None)."""
        path = self._path(kind, key)
        while True:
            try:
                data, stat = durable.read_file(path)
            except OSError as error:
                if error.errno in durable.UNREADABLE:
                    raise entries.damaged(kind, key, error) from error
                raise
            if data is None:
                return None, None, None
            item = entries.decode(kind, key, data, stat.st_mtime)
            if item.version:
                return item, data, stat
            version = self._segments(kind, key).number(item) if kind.history else 1
            # The history may have gone on since; then this is no longer the current one.
            with suppress(FileNotFoundError):
                if durable.signature(os.stat(path)) == durable.signature(stat):
                    return item._replace(version=version), data, stat

    def _commit(self, kind, key, current, before, value, head):
        """Supersede ``current``, whose file holds ``before``, by ``value`` (None: delete); the new Item or None."""
        segments = self._segments(kind, key)
        with segments.end(current) if kind.history and current else nullcontext() as end:
            if end:
                head.version = end.version + 1
            head.deleted = value is None
            data = entries.encode(head, value)
            item = None if value is None else entries.build(kind, key, head, value, data)
            if end:
                segments.append(end, *([data] if value is None else []))
            if value is None:
                durable.remove_file(self._path(kind, key), before)
            else:
                durable.replace_file(self._path(kind, key), data, before)
        if end and end.fresh:
            segments.trim(head.version, self.history_versions, self._oldest())
        return item

    def _last(self, kind, key):
        """The newest superseded version of a key without a current one, for its next writer."""
        segments = self._segments(kind, key)
        restoring.discard_unfinished(segments)
        return segments.last()

    def _look_back(self, kind, key, look):
        """What ``look(current Item or None)`` finds in the history."""
        with durable.storage_errors("history"):
            while True:
                current = self._read(kind, key)
                found = None if not current and self._is_unfinished(kind, key) else look(current)
                # Without a current version nothing tells a deletion that is being written from one that is done.
                if current or not os.path.exists(self._path(kind, key)):
                    return found

    def _is_unfinished(self, kind, key):
        return kind.history and restoring.is_unfinished(self._segments(kind, key))

    def _versions(self, kind, key, current, before):
        if current and (before is None or current.version < before):
            yield current
        if kind.history:
            newest = self._newest(kind, key, current)
            below = min((number for number in (current and current.version, before) if number), default=None)
            for item in self._segments(kind, key).newest_first(below):
                if not self._within_limits(item, newest):
                    return
                yield item

    def _version(self, kind, key, current, version):
        if current and current.version == version:
            return current
        item = self._segments(kind, key).find(version, current and current.version)
        return item if item and self._within_limits(item, self._newest(kind, key, current)) else None

    def _newest(self, kind, key, current):
        newest = current or self._segments(kind, key).last()
        return newest.version if newest else 0

    def _within_limits(self, item, newest):
        if item.version == newest:
            return True
        return item.version >= newest - self.history_versions and from_precise(item.changed_at) >= self._oldest()

    def _oldest(self):
        return self.clock.now() - timedelta(days=self.history_days)

    def _segments(self, kind, key):
        name = entries.file_name(key).removesuffix(entries.SUFFIX)
        return Segments(kind, key, f"{self._history_folder(kind)}/{name}", self._ends)

    def _history_folder(self, kind):
        return f"{self.root}/history/{kind.name}"

    def _folder(self, kind):
        return f"{self.root}/{kind.name}"

    def _make_folders(self, kind):
        """Make the folders of a kind and tidy up, once in each process."""
        if kind.name not in self._kinds:
            folder = self._folder(kind)
            durable.make_folder(folder)
            if kind.history:
                durable.make_folder(os.path.join(self.root, "history"))
                durable.make_folder(self._history_folder(kind))
            for name in os.listdir(folder):
                if name.startswith(".") and name.endswith(durable.DRAFT_SUFFIX):
                    self._remove_draft(kind, os.path.join(folder, name))
            self._kinds.add(kind.name)

    def _remove_draft(self, kind, draft):
        """Remove what a killed writer left, unless a writer of that key is at work: then the file is its own."""
        key = entries.key_of(os.path.basename(draft)[1:].removesuffix(durable.DRAFT_SUFFIX))
        if key is not None:
            with suppress(OSError), durable.try_locked(self._lock_path(kind, key)) as free:
                if free:
                    durable.remove_quietly(draft)

    def _path(self, kind, key):
        return f"{self.root}/{kind.name}/{entries.file_name(key)}"

    def _lock_path(self, kind, key):
        number = zlib.crc32(f"{kind.name}/{key}".encode()) % LOCKS
        return f"{self.root}/locks/{number:02x}"


def _is_small(item):
    return item is not None and len(item.value) <= ITEM_BYTES
