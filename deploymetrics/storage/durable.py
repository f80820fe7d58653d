"""File operations that are on the disk when they return, and whose errors are the project's own."""

import errno
import fcntl
import os
from contextlib import contextmanager, suppress

from ..errors import StorageError, StorageFull

FILE_MODE = 0o600
FOLDER_MODE = 0o700
DRAFT_SUFFIX = ".tmp"
# The kernel stamps files with the time of its last tick; 4 ms is usual and 10 ms the slowest. Two changes within one
# tick look alike, so a stamp as young as this is not relied on.
TICK_NS = 50_000_000
# A time without a fraction is most likely of a file system that keeps whole seconds.
SECOND_NS = 1_000_000_000
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# Errors that are about one file, and not about the disk or the process.
UNREADABLE = {errno.EACCES, errno.EPERM, errno.EISDIR, errno.ELOOP, errno.ENXIO, errno.EIO}


@contextmanager
def storage_errors(what):
    """Turn OSError into StorageFull or StorageError; ``what`` is for the log."""
    try:
        yield
    except OSError as error:
        kind = StorageFull if error.errno in FULL else StorageError
        raise kind(log=f"{what}: {error}") from error


@contextmanager
def locked(path):
    """Hold the lock file ``path`` against every other thread and process."""
    with storage_errors("lock"):
        fd = _open_lock(path)
    try:
        with storage_errors("lock"):
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        _release(fd)


@contextmanager
def try_locked(path):
    """Like ``locked``, but at once: gives whether the lock was free."""
    fd = _open_lock(path)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            free = True
        except BlockingIOError:
            free = False
        yield free
    finally:
        _release(fd)


def _open_lock(path):
    # An open file of its own for each holder: threads of one process exclude each other too.
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)


def _release(fd):
    try:
        # Closing alone would leave the lock to a process that was forked meanwhile and shares the open file.
        fcntl.flock(fd, fcntl.LOCK_UN)
    finally:
        os.close(fd)


def signature(stat):
    """What tells one content of a file from another without reading it."""
    return stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, stat.st_size


def is_young(stat, now_ns):
    """Whether the file changed so short a time ago that another change could bear the same time."""
    tick = TICK_NS if stat.st_ctime_ns % SECOND_NS else TICK_NS + SECOND_NS
    return stat.st_ctime_ns > now_ns - tick


def read_file(path):
    """The bytes and the stat result of a file, of one and the same moment, or (None, None) where there is none."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None, None
    try:
        stat = os.fstat(fd)
        parts = [os.read(fd, stat.st_size + 1)]
        while len(parts[-1]) and sum(map(len, parts)) < stat.st_size:
            parts.append(os.read(fd, stat.st_size))
        return b"".join(parts), stat
    finally:
        os.close(fd)


def write_all(fd, data):
    """Write all of ``data``; one system call may take only a part of it."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view):]


def sync_folder(path):
    """Make the names in a folder durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_folder(path, *, parents=False):
    """Make a private folder if it is missing; with ``parents`` whatever is missing above it too.

    Its name is durable afterwards also where it was there: who made it may have been killed before syncing it.
    """
    try:
        os.mkdir(path, FOLDER_MODE)
    except FileExistsError:
        pass
    except FileNotFoundError:
        if not parents or os.path.exists(os.path.dirname(path)):
            raise
        make_folder(os.path.dirname(path), parents=True)
        return make_folder(path)
    with suppress(PermissionError):  # a parent that this account may not read was made by another one
        sync_folder(os.path.dirname(path))


def temporary_name(path):
    """The name beside ``path`` under which its next content is written; one per file: writers exclude each other."""
    folder, name = os.path.split(path)
    return os.path.join(folder, f".{name}{DRAFT_SUFFIX}")


def replace_file(path, data, before):
    """Put ``data`` in the place of a file's content ``before`` (None: there is no file), all of it or nothing.

    The rename is the commit. When the folder cannot be synced after it, the content before is put back as far as that
    is possible, so that what is reported as failed does not stay.
    """
    _write_and_rename(path, data)
    try:
        sync_folder(os.path.dirname(path))
    except OSError:
        if before is None:
            os.unlink(path)
        else:
            _write_and_rename(path, before)
        raise


def _write_and_rename(path, data):
    draft = temporary_name(path)
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE)
    try:
        try:
            write_all(fd, data)
            os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(draft, path)
    except BaseException:
        remove_quietly(draft)
        raise


def remove_file(path, before):
    """Remove a file whose content was ``before``; it is put back when the folder cannot be synced."""
    os.unlink(path)
    try:
        sync_folder(os.path.dirname(path))
    except OSError:
        _write_and_rename(path, before)
        raise


def remove_quietly(path):
    """Remove a file that may not be there; a failure is no reason to fail."""
    try:
        os.unlink(path)
    except OSError:
        pass
