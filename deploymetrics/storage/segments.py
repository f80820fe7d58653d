"""The history of one key: a folder of files with some dozen versions each, one JSON object a line.

A file is named by the version it begins with. Lines are only ever added to the last one, and versions are dropped
by removing the first, so that trimming costs one ``unlink`` now and then and never touches what a reader has open.

The current version may be missing here: that of a file that was created, imported or put there by hand. The write that
supersedes it adds it. Every other version is durable by its line, which is there before its file is in place (see
superseding.py); so readers leave out what is not below the current version.

What a crash left at the end may be torn: a last line without a newline, or one with the zero bytes of a block that
never reached the disk. It does not count, and the next writer cuts it off.
"""

import os
import re
from bisect import bisect_right
from contextlib import contextmanager, suppress
from datetime import timedelta
from itertools import islice

from ..clock import as_precise, from_precise
from ..errors import DamagedItem
from . import durable, entries

SEGMENT_LINES = 64
SEGMENT_BYTES = 2**18
SUFFIX = ".jsonl"
MARK = "unfinished"  # beside the files: see restoring.py
HEAD_BYTES = 4096
_NAME = re.compile(r"([0-9]{12}|[1-9][0-9]{12,17})\.jsonl")  # what file_name makes
_APPENDED = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC


class End:
    """Where the history goes on after version ``version`` of the key, which was made at ``changed_at``.

    That is in the file that begins with version ``start``, after its first ``size`` bytes; with ``torn`` others follow
    that do not count. ``fd`` is that file, open, or None for one that is not there yet. ``is_new``: no version is in
    it, so its name may not be durable. ``missing`` is the line of the current Item where the history does not have it.
    """

    def __init__(self, version, start, changed_at, size=0, *, torn=False, missing=None, fd=None):
        self.version = version
        self.start = start
        self.changed_at = changed_at
        self.size = size
        self.is_new = not size
        self.torn = torn
        self.missing = missing
        self.fd = fd


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
        for line in self._lines(starts[index - 1]):
            if line.startswith(prefix):
                return entries.decode(self.kind, self.key, line)
            self._version(line)  # which a damaged line does not have
        return None

    def version_of(self, item):
        """The version of a current Item whose file does not say it: one more than the newest in the history, unless
        that has it already, with at most one after it: that of a write that was not finished."""
        past = list(islice(self.newest_first(None), 2))
        return next((one.version for one in past if holds(one, item)), past[0].version + 1 if past else 1)

    @contextmanager
    def end_after(self, current):
        """Give the End for a write that supersedes the Item ``current``; its file is closed afterwards."""
        end = self._find_end(current)
        try:
            yield end
        finally:
            if end.fd is not None:
                os.close(end.fd)

    def _find_end(self, current):
        start = self._ends.get(self.folder, lambda: max(self.starts(), default=None))
        line = entries.line_of(current)
        if start is None:
            return End(current.version, current.version, current.changed_at, missing=line)
        fd = os.open(self._path(start), _APPENDED)
        try:
            end = self._plain_end(fd, start, current, line) or self._thorough_end(fd, start, current)
        except BaseException:
            os.close(fd)
            raise
        if end.fd is None:
            os.close(fd)
        return end

    def _plain_end(self, fd, start, current, line):
        """The End where the last line of the file is ``line``, that of the current Item, else None.

        Reads no more than that line, so that a write costs the same however much is in the file.
        """
        size = os.fstat(fd).st_size
        at = size - len(line)
        if at < 0 or os.pread(fd, size, max(at - 1, 0)) != (b"\n" if at else b"") + line:
            return None
        return self._end(fd, start, size, current, torn=False)

    def _thorough_end(self, fd, start, current):
        lines = _without_torn_end(self._lines(start))
        size, there = sum(len(line) + 1 for line in lines), os.fstat(fd).st_size
        if size == there + 1:
            os.write(fd, b"\n")  # what an editor left out
        torn = there > size
        newest = entries.decode(self.kind, self.key, lines[-1]) if lines else self.last()
        if newest is None or not same(newest, current):
            version = max(current.version, newest.version + 1 if newest else start)
            current = current._replace(version=version, changed_at=_time_after(newest, current))
            missing = entries.line_of(current)
            return End(version, start, current.changed_at, size, torn=torn, missing=missing, fd=fd)
        return self._end(fd, start, size, newest, torn=torn)

    def _end(self, fd, start, size, newest, *, torn):
        """The End after ``newest``; in a new file where another line as long would be too much for this one."""
        lines = newest.version - start + 1
        if size and not torn and is_full(lines, size, size // lines):
            return End(newest.version, newest.version + 1, newest.changed_at)
        return End(newest.version, start, newest.changed_at, size, torn=torn, fd=fd)

    def append(self, end, line):
        """Add ``line`` at ``end``, and the line of the current Item before it where that is missing, durably."""
        if end.missing:  # else there is a line in the folder, and its name is durable
            durable.make_folder(self.folder)
        if end.fd is None:
            end.fd = os.open(self._path(end.start), _APPENDED | os.O_CREAT, durable.FILE_MODE)
        if end.is_new:
            durable.sync_folder(self.folder)  # before there is a line: a file that has one has a durable name
        if end.missing:
            _write_end(end, end.missing)
            end.size += len(end.missing)
            end.torn = False
        _write_end(end, line)

    def cut(self, end):
        """Take away what ``append`` added last."""
        if end.fd is not None:
            os.ftruncate(end.fd, end.size)
            with suppress(OSError):  # what a power loss brings back of it is a write of which nobody knows
                os.fsync(end.fd)

    def sync(self):
        """Make the newest lines durable: who wrote them may have been killed before that."""
        for start in self.starts()[-2:]:
            durable.sync_file(self._path(start))

    def trim(self, newest, versions, oldest):
        """Remove files that hold only versions past the limits: more than ``versions`` below ``newest``, or changed
        before ``oldest``. The last file stays, so that versions go on counting."""
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
        return self._read(start)[0]

    def _read(self, start):
        """The lines of a file, each without its newline, and what follows the last newline, if that is no line."""
        data, _ = durable.read_file(self._path(start))
        *lines, rest = (data or b"").split(b"\n")
        # It is being written, or was when the machine stopped. But an editor may have left out the newline.
        if rest and self._is_whole(rest):
            return [*lines, rest], b""
        return lines, rest

    def _is_whole(self, line):
        with suppress(DamagedItem):
            return entries.HEAD.match(line) and entries.decode(self.kind, self.key, line)

    def _version(self, line):
        match = entries.HEAD.match(line)
        if match is None:
            raise self.damaged("a line without a version")
        return int(match[1])

    def damaged(self, what):
        """The DamagedItem for a history of which the log says ``what`` is wrong."""
        return DamagedItem(
            f"The history of {self.key!r} of {self.kind.name} is damaged; an administrator has to repair its files.",
            log=f"{self.folder}: {what}",
        )

    def problems(self):
        """Yield a sentence for each file that is not as it was written, but for what a crash leaves at the end."""
        starts = self.starts()
        for name in sorted(set(os.listdir(self.folder)) - {file_name(start) for start in starts} - {MARK}):
            yield f"{name} is not the name of a file of a history"
        for start in starts:
            lines, rest = self._read(start)
            if start != starts[-1] and (rest or any(b"\0" in line for line in lines)):
                yield f"{file_name(start)} is torn"
            lines = _without_torn_end(lines)
            if lines and self._version(lines[0]) != start:
                yield f"{file_name(start)} begins with version {self._version(lines[0])}"


def file_name(start):
    """The name of the file that begins with version ``start``."""
    return f"{start:012d}{SUFFIX}"


def is_full(lines, size, more):
    """Whether a file of ``lines`` lines and ``size`` bytes is to take no line of ``more`` bytes."""
    return lines >= SEGMENT_LINES or size + more > SEGMENT_BYTES


def _write_end(end, line):
    if end.torn:
        os.ftruncate(end.fd, end.size)
    durable.write_all(end.fd, line)
    os.fsync(end.fd)


def _time_after(newest, item):
    """The time of ``item`` in a history that ends with ``newest`` (or None): times only go forward there."""
    if newest is None or from_precise(newest.changed_at) < from_precise(item.changed_at):
        return item.changed_at
    return as_precise(from_precise(newest.changed_at) + timedelta(microseconds=1))


def same(past, item):
    """Whether a version in the history is the Item ``item``, which may have another number there."""
    if past.version == item.version:
        return holds(past, item)
    return (past.value, past.changed_at, past.changed_by) == (item.value, item.changed_at, item.changed_by)


def holds(past, item):
    """Whether nothing of ``item`` is lost while there is the version ``past``, which may have got a later time."""
    alike = (past.value, past.changed_by) == (item.value, item.changed_by)
    return alike and from_precise(past.changed_at) >= from_precise(item.changed_at)


def _without_torn_end(lines):
    """``lines`` without those at the end that have zero bytes, of a block that never reached the disk."""
    while lines and b"\0" in lines[-1]:
        lines = lines[:-1]
    return lines
