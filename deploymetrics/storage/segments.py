"""The superseded versions of one key: a folder of files with some dozen versions each, one JSON object a line.

A file is named by the version it begins with. Lines are only ever added to the last one, and versions are dropped
by removing the first, so that trimming costs one ``unlink`` now and then and never touches what a reader has open.
A line counts only when its version is below the current one: what a crash left of a write that was not committed is
skipped by readers, and cut off by the next writer. It may be torn: a last line without a newline, or one with the
zero bytes of a block that never reached the disk.
"""

import os
import re
from bisect import bisect_right
from contextlib import contextmanager, suppress
from itertools import islice
from typing import NamedTuple

from ..clock import from_precise
from ..errors import DamagedItem
from . import durable, entries

SEGMENT_LINES = 64
SEGMENT_BYTES = 2**18
SUFFIX = ".jsonl"
HEAD_BYTES = 512
_NAME = re.compile(r"([0-9]{12}|[1-9][0-9]{12,17})\.jsonl")  # what file_name makes
_APPENDED = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC


class End(NamedTuple):
    """Where the history goes on: in the file that begins with ``start``, after ``size`` of the bytes ``there``, with
    ``line``, which is the current Item as ``version``. ``fresh``: nothing in that file counts yet, so its name may not
    be durable. ``fd`` is that file, open, or None for a new one."""

    start: int
    size: int
    there: int
    fresh: bool
    version: int
    line: bytes
    fd: int | None


