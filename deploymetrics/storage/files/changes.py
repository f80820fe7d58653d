"""The file ``.changes`` of a collection: which keys were written lately, for the lists of all processes.

Every writer adds the name of its key to the file ``.changes`` of the collection, just before its line is whole. Where
that is another file than before, everything has to be looked at.
"""

import errno
import os
from contextlib import suppress
from typing import NamedTuple

from .. import file_names
from . import disk

#: The size at which the file begins anew. Every list is then looked at as a whole once.
CHANGES_BYTES = 2**22
# Longer than the longest entry, so that at least one, with its version, is compared.
_END_BYTES = 512


class _Seen(NamedTuple):
    """How far a process has read the file: its inode, size and time then, and the last bytes read."""

    inode: int = 0
    size: int = 0
    mtime: int = 0
    end: bytes = b""


def add(folder: str, version: int) -> None:
    """Append the key whose log is in ``folder``, with its new version, so that every list looks at it from now on."""
    parent, _, name = folder.rpartition("/")
    path = f"{parent}/.changes"
    entry = f"\n{name} {version}\n".encode()  # a newline before it too: what stands there may be half of one
    while True:  # until it stands in the file that is there
        fd = disk.open_private(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            if os.write(fd, entry) < len(entry):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            stat = os.fstat(fd)
            if stat.st_nlink:
                if stat.st_size <= max(CHANGES_BYTES, len(entry)):
                    return
                with suppress(FileNotFoundError):  # another writer has just done it
                    os.unlink(path)  # begin another one at once: where there is none nobody has written
        finally:
            os.close(fd)


class Changes:
    """The file ``.changes`` of a collection, and how far this process has read it."""

    def __init__(self, folder: str) -> None:
        self.path = f"{folder}/.changes"
        self._seen = _Seen()

    def new(self) -> set[str] | None:
        """Return the keys that were appended since the last call, or None if all keys have to be looked at."""
        try:
            stat = os.stat(self.path)
            if (stat.st_ino, stat.st_size, stat.st_mtime_ns) == self._seen[:3]:
                return set()
            with disk.opened(self.path) as fd:
                return self._read(fd)
        except FileNotFoundError:
            before, self._seen = self._seen, _Seen()
            return None if before.inode else set()  # where there was no file nobody has written

    def _read(self, fd: int) -> set[str] | None:
        stat, (inode, size, _, end) = os.fstat(fd), self._seen
        # What was read before must still stand there: a disk that failed may come back without it.
        goes_on = stat.st_ino == inode and os.pread(fd, len(end), size - len(end)) == end
        start = size if goes_on else max(stat.st_size - _END_BYTES, 0)
        data = os.pread(fd, max(stat.st_size - start, 0), start)
        whole = data[: data.rfind(b"\n") + 1]
        end = ((end if goes_on else b"") + whole)[-_END_BYTES:]
        self._seen = _Seen(stat.st_ino, start + len(whole), stat.st_mtime_ns, end)
        entries = whole.decode(errors="replace").split("\n")
        return file_names.keys_of(entry.rpartition(" ")[0] for entry in entries) if goes_on else None
