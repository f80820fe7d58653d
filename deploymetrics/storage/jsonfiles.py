"""The default storage: a JSON file per item in the instance folder, and a folder of superseded versions per key.

    deploymetrics/custom.json               the current document with the tag custom
    history/deploymetrics/custom/…1.jsonl   its earlier versions (see segments.py)
    locks/                                  a fixed number of lock files

The files are the truth: what is put there is served, and a copy of the folder is a backup. A write, under the lock of
its key: ask ``change``; add the current version to the history and sync; write the new file beside the old one, sync,
rename, sync the folder. The rename is the commit: a crash before it leaves the old file, and a history whose last
line is not below the file's version, which does not count.
"""

import os
import time
import zlib
from datetime import timedelta
from itertools import chain, islice

from ..clock import as_precise, from_precise
from . import Storage, durable, entries
from .listing import FolderListing
from .segments import DAY, Segments

LOCKS = 256
_ONE = timedelta(microseconds=1)


class JsonFiles(Storage):
    """See the module; ``root`` is the instance folder."""

    def __init__(self, root, clock, history_versions, history_days):
        self.root = os.fspath(root)
        self.clock = clock
        self.history_versions = history_versions
        self.history_days = history_days
        self._folders = {}
        self._listings = {}
        with durable.storage_errors("open"):
            durable.make_folder(os.path.join(self.root, "locks"))

    def read(self, kind, key):
        with durable.storage_errors("read"):
            return self._read(kind, key)

    def write(self, kind, key, by, change):
        with durable.storage_errors("write"), durable.locked(self._lock_path(kind, key)):
            self._make_folder(kind)
            current = self._read(kind, key)
            at = self.clock.now()
            if current and as_precise(at) <= current.changed_at:
                at = from_precise(current.changed_at) + _ONE
            value = change(current, at)
            if value is None:
                return self._delete(kind, key, current, by, at) if current else None
            return self._replace(kind, key, current, value, by, at)

    def items(self, kind):
        with durable.storage_errors("list"):
            self._make_folder(kind)
            listing = self._listings.setdefault(kind.name, FolderListing(self, kind, self._folder(kind)))
            return listing.current()

    def stamp(self, kind, key):
        with durable.storage_errors("stamp"):
            try:
                stat = os.stat(self._path(kind, key))
            except FileNotFoundError:
                return None
            if durable.is_young(stat, time.time_ns()):
                item = self._read(kind, key)
                return item and item.etag
            return durable.signature(stat)

    def history(self, kind, key, before=None, limit=None):
        with durable.storage_errors("history"):
            current = self._read(kind, key)
            return list(islice(self._versions(kind, key, current, before), limit))

    def version(self, kind, key, version):
        with durable.storage_errors("history"):
            current = self._read(kind, key)
            if current and current.version == version:
                return current
            item = self._segments(kind, key).find(version, current and current.version)
            return item if item and self._within_limits(item, self._newest(kind, key, current)) else None

    def read_file(self, kind, key):
        """The Item and the stat result of its file, or (None, None)."""
        data, stat = durable.read_file(self._path(kind, key))
        if data is None:
            return None, None
        return entries.decode(kind, key, data, lambda: self._next_version(kind, key, None), stat.st_mtime), stat

    def _read(self, kind, key):
        return self.read_file(kind, key)[0]

    def _replace(self, kind, key, current, value, by, at):
        head = entries.Head(self._next_version(kind, key, current), as_precise(at), by)
        data = entries.encode(head, value)
        item = entries.decode(kind, key, data)
        if kind.history and current:
            self._supersede(kind, key, current)
        durable.replace_file(self._path(kind, key), data)
        return item

    def _delete(self, kind, key, current, by, at):
        if kind.history:
            head = entries.Head(current.version + 1, as_precise(at), by, True)
            self._supersede(kind, key, current, entries.encode(head, None))
        path = self._path(kind, key)
        durable.remove_file(path, durable.read_file(path)[0])

    def _supersede(self, kind, key, current, *more):
        head = entries.Head(current.version, current.changed_at, current.changed_by)
        segments = self._segments(kind, key)
        segments.append(current.version, [entries.encode(head, current.value, between=b","), *more])
        segments.trim(current.version + 1, self.history_versions, self._oldest())

    def _next_version(self, kind, key, current):
        newest = current or (self._segments(kind, key).last() if kind.history else None)
        return newest.version + 1 if newest else 1

    def _versions(self, kind, key, current, before):
        past = self._segments(kind, key).newest_first(current and current.version) if kind.history else iter(())
        items = chain([current] if current else [], past)
        newest = None
        for item in items:
            newest = newest or item.version
            if not self._within_limits(item, newest):
                return
            if before is None or item.version < before:
                yield item

    def _newest(self, kind, key, current):
        newest = current or self._segments(kind, key).last()
        return newest.version if newest else 0

    def _within_limits(self, item, newest):
        if item.version == newest:
            return True
        age = self.clock.now() - from_precise(item.changed_at)
        return item.version >= newest - self.history_versions and age.days < self.history_days

    def _oldest(self):
        return self.clock.timestamp() - self.history_days * DAY

    def _segments(self, kind, key):
        name = entries.file_name(key).removesuffix(entries.SUFFIX)
        return Segments(kind, key, os.path.join(self.root, "history", kind.name, name))

    def _folder(self, kind):
        return os.path.join(self.root, kind.name)

    def _make_folder(self, kind):
        folder = self._folder(kind)
        if folder not in self._folders:
            durable.make_folder(folder)
            self._folders[folder] = True
            for name in os.listdir(folder):
                if name.startswith(".") and name.endswith(durable.DRAFT_SUFFIX):
                    self._remove_draft(kind, os.path.join(folder, name))

    def _remove_draft(self, kind, draft):
        """Remove what a killed writer left, unless a writer of that key is at work: then the file is its own."""
        key = entries.key_of(os.path.basename(draft)[1:].removesuffix(durable.DRAFT_SUFFIX))
        if key is not None:
            with durable.try_locked(self._lock_path(kind, key)) as free:
                if free:
                    durable.remove_quietly(draft)

    def _path(self, kind, key):
        return f"{self.root}/{kind.name}/{entries.file_name(key)}"

    def _lock_path(self, kind, key):
        number = zlib.crc32(f"{kind.name}/{key}".encode()) % LOCKS
        return os.path.join(self.root, "locks", f"{number:02x}")

