"""The default storage: a JSON file per item in the instance folder, and per key a folder with its history.

    deploymentmetrics/custom.json               the current document with the tag custom
    history/deploymentmetrics/custom/…1.jsonl   its versions (see segments.py)
    locks/                                      a fixed number of lock files, and one per kind (see recovery.py)

The files are the truth: what is put there is served, and a copy of the folder is a backup.

A write holds the lock of its key and asks ``change``. To create a file, and in kinds without history, it writes a
draft, syncs it, renames it into its place and syncs the folder; the rename is the commit. A version that follows a
current one in a kind with history is committed by its synced line in the history, and its file is not synced at all
(see superseding.py). Writers and new processes finish what a kill or a power loss left.
"""

import os
import time
import zlib
from contextlib import ExitStack, suppress
from datetime import timedelta
from functools import partial
from itertools import islice
from typing import NamedTuple

from ..clock import as_precise, from_precise
from ..errors import DamagedItem, StorageError
from . import VERSION_LIMIT, Item, Storage, durable, entries, recovery, restoring, superseding, verifying
from .listing import FolderListing
from .remembered import Remembered
from .segments import Segments

LOCKS = 256
# How many items are remembered, each of what size at most; and for how many keys the last file of the history.
ITEMS = 1024
ITEM_BYTES = 2**14
ENDS = 2**14
_ONE = timedelta(microseconds=1)


class File(NamedTuple):
    """The file of a current version: its Item, bytes and stat result, all None where there is no file."""

    item: Item | None
    data: bytes | None
    stat: os.stat_result | None


