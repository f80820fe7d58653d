"""File operations: locks, durable writes, drafts, and what tells whether a file changed.

What replaces, removes or makes something is on the disk when it returns, except for drafts that are not synced.
"""

import errno
import fcntl
import os
from contextlib import contextmanager, suppress
from stat import S_ISREG

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
UNREADABLE = {
    errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.EIO, errno.EOVERFLOW,
    errno.EROFS,
}
# No file of ours is as large; one that is, by mistake or a hole in it, is not read into memory.
FILE_LIMIT = 2**30


@contextmanager
def storage_errors(what):
    """Turn OSError into StorageFull or StorageError; ``what`` is for the log."""
    try:
        yield
    except OSError as error:
        kind = StorageFull if error.errno in FULL else StorageError
        raise kind(log=f"{what}: {error}") from error


@contextmanager
def locked(path, *, wait=True):
    """Hold the lock file ``path`` against every other thread and process; without ``wait`` only where it is free.

    Gives whether it is held. Where nothing can be written there is nobody to exclude.
    """
    # An open file of its own for each holder: threads of one process exclude each other too.
    with storage_errors("lock"):
        fd = _open_lock(path)
    if fd is None:
        yield True
        return
    try:
        with storage_errors("lock"):
            held = _lock(fd, wait)
        yield held
    finally:
        # Closing alone would leave the lock to a process that was forked meanwhile and shares the open file. Neither of
        # the two may undo what was done under the lock.
        with suppress(OSError):
            fcntl.flock(fd, fcntl.LOCK_UN)
        with suppress(OSError):
            os.close(fd)


def _open_lock(path):
    """The lock file, open, or None where nothing can be written."""
    try:
        with suppress(FileNotFoundError):
            return os.open(path, os.O_RDWR | os.O_CLOEXEC)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
    except OSError as error:
        if error.errno == errno.EROFS:
            return None
        raise
    give_to_owner(path)
    return fd


def _lock(fd, wait):
    try:
        fcntl.flock(fd, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def signature(stat):
    """What tells one content of a file from another without reading it."""
    return stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, stat.st_size


def is_young(stat, now_ns):
    """Whether the file changed so short a time ago that another change could bear the same time."""
    tick = TICK_NS if stat.st_ctime_ns % SECOND_NS else TICK_NS + SECOND_NS
    return stat.st_ctime_ns > now_ns - tick


def reliable_signature(stat, now_ns):
    """The signature, or None for a file so young that it could change without getting another one.

    ``now_ns`` is a time from before the call of ``stat``.
    """
    return None if is_young(stat, now_ns) else signature(stat)


def read_file(path):
    """The bytes and the stat result of a file, of one and the same moment, or (None, None) where there is none."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe is not waited for
    except FileNotFoundError:
        return None, None
    try:
        stat = os.fstat(fd)
        if not S_ISREG(stat.st_mode):
            raise OSError(errno.ENXIO, "not a file")
        if stat.st_size > FILE_LIMIT:
            raise OSError(errno.EOVERFLOW, "too large")
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


def write_file(path, data, how=os.O_TRUNC, *, sync):
    """Write a private file; its content, but not its name, is durable afterwards if ``sync`` says so.

    A file that is there is overwritten, or with ``how=os.O_EXCL`` refused.
    """
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | how | os.O_CLOEXEC, FILE_MODE)
    try:
        write_all(fd, data)
        if sync:
            os.fsync(fd)
    finally:
        os.close(fd)


def sync_folder(path):
    """Make the names in a folder durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_file(path):
    """Make the content of a file durable that may have been written by somebody else."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
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
        if not parents:
            give_to_owner(path)
    except FileExistsError:
        pass
    except FileNotFoundError:
        if not parents or os.path.exists(os.path.dirname(path)):
            raise
        make_folder(os.path.dirname(path), parents=True)
        return make_folder(path, parents=True)
    with suppress(PermissionError):  # a parent that this account may not read was made by another one
        sync_folder(os.path.dirname(path))


def draft_path(path):
    """Where the next content of ``path`` is written, beside it; one for each file, since writers exclude each other."""
    folder, name = os.path.split(path)
    return os.path.join(folder, f".{name}{DRAFT_SUFFIX}")


def drafted_name(name):
    """The name of the file whose draft has the name ``name``, or None for a name that is not a draft's."""
    is_draft = name.startswith(".") and name.endswith(DRAFT_SUFFIX)
    return name[1:].removesuffix(DRAFT_SUFFIX) if is_draft else None


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
    draft = write_draft(path, data, sync=True)
    try:
        os.rename(draft, path)
    except BaseException:
        remove_quietly(draft)
        raise


def write_draft(path, data, *, sync=False, left=lambda: None):
    """Write what is to be the next content of a file beside it; the draft's path.

    ``left`` is called first where a killed process left a draft. That one may be a file that was current until just
    now, and that somebody is reading, so it is not written over.
    """
    draft = draft_path(path)
    try:
        _write_new(draft, data, sync)
    except FileExistsError:
        left()  # where that fails the draft stays, and so does what it tells the next writer
        os.unlink(draft)
        _write_new(draft, data, sync)
    return draft


def _write_new(path, data, sync):
    try:
        write_file(path, data, os.O_EXCL, sync=sync)
    except FileExistsError:
        raise
    except BaseException:
        remove_quietly(path)
        raise


def remove_file(path, before):
    """Remove a file whose content was ``before``; it is put back when the folder cannot be synced."""
    os.unlink(path)
    try:
        sync_folder(os.path.dirname(path))
    except OSError:
        _write_and_rename(path, before)
        raise


def give_to_owner(path):
    """Let the account that has the folder have the file too, where root made it in passing, if that can be done."""
    if os.geteuid() == 0:
        with suppress(OSError):
            stat = os.stat(os.path.dirname(path))
            os.chown(path, stat.st_uid, stat.st_gid)


def remove_quietly(path):
    """Remove a file if it is there and can be removed."""
    with suppress(OSError):
        os.unlink(path)
