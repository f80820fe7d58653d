"""Changing the log of a key, which nobody else can do meanwhile.

Whoever writes holds the lock of the newest file; of the folder where there is no version yet. Readers take a last line
without its newline, in a file that is locked, for one that is being written. So a writer looks before and after it
locks the file: what a crash left there would be hidden from them.
"""

import fcntl
import os
import shutil
import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from itertools import pairwise

from ...clock import as_precise
from ...errors import StorageError
from .. import VERSION_LIMIT, Item
from . import disk, lines, queues
from .log import NEWEST, Log, Newest, read_tail, signature_of


class Batch:
    """Versions of a key that are added together: the Items, and their lines. They follow the Item ``newest``."""

    def __init__(self, log: Log, newest: Item | None) -> None:
        self.log = log
        self.newest = newest
        self.items: list[Item] = []
        self.lines: list[bytes] = []

    def add(self, write: queues.Write, now: datetime) -> None:
        """Add what a Write makes of the newest version; it ends with its Item, or with what its ``change`` raised."""
        newest, collection, key = self.newest, self.log.collection, self.log.key
        current = None if newest is None or newest.deleted else newest
        try:
            value = write.context.run(write.change, current, now)
            if value is None and current is None:
                return
            record = None if value is None else collection.decode(value)
            version = newest.version + 1 if newest else 1
            if version >= VERSION_LIMIT:
                raise lines.damaged(collection, key, "its versions are at the end of the numbers")
        except Exception as error:
            write.error = error
            return
        item = Item(key, value, record, version, as_precise(now), write.author, "", value is None, write.kept)
        line = lines.encode(item)
        item = item._replace(revision=lines.revision_of(line))
        self.items.append(item)
        self.lines.append(line)
        write.item = None if item.deleted else item
        self.newest = None if item.deleted and not collection.history else item