class Segments:
    """The history of one key in ``folder``; writers hold the key's lock, readers need none.

    ``ends`` is a Remembered, which spares writers from listing the folder.
    """

    def __init__(self, kind, key, folder, ends):
        self.kind = kind
        self.key = key
        self.folder = folder
        self._ends = ends

    def starts(self):
        """The versions with which the files begin, ascending."""
        try:
            names = os.listdir(self.folder)
        except FileNotFoundError:
            return []
        return sorted(int(name.removesuffix(SUFFIX)) for name in names if _NAME.fullmatch(name))

    def lines(self):
        """Every line, oldest first, each with its newline."""
        return [line + b"\n" for start in self.starts() for line in self._lines(start)]

    def last(self):
        """The newest Item in here, or None; for a key that has no current one."""
        return next(self.newest_first(None), None)

    def newest_first(self, below):
        """Yield Items with a version below ``below`` (None: all)."""
        torn = True  # only what follows the last line that counts may be torn
        for start in reversed(self.starts()):
            if below is None or start < below:
                for line in reversed(self._lines(start)):
                    if torn and b"\0" in line:
                        continue
                    if below is None or self._version(line) < below:
                        torn = False
                        yield entries.decode(self.kind, self.key, line)

    def find(self, version, below):
        """The Item of a version that is below ``below``, or None."""
        starts = self.starts()
        index = bisect_right(starts, version)
        if not index or (below is not None and version >= below):
            return None
        prefix = b'{"version":%d,' % version
        line = next((line for line in self._lines(starts[index - 1]) if line.startswith(prefix)), None)
        return line and entries.decode(self.kind, self.key, line)

    def number(self, item):
        """The version of a current Item whose file does not say it: one more than the newest, unless the newest is this
        Item, left by a write that was not committed."""
        past = list(islice(self.newest_first(None), 2))
        if past and past[0].deleted:
            past[1:] = [one for one in past[1:] if _same(one, item)]
        if past and _same(past[-1], item):
            return past[-1].version
        return past[0].version + 1 if past else 1

    @contextmanager
    def end(self, current):
        """Give the End for a write that supersedes the Item ``current``.

        Its version is the Item's own; but an older file that was put back by hand is numbered on, since every line
        that is not what a crash left of an attempt to write this very one is history, and stays.
        """
        start = self._ends.look(self.folder, lambda: max(self.starts(), default=None))
        line = _line(current, current.version)
        if start is None:
            yield _new_file(current.version, line)
            return
        fd = os.open(self._path(start), _APPENDED)
        try:
            yield self._plain_end(fd, start, current, line) or self._thorough_end(fd, start, current, line)
        finally:
            os.close(fd)

    def _plain_end(self, fd, start, current, line):
        """The End where the last line of the file is that of an older version and nothing needs care, else None.

        Reads no more than a line or two, so that a write costs the same however much is in the file.
        """
        size = os.fstat(fd).st_size
        at = max(size - 2 * len(line) - HEAD_BYTES, 0)
        tail = os.pread(fd, size - at, at)
        begin = tail.rfind(b"\n", 0, -1) + 1
        whole = len(tail) == size - at and tail.endswith(b"\n") and (begin > 0 or at == 0)
        if not whole or b"\0" in tail[begin:] or self._version(tail[begin:]) >= current.version:
            return None
        if current.version - start >= SEGMENT_LINES or size + len(line) > SEGMENT_BYTES:
            return _new_file(current.version, line)
        return End(start, size, size, False, current.version, line, fd)

    def _thorough_end(self, fd, start, current, line):
        lines = [text + b"\n" for text in self._lines(start)]
        begun = _cut_leftover(lines, line, current.version)
        newest = self._version(lines[-1]) if lines else start - 1
        version = max(current.version, newest + 1)
        line = _line(current, version)
        size = sum(map(len, lines))
        if lines and not begun and (len(lines) >= SEGMENT_LINES or size + len(line) > SEGMENT_BYTES):
            return _new_file(version, line)
        return End(start, size, os.fstat(fd).st_size, not lines, version, line, fd)

    def append(self, end, *more):
        """Add the line of ``end``, and ``more`` after it, durably."""
        data = b"".join((end.line, *more))
        if end.fresh:
            durable.make_folder(self.folder)
        if end.fd is not None:
            _write_end(end.fd, end, data)
        else:
            fd = os.open(self._path(end.start), _APPENDED | os.O_CREAT, durable.FILE_MODE)
            try:
                _write_end(fd, end, data)
            finally:
                os.close(fd)
        if end.fresh:
            durable.sync_folder(self.folder)

    def trim(self, newest, versions, oldest):
        """Remove files that hold only versions past the limits: more than ``versions`` below ``newest``, or changed
        before ``oldest``. The last file stays, so that versions go on counting. What cannot be removed stays for the
        next time: the write that asks for this is done."""
        with suppress(OSError, ValueError):
            starts = self.starts()
            for start, following in zip(starts, starts[1:]):
                if following > newest - versions and not self._begins_before(following, oldest):
                    break
                os.unlink(self._path(start))

    def _begins_before(self, start, oldest):
        fd = os.open(self._path(start), os.O_RDONLY | os.O_CLOEXEC)
        try:
            match = entries.HEAD.match(os.read(fd, HEAD_BYTES))
        finally:
            os.close(fd)
        return match is not None and from_precise(match[2].decode()) < oldest

    def _path(self, start):
        return f"{self.folder}/{file_name(start)}"

    def _lines(self, start):
        data, _ = durable.read_file(self._path(start))
        # A last line without a newline is being written, or was when the machine stopped.
        return (data or b"").split(b"\n")[:-1]

    def _version(self, line):
        match = entries.HEAD.match(line)
        if match is None:
            raise DamagedItem(
                f"The history of {self.key!r} of {self.kind.name} is damaged; an administrator has to mend its file.",
                log=f"{self.folder}: a line without a version",
            )
        return int(match[1])


def file_name(start):
    """The name of the file that begins with version ``start``."""
    return f"{start:012d}{SUFFIX}"


def _new_file(version, line):
    return End(version, 0, 0, True, version, line, None)


def _write_end(fd, end, data):
    if end.there != end.size:
        os.ftruncate(fd, end.size)
    durable.write_all(fd, data)
    os.fsync(fd)


def _line(item, version):
    return entries.encode(entries.Head(version, item.changed_at, item.changed_by), item.value, between=b",")


def _same(past, item):
    return (past.value, past.changed_at, past.changed_by) == (item.value, item.changed_at, item.changed_by)


def _cut_leftover(lines, line, version):
    """Take from the end of ``lines`` what a write that superseded ``line`` and was not committed left there: torn
    lines, ``line`` itself, a deletion after it. Whether there was any."""
    before = len(lines)
    deletion = b'{"version":%d,' % (version + 1)
    if len(lines) > 1 and lines[-1].startswith(deletion) and (lines[-2] == line or b"\0" in lines[-2]):
        lines.pop()
    while lines and b"\0" in lines[-1]:
        lines.pop()
    if lines and lines[-1] == line:
        lines.pop()
    return len(lines) < before
