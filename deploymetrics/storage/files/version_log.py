"""The versions of one key, a line each, oldest first: the only truth about it.

    data/deploymentmetrics/custom/00000000000000001.jsonl          the versions from 1 on
    data/deploymentmetrics/custom/00000000000000065.jsonl          the versions from 65 on, the newest ones
    data/deploymentmetrics/custom/00000000000000001.hourly.jsonl   older ones, of each hour the last; see retention.py

A file is named by the version that it begins with. A version that is being moved to the next tier is in two files, and
readers take one. The newest file grows; of one version that is purged spaces stay.

**A line counts once a newline ends it.** A writer locks the folder, adds the line, syncs it, tells lists (changes.py),
and then adds the newline (see writer.py). So no reader sees what a power loss could take back. A crash leaves at most a
last line without its newline, in a folder that nobody has locked: if that line is whole it counts, and whoever meets it
does what is left to do; else it is nothing, and the next writer cuts it off.

A file is **closed** by a space after its last newline, durably, before the next one begins. So the newest version
cannot be in another file unless the one that a reader knows has changed.

Without history spaces take the place of what is superseded, at once, and only the newest file stays. The first one is
named by the time, and each other one by the next number: so no name comes again, also where the versions start again at
1.
"""

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from heapq import merge
from itertools import pairwise
from typing import NamedTuple

from ...errors import DamagedItemError
from .. import Collection, Item, file_names, lines
from . import changes, disk

#: A file that has so many versions, or bytes, is full. Readers do not depend on these numbers.
FILE_VERSIONS = 64
FILE_BYTES = 2**18
#: Without history it is full much earlier: all of it but a line is spaces, and each write reads it.
SPACES_BYTES = 2**13
NEWEST, HOURLY, DAILY = "", ".hourly", ".daily"
TIERS = (NEWEST, HOURLY, DAILY)
#: The name of the file that begins with a version, of a tier.
FILE_NAME = "%017d%s.jsonl"
COPY_SUFFIX = ".json"
#: What follows the last newline of a file after which another one begins.
CLOSED = b" "
_NAME = re.compile(r"(\d{17})(|\.hourly|\.daily)\.jsonl")
#: So much is read at the end of a file at first: more than its last line, as a rule.
_TAIL_BYTES = 2**13
File = tuple[int, str]


class Newest(NamedTuple):
    """The newest version in a VersionLog: its Item, which may be a deletion, or None where there never was a version.

    It is in the file that begins with the version ``start``, and ends there at the offset ``end``; ``is_ended`` says
    that a newline ends it. ``is_pending``: another version is being written. ``is_closed``: the next version goes into
    another file, which may be there already.

    It still is the newest while the file at ``path`` has the same ``signature``, which is 0 where that cannot be
    relied on.
    """

    log: "VersionLog"
    item: Item | None
    start: int = 1
    end: int = 0
    signature: int = 0
    path: str = ""
    is_ended: bool = True
    is_pending: bool = False
    is_closed: bool = False

    @property
    def version(self) -> int:
        """The version, 0 where there is none."""
        return 0 if self.item is None else self.item.version