class JsonFiles(Storage):
    """See the module; ``root`` is the instance folder."""

    def __init__(self, root, clock, history_versions, history_days):
        self.root = os.path.abspath(root)
        self.clock = clock
        self.history_versions = history_versions
        self.history_days = history_days
        self._kinds = set()
        self._behind = {}  # (kind, key) of files that may be older than their history → (put_at, error): see _settle
        self._listings = {}
        self._items = Remembered(ITEMS)
        self._ends = Remembered(ENDS)
        with durable.storage_errors("open"):
            durable.make_folder(self.root, parents=True)
            durable.make_folder(os.path.join(self.root, "locks"))

    def read(self, kind, key):
        with durable.storage_errors("read"):
            self._prepare(kind)
            return self._items.get(self.path(kind, key), lambda: self.load(kind, key).item, _is_small)

    def write(self, kind, key, by, change):
        with durable.storage_errors("open"):
            self._prepare(kind)
            self._catch_up(kind, key, writes=True)
        with self.locked(kind, key), ExitStack() as opened:
            with durable.storage_errors("read"):
                file, end, previous = self._open(kind, key, opened)
            at = self.clock.now()
            if previous:
                at = max(at, from_precise(previous.changed_at) + _ONE)
            value = change(file.item, at)
            if value is None and file.item is None:
                return None
            head = entries.Head(previous.version + 1 if previous else 1, as_precise(at), by, value is None)
            if head.version >= VERSION_LIMIT:
                raise entries.damaged(kind, key, "its versions are at the end of the numbers")
            with durable.storage_errors("write"):
                return self._commit(kind, key, file, end, head, value)

    def items(self, kind):
        with durable.storage_errors("list"):
            self._prepare(kind)
            listing = self._listings.get(kind.name)
            if listing is None:
                listing = self._listings.setdefault(kind.name, FolderListing(self, kind, self.folder(kind)))
            return listing.current()

    def stamp(self, kind, key):
        with durable.storage_errors("stamp"):
            self._prepare(kind)
            now = time.time_ns()  # before ``stat``, as in Remembered
            try:
                stat = os.stat(self.path(kind, key))
            except FileNotFoundError:
                return None
            signature = durable.reliable_signature(stat, now)
            if signature is None:
                item = self.load(kind, key).item
                return item and item.etag
            return signature

    def history(self, kind, key, before=None, limit=None):
        def page(current):
            return list(islice(self._versions(kind, key, current, before), limit))

        return self._search(kind, key, page) or []

    def version(self, kind, key, version):
        return self._search(kind, key, lambda current: self._version(kind, key, current, version))

    def keys(self, kind):
        with durable.storage_errors("list"):
            self._prepare(kind)
            names = set(os.listdir(self.folder(kind)))
            if kind.history:
                names.update(name + entries.SUFFIX for name in os.listdir(self.history_folder(kind)))
            return sorted(key for name in names if (key := entries.key_of(name)) is not None)

    def restore(self, kind, key, items, *, dry_run=False):
        with durable.storage_errors("restore"):
            self._prepare(kind)
            self._catch_up(kind, key, writes=True)
            with self.locked(kind, key):
                past, path = self.past(kind, key), self.path(kind, key)
                return restoring.restore(past, path, self._load(kind, key).item, items, dry_run=dry_run)

    def verify(self, kind):
        with durable.storage_errors("verify"):
            self._prepare(kind)
            yield from verifying.verify(self, kind)

    def load(self, kind, key):
        """The File of the current version; raises DamagedItem."""
        self._catch_up(kind, key)
        return self._load(kind, key)

    def _catch_up(self, kind, key, *, writes=False):
        """Bring a file up to its history where that failed before; raises why it fails again.

        A reader does not wait for the lock, and gets the file as it is where it is the files that are in the way.
        """
        behind = self._behind.get((kind.name, key))
        if behind and not self._settle(kind, key, behind[0], wait=writes):
            error = behind[1]
            if writes or error.errno not in durable.UNREADABLE:
                with durable.storage_errors("recover"):
                    raise error

    def _load(self, kind, key):
        path = self.path(kind, key)
        while True:
            try:
                data, stat = durable.read_file(path)
            except OSError as error:
                if error.errno in durable.UNREADABLE:
                    raise entries.damaged(kind, key, error) from error
                raise
            if data is None:
                return File(None, None, None)
            item = entries.decode(kind, key, data, stat.st_mtime)
            if item.version:
                return File(item, data, stat)
            version = self.past(kind, key).version_of(item) if kind.history else 1
            # The history may have gone on since; then this is no longer the current one.
            with suppress(FileNotFoundError):
                if durable.signature(os.stat(path)) == durable.signature(stat):
                    return File(item._replace(version=version), data, stat)

    def _open(self, kind, key, opened):
        """What a writer goes on from: the File of the current version, the End of the history, which ``opened`` closes,
        and what has the number and the time of the version before: that End, an Item, or None for the first version.

        There is an End where the kind has a history and the key a current version.
        """
        file = self._load(kind, key)
        if not kind.history:
            return file, None, file.item
        path, past = self.path(kind, key), self.past(kind, key)
        end = file.item and opened.enter_context(past.end_after(file.item))
        if end and end.missing and superseding.has_draft(path):
            superseding.settle(past, path, file)
            file = self._load(kind, key)
            end = file.item and opened.enter_context(past.end_after(file.item))
        if end:
            return file, end, end
        restoring.discard_unfinished(past)
        return file, None, past.last()

    def _commit(self, kind, key, file, end, head, value):
        """Make ``value`` (None: delete) the current version in the place of ``file``; the Item, None for a deletion."""
        path, data = self.path(kind, key), entries.encode(head, value)
        item = None if value is None else entries.build(kind, key, head, value, data)
        if end:
            past = self.past(kind, key)
            line = entries.encode(head, value, between=b",")
            superseding.supersede(past, end, path, line, None if value is None else data)
            if end.missing:
                restoring.remove_mark(past)  # which an import may have left that was killed when it was done
            if end.is_new:
                self._trim(past, path, head.version)
        elif value is None:
            durable.remove_file(path, file.data)
        else:
            durable.replace_file(path, data, file.data)
        return item

    def _trim(self, past, path, newest):
        """Drop what is past the limits. What cannot be done now is done the next time: the write itself is done."""
        with suppress(OSError, ValueError):
            durable.sync_folder(os.path.dirname(path))  # whatever a power loss leaves, the history must have it
            past.trim(newest, self.history_versions, self._oldest())

    def _search(self, kind, key, find):
        """What ``find(current Item or None)`` returns; None where there is only an unfinished import."""
        with durable.storage_errors("history"):
            self._prepare(kind)
            while True:
                current = self.load(kind, key).item
                found = find(current)
                if not current and kind.history and restoring.is_unfinished(self.past(kind, key)):
                    found = None
                # Without a current version nothing tells a deletion that is being written from one that is done.
                if current or not os.path.exists(self.path(kind, key)):
                    return found

    def _versions(self, kind, key, current, before):
        if current and (before is None or current.version < before):
            yield current
        if kind.history:
            newest = self._newest_version(kind, key, current)
            below = min((number for number in (current and current.version, before) if number), default=None)
            for item in self.past(kind, key).newest_first(below):
                if not self._within_limits(item, newest):
                    return
                yield item

    def _version(self, kind, key, current, version):
        if current and current.version == version:
            return current
        item = self.past(kind, key).find(version, current and current.version)
        return item if item and self._within_limits(item, self._newest_version(kind, key, current)) else None

    def _newest_version(self, kind, key, current):
        newest = current or self.past(kind, key).last()
        return newest.version if newest else 0

    def _within_limits(self, item, newest):
        if item.version == newest:
            return True
        return item.version >= newest - self.history_versions and from_precise(item.changed_at) >= self._oldest()

    def _oldest(self):
        return self.clock.now() - timedelta(days=self.history_days)

    def past(self, kind, key):
        """The Segments of a key."""
        name = entries.file_name(key).removesuffix(entries.SUFFIX)
        return Segments(kind, key, f"{self.history_folder(kind)}/{name}", self._ends)

    def history_folder(self, kind):
        """Where the histories of a kind are."""
        return f"{self.root}/history/{kind.name}"

    def folder(self, kind):
        """Where the current items of a kind are."""
        return f"{self.root}/{kind.name}"

    def _prepare(self, kind):
        """Make the folders of a kind, and finish what killed processes and a power loss left, once in each process."""
        if kind.name not in self._kinds:
            durable.make_folder(self.folder(kind))
            if kind.history:
                durable.make_folder(os.path.join(self.root, "history"))
                durable.make_folder(self.history_folder(kind))
            recovery.recover(self, kind, partial(self._settle, kind))
            self._kinds.add(kind.name)

    def _settle(self, kind, key, put_at, *, wait):
        """Finish what was left of a write, unless a writer of the key is at work: then the draft is its own.

        False where that could not be done. After a boot it is then tried again when the key is asked for.
        """
        path, past = self.path(kind, key), self.past(kind, key)
        try:
            with durable.locked(self._lock_path(kind, key), wait=wait) as held:
                if held and kind.history:
                    restoring.discard_draft(past)
                    superseding.settle(past, path, self._load_any(kind, key), put_at=put_at)
                elif held:
                    durable.remove_quietly(durable.draft_path(path))
        except DamagedItem:
            held = True  # nothing can be compared with it
        except (OSError, StorageError) as error:
            if put_at is not None:  # else the next writer of the key finishes what a killed one began
                self._behind[kind.name, key] = put_at, error if isinstance(error, OSError) else error.__cause__
            return False
        if held:
            self._behind.pop((kind.name, key), None)
        return held

    def _load_any(self, kind, key):
        """Like ``load``, but without an Item for a damaged file, and without bytes for one that cannot be read."""
        try:
            return self._load(kind, key)
        except DamagedItem:
            with suppress(OSError):
                return File(None, *durable.read_file(self.path(kind, key)))
            return File(None, None, None)

    def path(self, kind, key):
        """The file of the current item of a key."""
        return f"{self.folder(kind)}/{entries.file_name(key)}"

    def locked(self, kind, key):
        """A context in which no other writer can touch the key."""
        return durable.locked(self._lock_path(kind, key))

    def _lock_path(self, kind, key):
        number = zlib.crc32(f"{kind.name}/{key}".encode()) % LOCKS
        return f"{self.root}/locks/{number:02x}"


def _is_small(item):
    return item is not None and len(item.value) <= ITEM_BYTES
