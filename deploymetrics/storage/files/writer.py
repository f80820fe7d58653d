"""Writing the log of a key, under a lock that keeps other writers away: that of its folder.

Readers take a last line without its newline, in a folder that is locked, for one that is being written. So what a crash
left is ended before the folder is locked: it would be hidden from them.
"""

import fcntl
import logging
import os
import shutil
import time
from collections.abc import Iterable
from contextlib import suppress

from ...errors import StorageError
from .. import Item, lines
from . import changes, disk, group_commit
from .group_commit import Queue, Write
from .version_log import CLOSED, FILE_BYTES, NEWEST, SPACES_BYTES, Newest, is_unchanged, signature_of

_log = logging.getLogger(__name__)


class Writer:
    """A context with the turn of ``queue`` to write a log; from ``lock`` to its end no other process changes that.

    ``newest`` is what is known of it at first. Others may take a ``write`` before. Errors of the system become
    StorageError; ``operation`` is for their log. ``make`` makes the folder of a log that is not there; without it
    nothing is locked then.
    """

    def __init__(
        self, newest: Newest, queue: Queue, operation: str, write: Write | None = None, *, make: bool = False
    ) -> None:
        self.log = newest.log
        self.newest = newest
        self.queue = queue
        self.operation = operation
        self.write = write
        self.make = make
        self._folders: list[int] = []  # those that are locked

    # Keeping others from it

    def __enter__(self) -> "Writer":
        self.queue.begin(self.log.folder, self.write)
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        try:
            self.unlock()
        finally:
            self.queue.turn.release()
        if isinstance(error, OSError):
            raise disk.as_storage_error(error, self.operation) from error

    def lock(self) -> None:
        """Lock the log against other processes; raises StorageError after LOCK_SECONDS, DamagedItemError, OSError."""
        began = time.monotonic()
        while not self._lock():
            self.unlock()
            if time.monotonic() - began > group_commit.LOCK_SECONDS:
                raise group_commit.busy(self.log.folder)
            self.newest = self.log.newest()

    def unlock(self) -> None:
        """Release the lock, also if a process that was forked meanwhile shares the open files."""
        while self._folders:
            fd = self._folders.pop()
            try:
                fcntl.flock(fd, fcntl.LOCK_UN)
            except OSError:
                pass
            finally:
                disk.close(fd)

    def _lock(self) -> bool:
        """Try to lock the folder, and find the newest version then; return False if it has to be looked for before."""
        newest, log = self.newest, self.log
        if not newest.is_ended:
            raise StorageError(log=f"{log.folder}: what a crash left cannot be ended")
        if newest.item is None:
            if not self.make and not os.path.isdir(log.folder):
                return True
            self._make_folder()
        try:
            self.lock_folder(log.folder)
            if is_unchanged(newest.path, newest.signature):
                return True
            if not os.path.samestat(os.fstat(self._folders[-1]), os.stat(log.folder)):
                return False
        except FileNotFoundError:  # it was removed
            if not os.path.isdir(os.path.dirname(log.folder)):
                raise
            return False
        self.newest = log.newest(newest.start if newest.item else 0)
        return not self.newest.is_pending

    def _make_folder(self) -> None:
        collection = os.path.dirname(self.log.folder)
        disk.make_one_folder(collection)
        if self.log.collection.durable:  # also where it was there: who made it may have been killed before that
            disk.sync_folder(os.path.dirname(collection))
        disk.make_one_folder(self.log.folder)

    def lock_folder(self, path: str) -> None:
        """Lock a folder."""
        self._folders.append(fd := disk.open_private(path, os.O_DIRECTORY))
        self.queue.lock(fd, path)

    # Adding

    def commit(self, last: Item, new_lines: list[bytes]) -> Newest:
        """Append the lines of versions, of which ``last`` is the newest, durably; return it as the Newest.

        Raises OSError where none was added, and StorageError where that is not known.
        """
        newest, log = self.newest, self.log
        line = lines.join(new_lines) if log.collection.history else new_lines[-1]
        start = self._next_start()
        if is_new := newest.item is None or start != newest.start:
            self._close()
        end, path = (0, log.path(start)) if is_new else (newest.end, newest.path)
        fd = disk.open_private(path, os.O_RDWR | os.O_CREAT * is_new)
        try:
            self._append(fd, line, end, last.version, is_new=is_new)
            signature = 0
            with suppress(OSError):  # the version counts by now, whatever fails
                if not log.collection.history:
                    self._remove_superseded(fd, start, end)
                signature = signature_of(os.fstat(fd))
        finally:
            disk.close(fd)
        self.newest = Newest(log, last, start, end + len(line) + 1, signature, path)
        return self.newest

    def _append(self, fd: int, line: bytes, end: int, version: int, *, is_new: bool) -> None:
        """Write a line at the ``end`` of a file, in the place of what a crash left there."""
        log, size = self.log, os.fstat(fd).st_size
        # A part of a line never counts, so it may stay where a full disk refuses to cut it off as well.
        is_whole = False
        try:
            if size > end:
                os.ftruncate(fd, end)
            disk.write_at(fd, line, end)
            is_whole = True
            log.sync(fd, new_file=is_new, new_folder=self.newest.item is None)
            changes.add(log.folder, version)
            disk.write_at(fd, b"\n", end + len(line))
        except OSError as error:
            try:
                os.ftruncate(fd, end)
                log.sync(fd)
            except OSError as second:
                if is_whole:
                    raise _unknown(error, second) from error
            raise

    def _remove_superseded(self, fd: int, start: int, end: int) -> None:
        """Write spaces over all that stands before ``end`` in the newest file, and remove the others.

        The newline there stays, so that a reader finds where the newest line begins. A failure is logged: the write
        itself is done, and the next one tries again.
        """
        log = self.log
        try:
            if superseded := os.pread(fd, end, 0).lstrip(b" \n"):
                disk.write_at(fd, b" " * (len(superseded) - 1), end - len(superseded))
            for other, _ in log.files():
                if other != start:  # a later one may be empty, after a power loss
                    self.remove_file(other)
        except OSError as error:
            _log.warning("%s/%s: the version before was not removed: %s", log.collection.name, log.key, error)

    def _close(self) -> None:
        """Close the newest file, since another one begins; also if it is closed already, which may not be durable."""
        if self.newest.item:
            with disk.opened(self.newest.path, os.O_RDWR) as fd:
                disk.write_at(fd, CLOSED, self.newest.end)
                self.log.sync(fd)

    def _next_start(self) -> int:
        """Return the start of the file for the next version."""
        newest, log, version = self.newest, self.log, self.newest.version + 1
        if log.collection.history:
            next_start, is_full = version, version - newest.start >= log.file_versions or newest.end >= FILE_BYTES
        else:
            next_start = newest.start + 1 if newest.item else time.time_ns() // 1000
            is_full = newest.end >= SPACES_BYTES
        return next_start if newest.item is None or newest.is_closed or is_full else newest.start

    def restore(self, items: Iterable[Item]) -> None:
        """Write Items, oldest first, as all versions of a log that has none, wholly or not at all."""
        log, draft, start, version, added = self.log, disk.draft_of(self.log.folder), 0, 0, list[bytes]()

        def save() -> None:
            if added:
                path = f"{draft}/{os.path.basename(log.path(start))}"
                disk.write_file(path, b"".join(line + b"\n" for line in added))

        shutil.rmtree(draft, ignore_errors=True)
        try:
            disk.make_one_folder(draft)
            for item in items:
                version = item.version
                if not added or len(added) >= log.file_versions or sum(map(len, added)) >= FILE_BYTES:
                    save()
                    start, added = version, []
                added.append(lines.line_of(item))
            save()
            disk.sync_folder(draft)
            for name in os.listdir(log.folder):  # what a creation left that broke off
                os.unlink(f"{log.folder}/{name}")
            self.lock_folder(draft)  # it takes the place of the one that is: nobody writes before this is done
            self._rename(draft, log.folder, version)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            with suppress(OSError):  # it is not empty
                os.rmdir(log.folder)
            raise

    # Removing

    def remove(self, version: int) -> None:
        """Remove all versions at once, durably; raises OSError if they are still there.

        ``version`` is that of the deletion, for lists.
        """
        draft = disk.draft_of(self.log.folder)
        shutil.rmtree(draft, ignore_errors=True)
        self._rename(self.log.folder, draft, version)
        with suppress(OSError):  # which may be that of a folder that is closed
            shutil.rmtree(draft, ignore_errors=True)

    def _rename(self, old: str, new: str, version: int) -> None:
        os.rename(old, new)
        try:
            changes.add(self.log.folder, version)
            if self.log.collection.durable:
                disk.sync_folder(os.path.dirname(old))
        except OSError as error:
            try:
                os.rename(new, old)
                changes.add(self.log.folder, version)
            except OSError as second:
                raise _unknown(error, second) from error
            raise

    def remove_file(self, start: int, tier: str = NEWEST) -> None:
        """Remove a file of the log, if it exists."""
        with suppress(FileNotFoundError):
            os.unlink(self.log.path(start, tier))


def _unknown(error: OSError, second: OSError) -> StorageError:
    detail = "The storage cannot answer now; it is not known whether this was stored."
    return StorageError(detail, log=f"write: {error}, then {second}")
