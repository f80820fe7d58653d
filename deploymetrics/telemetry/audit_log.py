"""The audit log: who changed what, who logged in and who was refused, when and from where; a line of JSON each.

It lies in ``audit/`` of the instance folder, in files that only grow, named by the time of their first line. A line is
one write at the end of a file, so those of several processes do not mix. It is not synced: a kill loses nothing, a
power loss may take the lines of the last seconds, and what was changed then is in the histories. The oldest files go
where there are too many bytes or they are too old.
"""

import errno
import fcntl
import logging
import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from threading import Lock
from typing import Any

import msgspec

from ..clock import Clock, as_precise
from ..storage.files.disk import close, list_folder, make_one_folder, open_private, opened, read_file

#: A file has this part of all bytes at most.
_PARTS = 10
#: How much older a new file may make the others: a clock that is years ahead for a while costs no more than that.
_STEP_DAYS = 30
_DAY = 86400 * 10**6  # in microseconds, as files are named
_NAME = re.compile(r"[0-9]{16}\.jsonl")
_log = logging.getLogger(__name__)


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """An entry of the audit log: who did what, when and from where.

    ``at``: a precise text.
    ``who``: the account, or the person at the command line; empty for nobody.
    ``action``: the name of a view or of a command.
    ``what``: the tag, account or other thing that was meant.
    ``status``: of the answer; 0 for a command.
    ``code``: of the error, if it was one.
    ``address``, ``request``: the client's address, and the id of the request.
    """

    at: str
    who: str
    action: str
    what: str = ""
    status: int = 0
    code: str = ""
    address: str = ""
    request: str = ""


_decode = msgspec.json.Decoder(Entry).decode


class _OpenFile:
    """An open file of the audit log; it is closed when nobody refers to it any more."""

    def __init__(self, path: str) -> None:
        self.fd = -1
        self.path = path
        self.began = int(os.path.basename(path)[:16]) / 1e6
        self.fd = open_private(path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
        self.inode = os.fstat(self.fd).st_ino

    def __del__(self) -> None:
        close(self.fd)

    def takes_more(self, size: int) -> bool:
        """Return True while the file has less than ``size`` bytes, is younger than a day, and was not moved away."""
        try:
            stat = os.stat(self.path)
        except FileNotFoundError:
            return False
        return stat.st_ino == self.inode and stat.st_size < size and time.time() - self.began < 86400

    def add(self, line: bytes) -> None:
        """Append a line; no other thread of this process may do so meanwhile.

        Raises OSError where the disk takes only part of it; the next one is written twice then.
        """
        self._write(line)
        # Looked at only now: before, what another process is writing would pass for the half of a line.
        start = os.lseek(self.fd, 0, os.SEEK_CUR) - len(line)
        if start and os.pread(self.fd, 1, start - 1) != b"\n":
            self._write(line)  # the first one went to the end of a half

    def _write(self, line: bytes) -> None:
        if os.write(self.fd, line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class AuditLog:
    """The audit log of an instance folder: at most ``size`` bytes, none older than ``days``."""

    def __init__(self, instance: str, clock: Clock, *, days: int, size: int) -> None:
        self.folder = f"{instance}/audit"
        self.clock = clock
        self.days = days
        self.size = size
        self.file_size = size // _PARTS
        self._file: _OpenFile | None = None  # the one that was added to last
        self._is_failing = False
        self._lock = Lock()

    def note(self, who: str, action: str, **details: Any) -> None:
        """Append an entry; a failure is logged, once, and the server goes on."""
        entry = Entry(as_precise(self.clock.now()), who, action, **details)
        try:
            self._append(msgspec.json.encode(entry) + b"\n")
            self._is_failing = False
        except OSError as error:
            if not self._is_failing:
                _log.warning("the audit log cannot be written: %s", error)
            self._is_failing = True

    def newest_first(self) -> Iterator[Entry]:
        """Yield the entries of the audit log, the newest first."""
        for name in reversed(self._file_names()):
            with suppress(FileNotFoundError):
                for line in reversed(read_file(f"{self.folder}/{name}").split(b"\n")):
                    with suppress(msgspec.MsgspecError, ValueError):  # the half of a line, after a power loss
                        yield _decode(line)

    def _append(self, line: bytes) -> None:
        with self._lock:
            # All processes leave a file when it is full, so what was used last is still the right one till then.
            if self._file is None or not self._file.takes_more(self.file_size):
                make_one_folder(self.folder)
                with opened(f"{self.folder}/.", os.O_DIRECTORY) as folder:  # the dot follows a link to another disk
                    fcntl.flock(folder, fcntl.LOCK_EX)  # of two processes one begins a file
                    self._file = self._last_file() or self._new_file()
            self._file.add(line)

    def _last_file(self) -> _OpenFile | None:
        """Open the last file if it takes more; another process may have begun it."""
        for name in self._file_names()[-1:]:
            with suppress(FileNotFoundError):
                file = _OpenFile(f"{self.folder}/{name}")
                return file if file.takes_more(self.file_size) else None
        return None

    def _new_file(self) -> _OpenFile:
        """Begin a file, with a name after the last one's, also where the clock went back; remove old files."""
        self._remove_old_files()
        last = int((self._file_names() or ["0" * 16])[-1][:16])
        return _OpenFile(f"{self.folder}/{max(time.time_ns() // 1000, last + 1):016d}.jsonl")

    def _remove_old_files(self) -> None:
        names = self._file_names()
        last = int(names[-1][:16]) if names else 0
        now = min(time.time_ns() // 1000, last + _STEP_DAYS * _DAY)
        oldest = f"{max(now - self.days * _DAY, 0):016d}"
        size = 0
        for name, next_name in reversed(list(pairwise(names))):  # a file is over when the next one begins
            with suppress(FileNotFoundError):
                size += os.stat(f"{self.folder}/{name}").st_size
                if next_name < oldest or size > self.size - self.file_size:
                    os.unlink(f"{self.folder}/{name}")

    def _file_names(self) -> list[str]:
        return sorted(filter(_NAME.fullmatch, list_folder(f"{self.folder}/.")))
