"""The storage in files of the instance folder, for one machine.

    data/deploymentmetrics/custom/   the versions of the document custom, see version_log.py; this is the truth
    data/deploymentmetrics/.changes  which keys were written lately, see changes.py
    data/format.json                 the format of all this, see format.py
    deploymentmetrics/custom.json    a copy of the current document for people and programs; never read for an answer

A write locks the folder of its key, asks ``change``, adds a line to the log, and writes the copy; some also take a
step of thinning out old versions. Writes of the same key that wait meanwhile are stored together, see group_commit.py.
A reader takes no lock.
"""

import logging
import os
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import takewhile
from random import random

from ...clock import Clock, as_precise
from ...errors import StorageError, StorageFullError
from .. import Change, Collection, Item, Listing, Retention, Storage, file_names, lines
from ..item_cache import ItemCache
from . import changes, disk, format, purging, readable_copies, retention, verifying
from .group_commit import Queue, Write
from .lease import FileLease
from .listing import FolderListing
from .locations import read_newest
from .version_log import FILE_BYTES, FILE_VERSIONS, TIERS, Newest, VersionLog, is_unchanged
from .writer import Writer

_log = logging.getLogger(__name__)
QUEUES = 256
#: The most writes that are stored together.
TOGETHER = 64


class FileStorage(Storage):
    """The storage in files of the instance folder ``root``."""

    def __init__(self, root: str, clock: Clock, limits: Retention, *, make: bool = True) -> None:
        self.root = os.path.abspath(root)
        self.data = f"{self.root}/data"
        self.clock = clock
        self.limits = limits
        # So a small number of versions is kept about as exactly as a large one.
        self._file_versions = max(1, min(FILE_VERSIONS, limits.versions // 8))
        self._queues: dict[int, Queue] = {}
        # What was read last; what is not kept is read where a list saw it last.
        self._remembered = ItemCache[Newest]()
        self._listings: dict[str, FolderListing] = {}
        if make:
            format.prepare(self.root)

    # Reading

    def check(self) -> None:
        if not os.path.isdir(self.data):
            raise StorageError(log=f"there is no folder {self.data}")

    def read(self, collection: Collection, key: str) -> Item | None:
        item = self._newest(collection, key).item
        return None if item is None or item.deleted else item

    def _newest(self, collection: Collection, key: str) -> Newest:
        newest = self._remembered.get((collection.name, key))
        if newest and is_unchanged(newest.path, newest.signature):
            return newest
        log, place = self.log(collection, key), self._listing(collection).find(key)
        if place and (newest := read_newest(place, log)):
            # Where there is no room, what is quickly read again takes it once it has been read often.
            if self._remembered.has_room or random() < 1 / 8:
                self._remember(newest)
            return newest
        with disk.storage_errors("read"):
            newest = log.newest()
            if newest.item is None:
                self.check()
            self._remember(newest)
            return newest

    def _remember(self, newest: Newest) -> None:
        if newest.item and newest.signature:
            self._remembered.put((newest.log.collection.name, newest.log.key), newest, newest.item.size)

    def items(self, collection: Collection) -> Listing:
        with disk.storage_errors("list"):
            self.check()
            return self._listing(collection).current()

    def _listing(self, collection: Collection) -> FolderListing:
        listing = self._listings.get(collection.name)
        if listing is None:
            listing = FolderListing(collection, self.folder(collection), lambda key: self.log(collection, key))
            listing = self._listings.setdefault(collection.name, listing)
        return listing

    def history(
        self, collection: Collection, key: str, before: int | None = None, *, oldest_first: bool = False
    ) -> Iterator[Item]:
        with disk.storage_errors("history"):
            newest = self._newest(collection, key)
            if collection.history:
                yield from newest.log.history(newest, before, oldest_first=oldest_first)
            elif newest.item and (before is None or newest.version < before):
                yield newest.item

    def version(self, collection: Collection, key: str, version: int) -> Item | None:
        newest = self._newest(collection, key)
        if newest.version == version or not collection.history:
            return newest.item if newest.version == version else None
        with disk.storage_errors("history"):
            return newest.log.find(version, newest)

    def keys(self, collection: Collection) -> list[str]:
        with disk.storage_errors("list"):
            self.check()
            return sorted(file_names.keys_of(disk.list_folder(f"{self.folder(collection)}/.")))

    # Writing

    def write(
        self, collection: Collection, key: str, author: str, change: Change, *, kept: bool = False
    ) -> Item | None:
        newest = self._remembered.get((collection.name, key)) or self._newest(collection, key)
        if newest.item is None and change(None, self.clock.now()) is None:
            return None  # before a folder is made for it
        write = Write(newest.log.folder, author, change, kept)
        with self._writer(newest, "write", write, make=True) as writer:
            if writer.queue.withdraw(write):  # else another thread stored it
                writer.lock()
                self._store(writer, write)
        if write.error:
            raise write.error
        return write.item

    def _writer(self, newest: Newest, operation: str, write: Write | None = None, *, make: bool = False) -> Writer:
        """Return a Writer; ``newest`` may be outdated by now, and ``operation`` is for the log of errors."""
        number = hash(newest.log.folder) % QUEUES
        queue = self._queues.get(number) or self._queues.setdefault(number, Queue())  # one, however many threads come
        return Writer(newest, queue, operation, write, make=make)

    def _store(self, writer: Writer, write: Write) -> None:
        """Store a write together with those of the same key that wait; each gets its Item or its error."""
        log, writes, new_lines, last = writer.log, list[Write](), list[bytes](), writer.newest.item
        next_write: Write | None = write
        try:
            while next_write:
                writes.append(next_write)
                if next_version := self._ask(next_write, log, last):
                    last, line = next_version
                    new_lines.append(line)
                # One at a time: so what is stored together is larger by one document at the most.
                has_room = len(writes) < TOGETHER and sum(map(len, new_lines)) < FILE_BYTES
                next_write = writer.queue.take(log.folder) if has_room else None
            if last and last.deleted and new_lines and not log.collection.history:
                writer.remove(last.version)
            elif last and new_lines:
                before = writer.newest
                self._remember(writer.commit(last, new_lines))
                readable_copies.update(log, last.value)
                retention.thin_after_write(writer, before, self.limits, self.clock)
        except BaseException as error:
            for write in writes:  # also those that were refused: what they were refused for may not be there
                write.error = disk.as_storage_error(error, "write")
            raise

    def _ask(self, write: Write, log: VersionLog, newest: Item | None) -> tuple[Item, bytes] | None:
        """Call the change of a write; return the next version's Item and its line, or None if it stores nothing."""
        question = log.collection, log.key, newest, write.author, write.change, self.clock.now()
        try:
            next_version = write.context.run(lines.next_version, *question, kept=write.kept)
        except Exception as error:
            write.error = error
            return None
        write.item = None if next_version is None or next_version[0].deleted else next_version[0]
        return next_version

    def restore(self, collection: Collection, key: str, items: Iterable[Item], *, dry_run: bool = False) -> bool:
        newest = self._newest(collection, key)
        if newest.item is None:
            if dry_run:
                return True
            with self._writer(newest, "restore", make=True) as writer:
                writer.lock()
                newest = writer.newest
                if newest.item is None:
                    writer.restore(items)
                    if item := self._newest(collection, key).item:
                        readable_copies.update(newest.log, item.value)
                    return True
        with disk.storage_errors("restore"):
            lines.check_same(key, newest.log.history(newest, None, oldest_first=True), items)
            if not dry_run:  # who restored them may have been killed before that
                changes.add(newest.log.folder, newest.version)
                disk.sync_folder(self.folder(collection))
        return False

    def purge(self, collection: Collection, key: str, author: str, version: int | None = None) -> int:
        newest = self._newest(collection, key)
        is_deleted = bool(newest.item and not newest.item.deleted) and version in (None, newest.version)
        if is_deleted:
            self.write(collection, key, author, lambda current, now: None)
            if not collection.history:
                _log.warning("%s/%s was purged by %s", collection.name, key, author)
                return 1
        try:
            return self._purge(collection, key, author, version)
        except StorageFullError as error:
            if version is not None and not is_deleted:
                raise
            detail = "The storage is full; the item is deleted, but not all of its versions could be removed."
            raise StorageError(detail, log=error.log) from error.__cause__

    def _purge(self, collection: Collection, key: str, author: str, version: int | None) -> int:
        newest = self._newest(collection, key)
        log = newest.log
        first, end = (1, newest.version) if version is None else (version, min(version + 1, newest.version))
        # They are counted before the key is locked: a long history takes seconds.
        with disk.storage_errors("purge"):
            number = sum(1 for _ in takewhile(lambda item: item.version >= first, log.history(newest, end)))
        with self._writer(newest, "purge") as writer:
            writer.lock()
            if number:
                purging.remove_versions(writer, first, writer.newest.version if version is None else end)
            purging.remove_drafts(log)
            if item := writer.newest.item:
                readable_copies.update(log, item.value, durable=True)
        if number:
            _log.warning("%s/%s: versions purged by %s: %d", collection.name, key, author, number)
        return number

    def trim(self, collection: Collection, key: str, now: datetime | None = None) -> int:
        self.has_right_copy(collection, key, repair=True)
        newest = self._newest(collection, key)
        if newest.item is None or not collection.history:
            return 0
        steps, now = 0, now or self.clock.now()
        oldest = as_precise(now - timedelta(days=self.limits.daily_days))
        while True:  # with the key locked for each step only
            with self._writer(newest, "trim") as writer:
                writer.lock()
                newest, step = writer.newest, 0
                if newest.item and newest.item.deleted and newest.item.changed_at < oldest:
                    step = purging.remove_versions(writer, 1, newest.version)  # that it was deleted is all
                step += retention.thin(writer, TIERS, self.limits, now)
            if not step:
                return steps
            steps += step

    def lease(self, name: str) -> FileLease:
        return FileLease(self.root, name)

    def verify(self, collection: Collection, *, repair: bool = False) -> Iterator[tuple[str, str]]:
        with disk.storage_errors("verify"):
            yield from verifying.verify(self, collection, repair=repair)

    def has_right_copy(self, collection: Collection, key: str, *, repair: bool) -> bool:
        """Return True if the copy of a key is right; ``repair`` rewrites one that is not."""
        newest = self._newest(collection, key)
        if readable_copies.is_right(newest.log, newest.item and newest.item.value):
            return True
        with self._writer(newest, "verify") as writer:  # another writer may be about to write it
            writer.lock()
            value = writer.newest.item and writer.newest.item.value
            is_right = readable_copies.is_right(newest.log, value)
            if repair and not is_right:
                readable_copies.update(newest.log, value)
            return is_right

    # Where things are

    def log(self, collection: Collection, key: str) -> VersionLog:
        """Return the VersionLog of a key."""
        return VersionLog(collection, key, self.root, self._file_versions)

    def folder(self, collection: Collection) -> str:
        """Return the path of the folder with the logs of a collection."""
        return f"{self.data}/{collection.name}"
