"""Leases on one machine: file locks, which the kernel releases with the process that held them."""

import fcntl
import os
from contextlib import suppress

from .. import Lease
from . import disk


class FileLease(Lease):
    """A lease that is a locked file in the instance folder ``root``, with the holder's process id and note."""

    def __init__(self, root: str, name: str) -> None:
        folder = os.path.join(root, "locks")
        disk.make_folder(folder)
        self._path = os.path.join(folder, name)
        self._fd: int | None = None

    def acquire(self) -> bool:
        fd = disk.open_private(self._path, os.O_RDWR | os.O_CREAT)
        if not disk.try_lock(fd, fcntl.LOCK_EX):
            os.close(fd)
            return False
        self._fd = fd
        self.unfinished = _read_holder(fd)[1]
        self.note()
        return True

    def is_held(self) -> bool:
        return self._fd is not None

    def note(self, text: str = "") -> None:
        if self._fd is not None:
            with suppress(OSError):  # a full disk; it is the lock that counts
                os.ftruncate(self._fd, 0)
                os.pwrite(self._fd, f"{os.getpid()}\n{text}\n".encode(), 0)

    def release(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def holder(self) -> str:
        try:
            with disk.opened(self._path) as fd:
                # A shared lock: two that ask at the same time do not take each other for a holder.
                return "" if disk.try_lock(fd, fcntl.LOCK_SH) else _read_holder(fd)[0]
        except FileNotFoundError:
            return ""


def _read_holder(fd: int) -> tuple[str, str]:
    """Return (process id, note) of the holder from the file of a lease."""
    first, _, rest = os.pread(fd, 4096, 0).decode(errors="replace").partition("\n")
    return first, rest.strip()
