"""File operations: private files and folders, syncs, locks, and conversion of OSError to StorageError."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from stat import S_ISREG

from ...errors import StorageError, StorageFullError

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
#: More than the largest document and what may be beside it in a file. A file that is larger is so by mistake, or has a
#: hole, and is not read into memory.
FILE_LIMIT = 2**30 + 2**20
# A pipe is not waited for, and a link is not followed: root may run this in a folder that belongs to another account.
_FLAGS = os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def storage_errors(operation: str) -> Iterator[None]:
    """A context that converts OSError to StorageFullError or StorageError; ``operation`` is for the log."""
    try:
        yield
    except OSError as error:
        raise as_storage_error(error, operation) from error


def as_storage_error(error: BaseException, operation: str) -> StorageError:
    """Convert an error to a StorageError, or StorageFullError if the disk is full; ``operation`` is for the log.

    It is a new one for each thread that meets the error, since threads must not raise the same.
    """
    if isinstance(error, StorageError):
        new = type(error)(error.detail, code=error.code, log=error.log)
    else:
        error_class = StorageFullError if isinstance(error, OSError) and error.errno in FULL else StorageError
        new = error_class(log=f"{operation}: {error}")
    new.__cause__ = error
    return new


def try_lock(fd: int, how: int) -> bool:
    """Lock an open file with ``fcntl.LOCK_EX`` or ``LOCK_SH`` without waiting; return False if others have it."""
    try:
        fcntl.flock(fd, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def open_private(path: str, how: int = os.O_RDONLY) -> int:
    """Open a file or folder, without following a link or waiting for a pipe that another user may have put there."""
    return os.open(path, how | _FLAGS, FILE_MODE)


class opened:
    """A context with an open file, or a folder with O_DIRECTORY; raises OSError for other things and absurd sizes."""

    __slots__ = ("path", "how", "fd")

    def __init__(self, path: str, how: int = os.O_RDONLY) -> None:
        self.path = path
        self.how = how

    def __enter__(self) -> int:
        self.fd = open_private(self.path, self.how)
        try:
            if not self.how & os.O_DIRECTORY:
                stat = os.fstat(self.fd)
                if not S_ISREG(stat.st_mode):
                    raise OSError(errno.ENXIO, "not a file")
                if stat.st_size > FILE_LIMIT:
                    raise OSError(errno.EOVERFLOW, "too large")
        except BaseException:
            close(self.fd)
            raise
        return self.fd

    def __exit__(self, *_: object) -> None:
        close(self.fd)


def close(fd: int) -> None:
    """Close an open file, ignoring errors: what has to be durable was synced before."""
    try:
        os.close(fd)
    except OSError:
        pass


def list_folder(path: str) -> list[str]:
    """Return the names in a folder, or none if it is missing; raises OSError for a link to a folder."""
    with suppress(FileNotFoundError), opened(path, os.O_DIRECTORY) as fd:
        return os.listdir(fd)
    return []


def read_file(path: str) -> bytes:
    """Return the bytes of a file."""
    with opened(path) as fd:
        return os.pread(fd, os.fstat(fd).st_size, 0)


def write_at(fd: int, data: bytes, offset: int) -> None:
    """Write all of ``data`` at an offset, in as many system calls as it takes."""
    while (written := os.pwrite(fd, data, offset)) < len(data):
        data, offset = data[written:], offset + written


def write_file(path: str, data: bytes, *, durable: bool = True) -> None:
    """Write a file, replacing its content in place."""
    fd = open_private(path, os.O_WRONLY | os.O_CREAT)
    try:
        write_at(fd, data, 0)
        if os.fstat(fd).st_size > len(data):
            os.ftruncate(fd, len(data))
        if durable:
            os.fsync(fd)
    finally:
        os.close(fd)


def replace_file(path: str, data: bytes, *, durable: bool = True) -> None:
    """Replace the content of a file atomically, by renaming a draft; the name is not synced."""
    draft = draft_of(path)
    try:
        write_file(draft, data, durable=durable)
        os.rename(draft, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(draft)
        raise


def draft_of(path: str) -> str:
    """Return the path of a draft of ``path``: beside it, under a name that no key has."""
    folder, name = os.path.split(path)
    return f"{folder}/.{name}{DRAFT_SUFFIX}"


def sync_folder(path: str) -> None:
    """Sync a folder, which makes the names in it durable."""
    with opened(f"{path}/.", os.O_DIRECTORY) as fd:  # the dot follows a link: the folder may be on another disk
        os.fsync(fd)


def make_folder(path: str) -> None:
    """Make a private folder, and its missing parents."""
    if not os.path.isdir(parent := os.path.dirname(path)):
        make_folder(parent)
    make_one_folder(path)


def make_one_folder(path: str) -> None:
    """Make a private folder, without its parents, unless it exists."""
    with suppress(FileExistsError):
        os.mkdir(path, FOLDER_MODE)
