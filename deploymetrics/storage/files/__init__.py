"""The storage in files of the instance folder, for one machine.

    data/deploymentmetrics/custom/   the versions of the document custom, see log.py; this is the truth
    data/deploymentmetrics/.changes  which keys were written lately, see changes.py
    data/format.json                 the format of all this, see format.py
    deploymentmetrics/custom.json    a copy of the current document for people and programs; never read for an answer
    locks/                           a fixed number of lock files

A write takes the lock of its key, asks ``change``, adds a line to the log, writes the copy, and thins out old versions
where a file of the log was begun. A reader takes no lock.
"""

import logging
import os
import zlib
from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import chain, zip_longest

from ...clock import Clock, as_precise, from_precise
from ...errors import AlreadyThere, StorageError, StorageFull
from .. import VERSION_LIMIT, Change, Collection, Item, Listing, Retention, Storage
from . import copies, disk, format, lines, retention, verifying
from .lease import FileLease
from .listing import FolderListing
from .log import FILE_VERSIONS, NEWEST, Log, Newest
from .remembered import Remembered

_log = logging.getLogger(__name__)
LOCKS = 256


class FileStorage(Storage):
    """See the module; ``root`` is the instance folder."""

    def __init__(self, root: str, clock: Clock, limits: Retention, *, make: bool = True) -> None:
        self.root = os.path.abspath(root)
        self.data = f"{self.root}/data"
        self.clock = clock
        self.limits = limits
        # So a small number of versions is kept about as exactly as a large one.
        self._file_versions = max(1, min(FILE_VERSIONS, limits.versions // 8))
        self._locks = [disk.Lock(f"{self.root}/locks/{number:02x}") for number in range(LOCKS)]
        self._remembered = Remembered()
        self._listings: dict[str, FolderListing] = {}
        with disk.storage_errors("open"):
            format.prepare(self.root, make=make)

    # Reading

    def check(self) -> None:
        if not os.path.isdir(self.data):
            raise StorageError(log=f"there is no folder {self.data}")

    def read(self, collection: Collection, key: str) -> Item | None:
        return self._newest(collection, key).current

    def _newest(self, collection: Collection, key: str) -> Newest:
        if known := self._remembered.get(collection.name, key):
            return known
        log = self.log(collection, key)
        if known := self._remembered.read(log):
            return known
        with disk.storage_errors("read"):
            newest = log.newest()
            if newest.item is None:
                self.check()
            self._remembered.put(log, newest)
            return newest

    def items(self, collection: Collection) -> Listing:
        with disk.storage_errors("list"):
            self.check()
            listing = self._listings.get(collection.name)
            if listing is None:
                # It has a memory of its own.
                made = FolderListing(collection, self.folder(collection), lambda key: self.log(collection, key))
                listing = self._listings.setdefault(collection.name, made)
            return listing.current()

    def history(
        self, collection: Collection, key: str, before: int | None = None, *, oldest_first: bool = False
    ) -> Iterator[Item]:
        with disk.storage_errors("history"):
            newest = self._newest(collection, key)
            if collection.history:
                yield from self.log(collection, key).history(newest, before, oldest_first=oldest_first)
            elif newest.item and (before is None or newest.version < before):
                yield newest.item

    def version(self, collection: Collection, key: str, version: int) -> Item | None:
        newest = self._newest(collection, key)
        if newest.version == version or not collection.history:
            return newest.item if newest.version == version else None
        with disk.storage_errors("history"):
            return self.log(collection, key).find(version, newest)

    def keys(self, collection: Collection) -> list[str]:
        with disk.storage_errors("list"):
            self.check()
            try:
                names = os.listdir(self.folder(collection))
            except FileNotFoundError:
                return []
            return sorted(key for name in names if (key := lines.key_of(name)) is not None)

    # Writing

    def write(
        self, collection: Collection, key: str, author: str, change: Change, *, kept: bool = False
    ) -> Item | None:
        with self.locked(collection, key):
            newest = self._newest(collection, key)
            now = self.clock.now()
            value = change(newest.current, now)
            if value is None and newest.current is None:
                return None
            record = None if value is None else collection.decode(value)
            version = newest.version + 1
            if version >= VERSION_LIMIT:
                raise lines.damaged(collection, key, "its versions are at the end of the numbers")
            item = Item(key, value, record, version, as_precise(now), author, "", value is None, kept)
            with disk.storage_errors("write"):
                return self._store(collection, newest, item)

    def _store(self, collection: Collection, newest: Newest, item: Item) -> Item | None:
        """Make an Item the newest version; it, or None for a deletion."""
        log = self.log(collection, item.key)
        if item.deleted and not collection.history:
            log.remove(item.version)
            return None
        if newest.item is None and (collection.durable or not os.path.isdir(self.folder(collection))):
            disk.make_folder(self.folder(collection))
        added = log.append(newest, item)
        self._remembered.put(log, added)
        if collection.copies:
            copies.update(self.root, collection, item.key, item.value)
        if added.start != newest.start:
            self._after_new_file(log, newest, added)
        return added.current

    def _after_new_file(self, log: Log, before: Newest, newest: Newest) -> None:
        """Remove what is past the limits. What cannot be done now is done the next time: the write itself is done."""
        try:
            if not log.collection.history:
                for start in log.files()[NEWEST]:
                    if start != newest.start:  # a later one may be empty, after a power loss
                        log.remove_file(start)
            elif before.item is not None:
                # By the time of the version before: one write under a clock that is ahead must not cost the history.
                now = min(self.clock.now(), from_precise(before.item.changed_at))
                retention.thin(log, newest, self.limits, now)
        except (OSError, ValueError, StorageError) as error:
            _log.warning("%s/%s: old versions were not removed: %s", log.collection.name, log.key, error)

    def restore(self, collection: Collection, key: str, items: Iterable[Item], *, dry_run: bool = False) -> bool:
        with self.locked(collection, key), disk.storage_errors("restore"):
            log, newest = self.log(collection, key), self._newest(collection, key)
            if newest.item is not None:
                if not _are_the_last(log.history(newest, None, oldest_first=True), items):
                    raise AlreadyThere(f"There are other versions of {key!r} already; they were left as they are.")
                if not dry_run:  # who restored them may have been killed before that
                    log.announce(newest.version)
                    disk.sync_folder(self.folder(collection))
                return False
            if not dry_run:
                disk.make_folder(self.folder(collection))
                log.restore(items)
                if collection.copies and (item := self._newest(collection, key).item):
                    copies.update(self.root, collection, key, item.value)
            return True

    def purge(self, collection: Collection, key: str, author: str, version: int | None = None) -> int:
        newest = self._newest(collection, key)
        if newest.current and version in (None, newest.version):
            self.write(collection, key, author, lambda current, now: None)
            if not collection.history:
                _log.warning("%s/%s was purged by %s", collection.name, key, author)
                return 1
        try:
            return self._purge(collection, key, author, version)
        except StorageFull as error:  # which would say that nothing was done
            raise StorageError(log=error.log) from error.__cause__

    def _purge(self, collection: Collection, key: str, author: str, version: int | None) -> int:
        with self.locked(collection, key), disk.storage_errors("purge"):
            log, newest = self.log(collection, key), self._newest(collection, key)
            versions = [item.version for item in log.history(newest, newest.version)]
            gone = versions if version is None else [number for number in versions if number == version]
            if gone:
                log.remove_versions(newest, version)
            log.remove_drafts()
            if collection.copies and newest.item:
                copies.update(self.root, collection, key, newest.item.value, durable=True)
            if gone:
                _log.warning("%s/%s: versions purged by %s: %d", collection.name, key, author, len(gone))
            return len(gone)

    def trim(self, collection: Collection, key: str) -> int:
        if collection.copies:
            self.has_right_copy(collection, key, repair=True)
        with self.locked(collection, key), disk.storage_errors("trim"):
            log, newest, now = self.log(collection, key), self._newest(collection, key), self.clock.now()
            if newest.item is None or not collection.history:
                return 0
            steps, oldest = 0, as_precise(now - timedelta(days=self.limits.daily_days))
            if newest.item.deleted and newest.item.changed_at < oldest:  # of it stays only that it was deleted
                steps = log.remove_versions(newest)
            while step := retention.thin(log, newest, self.limits, now):
                steps += step
            return steps

    def lease(self, name: str) -> FileLease:
        return FileLease(self.root, name)

    def verify(self, collection: Collection, *, repair: bool = False) -> Iterator[tuple[str, str]]:
        with disk.storage_errors("verify"):
            yield from verifying.verify(self, collection, repair=repair)

    def has_right_copy(self, collection: Collection, key: str, *, repair: bool) -> bool:
        """Return True if the copy of a key is that of its current version; ``repair`` writes another one again."""
        item = self.read(collection, key)
        if copies.is_right(self.root, collection, key, item and item.value):
            return True
        with self.locked(collection, key):  # a writer may be about to write it
            item = self.read(collection, key)
            is_right = copies.is_right(self.root, collection, key, item and item.value)
            if repair and not is_right:
                copies.update(self.root, collection, key, item and item.value)
            return is_right

    # Where things are

    def log(self, collection: Collection, key: str) -> Log:
        """Return the Log of a key."""
        return Log(collection, key, f"{self.data}/{collection.name}/{lines.name_of(key)}", self._file_versions)

    def folder(self, collection: Collection) -> str:
        """Return the folder with the logs of a collection."""
        return f"{self.data}/{collection.name}"

    def locked(self, collection: Collection, key: str) -> disk.Held:
        """Return a context in which no other writer can touch the key."""
        return self._locks[zlib.crc32(f"{collection.name}/{key}".encode()) % LOCKS].held()


def _are_the_last(existing: Iterator[Item], items: Iterable[Item]) -> bool:
    """Return True if the existing versions end with all of these."""
    wanted = iter(items)
    first = next(wanted, None)
    if first is None:
        return True
    existing = (item for item in existing if item.version >= first.version)
    pairs = zip_longest(existing, chain([first], wanted))
    return all(one is not None and two is not None and lines.encode(one) == lines.encode(two) for one, two in pairs)