class VersionLog:
    """The versions of ``key``, in the instance folder ``root``. Readers need no lock; a Writer has what changes them.

    ``copy`` is the file with its current value, empty for a collection without copies.
    """

    __slots__ = ("collection", "key", "folder", "copy", "file_versions")

    def __init__(self, collection: Collection, key: str, root: str, file_versions: int) -> None:
        name = file_names.name_of(key)
        self.collection = collection
        self.key = key
        self.folder = f"{root}/data/{collection.name}/{name}"
        self.copy = f"{root}/{collection.name}/{name}{COPY_SUFFIX}" if collection.copies else ""
        self.file_versions = file_versions

    def path(self, start: int, tier: str = NEWEST) -> str:
        """Return the path of the file that begins with the version ``start``."""
        return f"{self.folder}/{FILE_NAME % (start, tier)}"

    def files(self) -> list[File]:
        """Return (start, tier) of each file, in order; of two with one start the one of the newer tier is the last."""
        matches = filter(None, map(_NAME.fullmatch, sorted(disk.list_folder(self.folder))))
        return [(int(match[1]), match[2]) for match in matches]

    def newest(self, start: int = 0) -> Newest:
        """Read the newest version; raises DamagedItemError.

        It is looked for in the file that begins with the version ``start`` first, and elsewhere if that is closed.
        """
        with self._reading():
            while True:
                with suppress(FileNotFoundError):  # replaced by its successor since the folder was read
                    newest = self._newest([start] if start else [first for first, of in self.files() if of == NEWEST])
                    if not start or (newest.item and not newest.is_closed):
                        return newest
                start = 0

    def _newest(self, starts: list[int]) -> Newest:
        is_pending = False
        for start in reversed(starts):
            with disk.opened(path := self.path(start)) as fd:
                tail = self._tail(fd, start)
                is_pending = is_pending or tail.is_pending
                if tail.line is None:
                    continue  # its first version is being written, or never was
                try:
                    item = lines.decode_last(self.collection, self.key, tail.line)
                except DamagedItemError:
                    if self.collection.durable:
                        raise
                    continue  # a power loss may leave anything of what was not synced
                signature = 0 if is_pending or tail.rest else tail.signature
                is_closed = tail.rest == CLOSED or start != starts[-1]  # of earlier releases files are not closed
                return Newest(self, item, start, tail.end, signature, path, tail.is_ended, is_pending, is_closed)
        return Newest(self, None, is_pending=is_pending)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """A context that converts errors of unreadable files to DamagedItemError."""
        try:
            yield
        except OSError as error:
            if error.errno in disk.UNREADABLE:
                raise lines.damaged(self.collection, self.key, error) from error
            raise

    def _tail(self, fd: int, start: int) -> "Tail":
        """Return the Tail of a file, after finishing a line that a crash left."""
        while True:
            tail = read_tail(fd)
            if self.whole_line(tail.rest) is None:
                return tail
            with disk.opened(self.folder, os.O_DIRECTORY) as folder:
                if disk.try_lock(folder, fcntl.LOCK_SH):  # nobody writes: a crash left it
                    try:
                        tail = read_tail(fd)
                        if (line := self.whole_line(tail.rest)) is None:
                            return tail
                        self.sync(fd, new_file=tail.end == 0, new_folder=True)
                        tail = Tail(line, tail.end + len(line), is_ended=False)
                        if not self._end(fd, start, tail):
                            return tail
                    finally:
                        fcntl.flock(folder, fcntl.LOCK_UN)
                # A writer has seen that nothing is left when it locks the folder, so this is what it is writing, unless
                # it locked that only after the look at it.
                elif read_tail(fd).end == tail.end:
                    return tail._replace(is_pending=True)

    def _end(self, fd: int, start: int, tail: "Tail") -> bool:
        """Tell lists of a line that a crash left, and end it; False where nothing can be written."""
        try:
            changes.add(self.folder, lines.version_of((tail.line or b"").rpartition(lines.TOGETHER)[2]))
            with disk.opened(self.path(start), os.O_WRONLY) as other:
                if os.path.samestat(os.fstat(other), os.fstat(fd)):
                    disk.write_at(other, b"\n", tail.end)
        except OSError as error:
            if error.errno not in disk.READ_ONLY:
                raise
            return False
        return True

    def sync(self, fd: int, *, new_file: bool = False, new_folder: bool = False) -> None:
        """Sync the content of a file, and its name and that of its folder if they are new."""
        if self.collection.durable:
            os.fdatasync(fd)
            if new_file:
                disk.sync_folder(self.folder)
            if new_file and new_folder:
                disk.sync_folder(os.path.dirname(self.folder))

    def whole_line(self, rest: bytes) -> bytes | None:
        """Return the line that a crash left without its newline, if it is whole.

        Zeros may stand in the place of the newline, and of what was written after it.
        """
        line = rest.partition(b"\0")[0]
        if not line.strip() or not lines.is_whole(line):
            return None
        try:
            for version in line.lstrip(lines.TOGETHER).split(lines.TOGETHER):
                if not version.isspace():  # as one is that was purged
                    lines.decode(self.collection, self.key, version.strip(b" "))
        except DamagedItemError:
            return None
        return line

    def history(self, newest: Newest, below: int | None, *, oldest_first: bool = False) -> Iterator[Item]:
        """Yield the versions up to ``newest``, and below a version if given, newest first by default."""
        first, end, last = 0, newest.version + 1 if below is None else min(below, newest.version + 1), 0
        with self._reading():
            while True:
                with suppress(FileNotFoundError):  # thinned out meanwhile: what stays of it is in another file now
                    for line in self._lines(newest, first, end, oldest_first):
                        if (version := self.version_of(line)) != last:
                            last = version
                            yield lines.decode(self.collection, self.key, line)
                    return
                if last:
                    first, end = (last + 1, end) if oldest_first else (0, last)

    def _lines(self, newest: Newest, first: int, end: int, oldest_first: bool) -> Iterator[bytes]:
        """Return the lines of the versions from ``first`` up to ``end``, exclusive; raises FileNotFoundError.

        A version that is being moved to the next tier comes twice.
        """
        files = [file for file in self.files() if file[0] < end]

        def of(tier: str) -> Iterator[bytes]:
            starts = pairwise([*(start for start, of in files if of == tier), end])
            wanted = [start for start, next_start in starts if next_start > first]
            for start in wanted if oldest_first else reversed(wanted):
                some = [line for line in self.lines(start, tier, newest) if first <= self.version_of(line) < end]
                yield from some if oldest_first else reversed(some)

        return merge(*map(of, TIERS), key=self.version_of, reverse=not oldest_first)

    def find(self, version: int, newest: Newest) -> Item | None:
        """Return one version, up to ``newest``, or None."""
        item = next(self.history(newest, version + 1), None)
        return item if item and item.version == version else None

    def lines(self, start: int, tier: str, newest: Newest) -> list[bytes]:
        """Return the lines of a file, oldest first, none of them after ``newest``; raises FileNotFoundError."""
        if tier == NEWEST and start > newest.start:
            return []
        data = disk.read_file(self.path(start, tier))
        if tier == NEWEST and start == newest.start:
            blocks = data[: newest.end].rstrip(b"\n\0").split(b"\n") if newest.end else []
        else:
            *blocks, rest = data.split(b"\n")
            if rest and (whole := self.whole_line(rest)) is not None:
                blocks.append(whole)  # its newline was lost after the next file had been begun
        versions = (line.strip(b" ") for block in blocks for line in block.split(lines.TOGETHER))
        return [line for line in versions if line]  # of what was purged there are spaces

    def version_of(self, line: bytes) -> int:
        """Return the version number in a line; raises DamagedItemError."""
        try:
            return lines.version_of(line)
        except ValueError as error:
            raise lines.damaged(self.collection, self.key, error) from error