class Writer:
    """A log with its newest version, and the open files whose locks keep others from it."""

    def __init__(self, log: Log, newest: Newest) -> None:
        self.log = log
        self.newest = newest
        self._files: list[int] = []  # the last one is the newest file, or the folder

    def close(self) -> None:
        """Let others write."""
        # Closing alone would leave the lock to a process that was forked meanwhile and shares the open file.
        while self._files:
            fd = self._files.pop()
            with suppress(OSError):
                fcntl.flock(fd, fcntl.LOCK_UN)
            disk.close(fd)

    # Keeping others from it

    def lock(self, *, make: bool) -> bool:
        """Lock the newest file, or the folder, which ``make`` makes; False where there may be a newer version."""
        newest, log = self.newest, self.log
        if newest.item is None:
            return self._lock_folder(make)
        if not newest.is_ended:
            raise StorageError(log=f"{log.folder}: what a crash left cannot be ended")
        fd = self._open(log.path(newest.start), os.O_RDWR)
        if os.pread(fd, 1, newest.end - 1) != b"\n":
            return False
        queues.wait_for_lock(fd, log.folder)
        stat = os.fstat(fd)
        if not stat.st_nlink or not (signature_of(stat) == newest.signature or self._look_again(fd)):
            return False
        if os.access(log.path(log.next_start(self.newest)), os.F_OK):
            return newest.has_later and log.newest() == newest
        return True

    def _look_again(self, fd: int) -> bool:
        """Read the newest version of the locked file; False where a crash left another one."""
        log, tail = self.log, read_tail(fd)
        if tail.line is None or log.whole_line(tail.rest) is not None:
            return False
        item = lines.decode_last(log.collection, log.key, tail.line)
        self.newest = Newest(item, self.newest.start, tail.end, signature=tail.signature)
        return True

    def _lock_folder(self, make: bool) -> bool:
        folder = self.log.folder
        if not make and not os.path.isdir(folder):
            return True
        collection = os.path.dirname(folder)
        disk.make_one_folder(collection)
        if self.log.collection.durable:  # also where it was there: who made it may have been killed before that
            disk.sync_folder(os.path.dirname(collection))
        disk.make_one_folder(folder)
        fd = self._open(folder, os.O_DIRECTORY)
        queues.wait_for_lock(fd, folder)
        return os.path.samestat(os.fstat(fd), os.stat(folder)) and self.log.newest().item is None

    def _open(self, path: str, how: int) -> int:
        fd = disk.open_private(path, how)
        self._files.append(fd)
        return fd

    def _lock_file(self, path: str) -> None:
        """Lock a file, which is made where it is missing."""
        queues.wait_for_lock(self._open(path, os.O_RDWR | os.O_CREAT), self.log.folder)

    # Adding

    def append(self, batch: Batch) -> Newest:
        """Add versions, durably. Raises OSError where none was added, and StorageError where that is not known."""
        newest, log, last = self.newest, self.log, batch.items[-1]
        line = lines.TOGETHER.join(batch.lines) if log.collection.history else batch.lines[-1]
        start, end = self._file_for(batch.items[0].version), newest.end
        if is_new := newest.item is None or start != newest.start:
            self._lock_file(log.path(start))
            end = 0
        fd = self._files[-1]
        size = os.fstat(fd).st_size if is_new else (newest.signature or (0,))[0]
        try:
            if size > end:
                self._cut_off(fd, end, size)
            disk.write_at(fd, line, end)
            log.sync(fd, new_file=is_new, new_folder=newest.item is None)
            log.announce(last.version)
            disk.write_at(fd, b"\n", end + len(line))
        except OSError as error:
            try:
                os.ftruncate(fd, end)
                log.sync(fd)
            except OSError as second:
                raise _unknown(error, second) from error
            raise
        end += len(line) + 1
        signature = signature_of(os.fstat(fd)) if is_new else (end, *(newest.signature or ())[1:])
        self.newest = Newest(last, start, end, signature=signature)
        return self.newest

    def _file_for(self, version: int) -> int:
        """Return the start of the file that takes a version."""
        newest, log = self.newest, self.log
        if not log.collection.history:
            return log.next_start(newest) if newest.item else time.time_ns() // 1000
        if newest.item is None or newest.has_later or log.is_full(newest.start, version, newest.end):
            return version
        return newest.start

    def _cut_off(self, fd: int, end: int, size: int) -> None:
        """Remove what a crash left after ``end``."""
        line, newline, _ = os.pread(fd, size - end, end).partition(b"\n")
        if newline and self.log.whole_line(line) is not None:  # a version: somebody put the file there just now
            raise StorageError("Others have been writing this; try again.", log=f"{self.log.folder}: written meanwhile")
        os.ftruncate(fd, end)

    def restore(self, items: Iterable[Item]) -> None:
        """Let these Items be the versions, oldest first, wholly or not at all, where there is none yet."""
        log, draft, start, version, added = self.log, disk.draft_of(self.log.folder), 0, 0, list[bytes]()

        def save(*, is_newest: bool = False) -> None:
            if added:
                path = f"{draft}/{os.path.basename(log.path(start))}"
                if is_newest:
                    self._lock_file(path)
                disk.write_file(path, lines.join(added))

        shutil.rmtree(draft, ignore_errors=True)
        try:
            disk.make_one_folder(draft)
            for item in items:
                version = item.version
                if not added or log.is_full(start, version, sum(map(len, added))):
                    save()
                    start, added = version, []
                added.append(lines.encode(item))
            save(is_newest=True)
            disk.sync_folder(draft)
            for name in os.listdir(log.folder):  # what a creation left that broke off
                os.unlink(f"{log.folder}/{name}")
            # Over the folder that is locked, and its newest file is: nobody writes in between, or before this is done.
            self._rename(draft, log.folder, version)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise

    # Removing

    def remove(self, version: int) -> None:
        """Remove all versions at once, durably; raises OSError where they are still there.

        ``version`` is that of the deletion, for lists.
        """
        draft = disk.draft_of(self.log.folder)
        shutil.rmtree(draft, ignore_errors=True)
        self._rename(self.log.folder, draft, version)
        shutil.rmtree(draft, ignore_errors=True)

    def _rename(self, old: str, new: str, version: int) -> None:
        os.rename(old, new)
        try:
            self.log.announce(version)
            if self.log.collection.durable:
                disk.sync_folder(os.path.dirname(old))
        except OSError as error:
            try:
                os.rename(new, old)
                self.log.announce(version)
            except OSError as second:
                raise _unknown(error, second) from error
            raise

    def remove_file(self, start: int, tier: str = NEWEST) -> None:
        """Remove a file whose versions are not wanted any more, if it is there."""
        with suppress(FileNotFoundError):
            os.unlink(self.log.path(start, tier))

    def remove_versions(self, first: int, end: int) -> int:
        """Remove the versions from ``first`` on that are below ``end``; return how many files were changed.

        Only a file with others too is read.
        """
        changed, files = 0, self.log.files()
        for start, next_start, tier in [
            (*pair, tier) for tier, starts in files.items() for pair in pairwise([*starts, self.newest.version + 1])
        ]:
            if start < end and next_start > first:
                changed += self._remove_from(start, tier, first, end, is_whole=start >= first and next_start <= end)
        return changed

    def _remove_from(self, start: int, tier: str, first: int, end: int, *, is_whole: bool) -> bool:
        """Remove versions from a file, or the file where ``is_whole``; return True if there were any."""
        path, found = self.log.path(start, tier), [] if is_whole else self.log.lines(start, tier, self.newest)
        wanted = [line for line in found if not first <= self.log.version_of(line) < end]
        if not wanted:
            self.remove_file(start, tier)
        elif len(wanted) < len(found):
            # Others wait for the lock of the newest file; the one in its place has it from the beginning.
            self._lock_file(disk.draft_of(path))
            disk.replace_file(path, lines.join(wanted))
        return not wanted or len(wanted) < len(found)

    def remove_drafts(self) -> None:
        """Remove what operations left that broke off; durably, and all that was removed before too."""
        folder = self.log.folder
        with suppress(FileNotFoundError):
            shutil.rmtree(disk.draft_of(folder))
        with suppress(FileNotFoundError):
            for name in os.listdir(folder):
                if name.startswith("."):
                    os.unlink(f"{folder}/{name}")
            disk.sync_folder(folder)
        with suppress(FileNotFoundError):
            disk.sync_folder(os.path.dirname(folder))


def writer_of(log: Log, known: Newest | None, *, make: bool) -> Writer:
    """Return the Writer of a log when no other process has it; ``known`` is what is known of it.

    ``make`` makes the folder of a log that is not there; without it nothing is locked then.

    Raises StorageError after LOCK_SECONDS, DamagedItemError and OSError.
    """
    began = time.monotonic()
    while True:
        writer, is_locked = Writer(log, known or log.newest()), False
        try:
            is_locked = writer.lock(make=make)
        except FileNotFoundError:
            if not os.path.isdir(os.path.dirname(log.folder)):
                raise
        finally:
            if not is_locked:
                writer.close()
        if is_locked:
            return writer
        known = None
        if time.monotonic() - began > queues.LOCK_SECONDS:
            raise queues.busy(log.folder)


def _unknown(error: OSError, second: OSError) -> StorageError:
    detail = "The storage cannot answer now; it is not known whether this was stored."
    return StorageError(detail, log=f"write: {error}, then {second}")
