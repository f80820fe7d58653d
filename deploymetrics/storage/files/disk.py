"""File operations: private files and folders, locks, syncs, and OSError as the project's own errors."""

import errno
import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from stat import S_ISREG

from ...errors import StorageError, StorageFull

FILE_MODE = 0o600
FOLDER_MODE = 0o700
DRAFT_SUFFIX = ".tmp"
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
#: Errors that are about one file, and not about the disk or the process.
UNREADABLE = {
    errno.EACCES,
    errno.EPERM,
    errno.EISDIR,
    errno.ENOTDIR,
    errno.ELOOP,
    errno.ENXIO,
    errno.EIO,
    errno.EOVERFLOW,
}
#: Errors that say that nothing can be written, and that much may be read nevertheless.
READ_ONLY = {errno.EROFS, errno.EACCES, errno.EPERM, *FULL}
#: No file of ours is as large; one that is, by mistake or a hole in it, is not read into memory.
FILE_LIMIT = 2**30
#: How long a writer waits for another one, and after what time no more than one of a process does.
LOCK_SECONDS = 10.0
STUCK_SECONDS = 1.0
_LONGEST_PAUSE = 0.0003
# A pipe is not waited for, and a link is not followed: root may run this in a folder that belongs to another account.
_FLAGS = os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
READING = os.O_RDONLY | _FLAGS


@contextmanager
def storage_errors(what: str) -> Iterator[None]:
    """Turn OSError into StorageFull or StorageError; ``what`` is for the log."""
    try:
        yield
    except OSError as error:
        error_class = StorageFull if error.errno in FULL else StorageError
        raise error_class(log=f"{what}: {error}") from error


Held = AbstractContextManager[None]


class Lock:
    """A lock file, held against every other thread and process.

    The kernel gives the lock of a process back that was killed. Where the process that has it was stopped, one thread
    of each other process waits for LOCK_SECONDS; the others give up after STUCK_SECONDS, so that readers find a thread.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._threads = threading.Lock()
        self._since = 0.0  # when the thread began that has it, or waits for another process

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock; raises StorageError after LOCK_SECONDS."""
        deadline = time.monotonic() + LOCK_SECONDS
        while not self._threads.acquire(timeout=0.1):
            now = time.monotonic()
            if now - self._since > STUCK_SECONDS or now > deadline:
                raise _busy(self.path)
        self._since = time.monotonic()
        try:
            with locked(self.path):
                yield
        finally:
            self._threads.release()


@contextmanager
def locked(path: str) -> Iterator[int]:
    """Open a file for writing and lock it; raises StorageError, after LOCK_SECONDS at the latest.

    The file and its folder are made where they are missing, and nothing above it: an instance that was moved away is
    not made anew.
    """
    with storage_errors("lock"):
        fd = _lock(path)
    try:
        yield fd
    finally:
        # Closing alone would leave the lock to a process that was forked meanwhile and shares the open file.
        with suppress(OSError):
            fcntl.flock(fd, fcntl.LOCK_UN)
        with suppress(OSError):
            os.close(fd)


def _lock(path: str) -> int:
    """Return the file, open and locked."""
    pause, began = 0.0001, time.monotonic()
    while True:
        fd = _open_for_lock(path)
        try:
            while not try_lock(fd, fcntl.LOCK_EX):
                if time.monotonic() - began > LOCK_SECONDS:
                    raise _busy(path)
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            if os.fstat(fd).st_nlink:  # else somebody removed it meanwhile
                return fd
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)


def _open_for_lock(path: str) -> int:
    with suppress(FileNotFoundError):
        return os.open(path, os.O_RDWR | _FLAGS)
    with suppress(FileExistsError):
        make_one_folder(os.path.dirname(path))
    with opened(path, os.O_RDWR | os.O_CREAT) as fd:
        return os.dup(fd)


def _busy(path: str) -> StorageError:
    return StorageError("Others have been writing this for too long; try again.", log=f"lock: {path} is held")


def try_lock(fd: int, how: int) -> bool:
    """Lock an open file with ``fcntl.LOCK_EX`` or ``LOCK_SH`` if that needs no waiting; False where it would."""
    try:
        fcntl.flock(fd, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def opened(path: str, how: int = os.O_RDONLY) -> Iterator[int]:
    """Open a file, or a folder with O_DIRECTORY, and close it; raises OSError for other things and absurd sizes."""
    fd = os.open(path, how | _FLAGS, FILE_MODE)
    try:
        stat = os.fstat(fd)
        if how & os.O_CREAT and not stat.st_size:
            give_to_owner(fd, path)
        if not how & os.O_DIRECTORY and not S_ISREG(stat.st_mode):
            raise OSError(errno.ENXIO, "not a file")
        if stat.st_size > FILE_LIMIT:
            raise OSError(errno.EOVERFLOW, "too large")
        yield fd
    finally:
        with suppress(OSError):  # what has to be durable was synced before
            os.close(fd)


def list_folder(path: str) -> list[str]:
    """Return the names in a folder; raises OSError for a link to one."""
    with opened(path, os.O_DIRECTORY) as fd:
        return os.listdir(fd)


def read_file(path: str) -> bytes:
    """Return the bytes of a file."""
    with opened(path) as fd, open(fd, "rb", closefd=False) as file:
        return file.read()


def write_at(fd: int, data: bytes, offset: int) -> None:
    """Write all of ``data``; one system call may take only a part of it."""
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, offset)
        view, offset = view[written:], offset + written


def replace_file(path: str, data: bytes, *, durable: bool = True) -> None:
    """Put ``data`` in the place of a file's content, all of it or nothing, and durably unless that is not asked for."""
    draft = draft_of(path)
    try:
        with opened(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as fd:
            write_at(fd, data, 0)
            if durable:
                os.fsync(fd)
        os.rename(draft, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(draft)
        raise
    if durable:
        sync_folder(os.path.dirname(path))


def draft_of(path: str) -> str:
    """Return where the next content of ``path`` is written: beside it, under a name that is no key's."""
    folder, name = os.path.split(path)
    return f"{folder}/.{name}{DRAFT_SUFFIX}"


def sync_folder(path: str) -> None:
    """Make the names in a folder durable."""
    with opened(f"{path}/.", os.O_DIRECTORY) as fd:  # the dot follows a link: the folder may be on another disk
        os.fsync(fd)


def make_folder(path: str) -> None:
    """Make a private folder, and what is missing above it, durably.

    Its name is made durable also where it was there: who made it may have been killed before that.
    """
    parent = os.path.dirname(path)
    if not os.path.isdir(parent):
        make_folder(parent)
    with suppress(FileExistsError):
        make_one_folder(path)
    with suppress(PermissionError):  # a parent that this account may not read was made by another one
        sync_folder(parent)


def make_one_folder(path: str) -> None:
    """Make a private folder in one that is there."""
    os.mkdir(path, FOLDER_MODE)
    with opened(path, os.O_DIRECTORY) as fd:
        give_to_owner(fd, path)


def give_to_owner(fd: int, path: str) -> None:
    """Let the account that has the folder of ``path`` have the open file too, where root made it, if it can be done."""
    if os.geteuid() == 0:
        with suppress(OSError):
            stat = os.stat(os.path.dirname(path))
            os.fchown(fd, stat.st_uid, stat.st_gid)