class Tail(NamedTuple):
    """The last line of a file that counts, where it ends, what follows it there, and the file's signature."""

    line: bytes | None
    end: int
    rest: bytes = b""
    signature: int = 0
    is_ended: bool = True
    is_pending: bool = False


def read_tail(fd: int) -> Tail:
    """Read the Tail of a file: the last line that a newline ends, and the bytes after it."""
    length = _TAIL_BYTES
    while True:
        stat = os.fstat(fd)
        size = stat.st_size
        begin = max(size - length, 0)
        data = os.pread(fd, size - begin, begin)
        end = data.rfind(b"\n")
        before = data.rfind(b"\n", 0, end) if end > 0 else -1
        if os.fstat(fd).st_size != size:
            continue  # a version was added, and without history spaces may have taken the place of the one before
        if before >= 0 or begin == 0:
            line = data[before + 1 : end].strip(b" ") or None if end >= 0 else None
            return Tail(line, begin + end + 1, data[end + 1 :], signature_of(stat))
        length *= 16


def is_unchanged(path: str, signature: int, folder: int | None = None) -> bool:
    """Return True if a file has this signature still; its path may be one in an open folder."""
    try:
        return signature_of(os.stat(path, dir_fd=folder)) == signature
    except OSError:
        return False


def signature_of(stat: os.stat_result) -> int:
    """Return a digest of the size, inode and time of a file, which tells that it is still the same.

    Files grow, so the size says that, whatever the grain of a clock, and if the number of an inode is used again. Where
    old versions were purged, or a backup was put in place, inode and time say so.
    """
    return hash((stat.st_size, stat.st_ino, stat.st_ctime_ns))
