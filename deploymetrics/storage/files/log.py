"""The versions of one key, a line each, oldest first: the only truth about it.

    data/deploymentmetrics/custom/00000000000000001.jsonl          the versions from 1 on
    data/deploymentmetrics/custom/00000000000000065.jsonl          the versions from 65 on, the newest ones
    data/deploymentmetrics/custom/00000000000000001.hourly.jsonl   older ones, of each hour the last; see retention.py

A file is named by the version that it begins with, and only grows. **A line counts once a newline ends it.** A writer
locks the file, adds the line, syncs it and then adds the newline; before the line is whole it tells lists (changes.py).
So no reader sees what a power loss could take back. A crash leaves at most a last line without its newline, in a file
that nobody has locked: that line counts if it is whole, and whoever meets it syncs it first; the next writer ends it,
or cuts off what is not whole.

Without history each version gets a file of its own, and the one before is removed. The first one is named by the
time, and each other one by the next number: so no name comes again, also where the versions start again at 1.
"""

import fcntl
import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from heapq import merge
from itertools import pairwise
from typing import NamedTuple

from ...errors import DamagedItem, StorageError
from .. import Collection, Item
from . import changes, disk, lines

#: A file that has so many versions, or bytes, is full. Readers do not depend on these numbers.
FILE_VERSIONS = 64
FILE_BYTES = 2**18
NEWEST, HOURLY, DAILY = "", ".hourly", ".daily"
_TIERS = (NEWEST, HOURLY, DAILY)
_NAME = re.compile(r"(\d{17})(|\.hourly|\.daily)\.jsonl")
_TAIL_BYTES = 2**12
Files = dict[str, list[int]]


class Newest(NamedTuple):
    """The newest version of a key: its Item, which may be a deletion, or None where there never was a version.

    It is in the file that begins with the version ``start``, and ends there at the offset ``end``; ``is_ended`` says
    that a newline ends it. ``is_pending``: another version is being written. ``has_later``: there is a later file, in
    which no version counts. ``signature`` tells that the file is still the same, if its size is ``end``; it is None
    where that cannot be relied on.
    """

    item: Item | None
    start: int = 1
    end: int = 0
    is_ended: bool = True
    is_pending: bool = False
    has_later: bool = False
    signature: tuple[int, ...] | None = None

    @property
    def current(self) -> Item | None:
        """The Item, or None for a deletion."""
        return None if self.item is None or self.item.deleted else self.item

    @property
    def version(self) -> int:
        """The version, 0 where there is none."""
        return 0 if self.item is None else self.item.version


class Log:
    """The versions of ``key``. Readers need no lock; whoever changes something holds the lock of the key.

    A draft, which is renamed when all is in it, is neither synced nor noted for lists.
    """

    def __init__(
        self, collection: Collection, key: str, folder: str, file_versions: int, *, is_draft: bool = False
    ) -> None:
        self.collection = collection
        self.key = key
        self.folder = folder
        self.is_draft = is_draft
        self.is_durable = collection.durable and not is_draft
        self.file_versions = file_versions if collection.history else 1

    def path(self, start: int, tier: str = NEWEST) -> str:
        """Return the file that begins with the version ``start``."""
        return f"{self.folder}/{file_name(start, tier)}"

    def files(self) -> Files:
        """Return for each tier the versions that its files begin with, in order."""
        found: Files = {tier: [] for tier in _TIERS}
        with suppress(FileNotFoundError), self._reading():
            for match in filter(None, map(_NAME.fullmatch, sorted(disk.list_folder(self.folder)))):
                found[match[2]].append(int(match[1]))
        return found

    # Reading

    def newest(self) -> Newest:
        """Return the Newest; raises DamagedItem."""
        while True:
            with suppress(FileNotFoundError):  # replaced by its successor since the folder was read
                return self._newest()

    def _newest(self) -> Newest:
        is_pending, starts = False, self.files()[NEWEST]
        for start in reversed(starts):
            with self._reading(), disk.opened(self.path(start)) as fd:
                tail = self._tail(fd)
                is_pending = is_pending or tail.is_pending
                if tail.line is None:
                    continue  # its first version is being written, or never was
                try:
                    item = lines.decode(self.collection, self.key, tail.line)
                except DamagedItem:
                    if self.collection.durable:
                        raise
                    continue  # a power loss may leave anything of what was not synced
                signature = signature_of(os.fstat(fd)) if tail.is_ended and not is_pending else None
                return Newest(item, start, tail.end, tail.is_ended, is_pending, start != starts[-1], signature)
        return Newest(None, is_pending=is_pending)

    def _tail(self, fd: int) -> "_Tail":
        """Return what the last line of a file is that counts."""
        while True:
            tail = _read_tail(fd)
            if not tail.rest:
                return tail
            if disk.try_lock(fd, fcntl.LOCK_SH):  # nobody writes: a crash left it
                try:
                    tail = _read_tail(fd)
                    if (line := self._whole_line(tail.rest)) is None:
                        return tail
                    self._sync(fd, new_file=tail.end == 0, new_folder=True)
                    return _Tail(line, tail.end + len(line), tail.rest, is_ended=False)
                finally:
                    fcntl.flock(fd, fcntl.LOCK_UN)
            # A writer ends or cuts off what a crash left before it locks the file, so this is what it is writing,
            # unless it locked the file only after the look at it.
            if _read_tail(fd).end == tail.end:
                return tail._replace(is_pending=True)

    def _whole_line(self, rest: bytes) -> bytes | None:
        """Return the line that a crash left without its newline, if it is whole.

        Zeros may stand in the place of the newline, and of what was written after it.
        """
        line = rest.partition(b"\0")[0]
        try:
            lines.decode(self.collection, self.key, line)
        except DamagedItem:
            return None
        return line

    def history(self, newest: Newest, below: int | None, *, oldest_first: bool = False) -> Iterator[Item]:
        """Yield the Item of each version up to ``newest``, in order; those below a version, if given."""
        end = newest.version + 1 if below is None else min(below, newest.version + 1)
        tiers = [self._lines_of(tier, newest, end, oldest_first) for tier in _TIERS]
        last = None
        for line in merge(*tiers, key=self._version, reverse=not oldest_first):
            if self._version(line) != last:  # what is thinned out is in two files for a while
                last = self._version(line)
                yield lines.decode(self.collection, self.key, line)

    def _lines_of(self, tier: str, newest: Newest, end: int, oldest_first: bool) -> Iterator[bytes]:
        """Yield the lines of a tier with a version below ``end``."""
        starts = [start for start in self.files()[tier] if start < end]
        files = list(pairwise([*starts, end]))
        for start, next_start in files if oldest_first else reversed(files):
            found = [line for line in self.lines(start, tier, newest) if self._version(line) < end]
            if not found and tier != DAILY:  # it was removed meanwhile, and what stays of it is in the next tier
                thinned = self._lines_of(_TIERS[_TIERS.index(tier) + 1], newest, next_start, True)
                found = [line for line in thinned if self._version(line) >= start]
            yield from found if oldest_first else reversed(found)

    def find(self, version: int, newest: Newest) -> Item | None:
        """Return the Item of a version up to ``newest``, or None."""
        for tier in _TIERS:
            for start in [start for start in self.files()[tier] if start <= version][-1:]:
                for line in self.lines(start, tier, newest):
                    if self._version(line) == version:
                        return lines.decode(self.collection, self.key, line)
        return None

    def lines(self, start: int, tier: str, newest: Newest) -> list[bytes]:
        """Return the lines of a file, oldest first, none of them after ``newest``; none where it was removed."""
        if tier == NEWEST and start > newest.start:
            return []
        try:
            with self._reading():
                data = disk.read_file(self.path(start, tier))
        except FileNotFoundError:
            return []
        if tier == NEWEST and start == newest.start:
            return data[: newest.end].removesuffix(b"\n").split(b"\n") if newest.end else []
        *found, rest = data.split(b"\n")
        last = self._whole_line(rest) if rest else None  # its newline was lost after the next file had been begun
        return found if last is None else [*found, last]

    def _version(self, line: bytes) -> int:
        try:
            return lines.version_of(line)
        except ValueError as error:
            raise lines.damaged(self.collection, self.key, error) from error

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Raise DamagedItem where something cannot be read."""
        try:
            yield
        except OSError as error:
            if error.errno in disk.UNREADABLE:
                raise lines.damaged(self.collection, self.key, error) from error
            raise

    # Writing

    def announce(self, version: int) -> None:
        """Let lists look at this key; ``version`` is the one that it gets, or has."""
        if not self.is_draft:
            changes.add(self.folder, version)

    def append(self, newest: Newest, item: Item) -> Newest:
        """Add a version, durably. Raises OSError where nothing was added, and StorageError where that is not known."""
        if not newest.is_ended:
            with disk.opened(self.path(newest.start), os.O_RDWR) as fd:
                disk.write_at(fd, b"\n", newest.end)
            newest = newest._replace(end=newest.end + 1, is_ended=True)
        start = self._file_for(newest, item.version)
        offset = newest.end if start == newest.start and newest.item else 0
        with disk.locked(self.path(start)) as fd:
            line = lines.encode(item)
            self._commit(fd, offset, line, item.version, new_folder=newest.item is None)
            item = item._replace(revision=lines.revision_of(line))
            return Newest(item, start, offset + len(line) + 1, signature=signature_of(os.fstat(fd)))

    def _file_for(self, newest: Newest, version: int) -> int:
        """Return the start of the file that takes a version."""
        if not self.collection.history:
            return self.next_start(newest) if newest.item else time.time_ns() // 1000
        if newest.item is None or newest.has_later:
            return version
        is_full = version - newest.start >= self.file_versions or newest.end >= FILE_BYTES
        return version if is_full else newest.start

    def next_start(self, newest: Newest) -> int:
        """Return the start of the next file, if the next version begins one."""
        return start_after(self.collection, newest.start, newest.version)

    def _commit(self, fd: int, offset: int, line: bytes, version: int, *, new_folder: bool) -> None:
        """Write a line at ``offset`` and its newline after the sync; what fails is undone."""
        size = os.fstat(fd).st_size
        if size < offset:
            raise lines.damaged(self.collection, self.key, "a file that was cut off meanwhile")
        try:
            if size > offset:
                self._cut_off(fd, offset, size)
            disk.write_at(fd, line[:-1], offset)
            self.announce(version)  # before the line is whole, so that none counts that a list was not told of
            disk.write_at(fd, line[-1:], offset + len(line) - 1)
            self._sync(fd, new_file=offset == 0, new_folder=new_folder)
            disk.write_at(fd, b"\n", offset + len(line))
        except OSError as error:
            try:
                os.ftruncate(fd, offset)
                self._sync(fd)
            except OSError as second:
                raise _unknown(error, second) from error
            raise

    def _cut_off(self, fd: int, offset: int, size: int) -> None:
        """Remove what a crash left after ``offset``."""
        line, newline, _ = os.pread(fd, size - offset, offset).partition(b"\n")
        if newline and self._whole_line(line) is not None:  # a version: somebody removed the lock of its writer
            raise StorageError("Others have been writing this; try again.", log=f"{self.folder}: written meanwhile")
        os.ftruncate(fd, offset)

    def _sync(self, fd: int, *, new_file: bool = False, new_folder: bool = False) -> None:
        if self.is_durable:
            os.fdatasync(fd)
            if new_file:
                disk.sync_folder(self.folder)
            if new_file and new_folder:
                disk.sync_folder(os.path.dirname(self.folder))

    def remove(self, version: int) -> None:
        """Remove all versions at once, durably; raises OSError where they are still there.

        ``version`` is that of the deletion, for lists.
        """
        draft = disk.draft_of(self.folder)
        shutil.rmtree(draft, ignore_errors=True)
        self._rename(self.folder, draft, version)
        shutil.rmtree(draft, ignore_errors=True)

    def _rename(self, old: str, new: str, version: int) -> None:
        os.rename(old, new)
        try:
            self.announce(version)
            if self.is_durable:
                disk.sync_folder(os.path.dirname(old))
        except OSError as error:
            try:
                os.rename(new, old)
                self.announce(version)
            except OSError as second:
                raise _unknown(error, second) from error
            raise

    def remove_file(self, start: int, tier: str = NEWEST) -> None:
        """Remove a file whose versions are not wanted any more, if it is there."""
        with suppress(FileNotFoundError):
            os.unlink(self.path(start, tier))

    def remove_versions(self, newest: Newest, only: int | None = None) -> int:
        """Remove all versions but the newest, or only one, from every file; return how many files were changed."""
        changed = 0
        for start, tier in [(start, tier) for tier, starts in self.files().items() for start in starts]:
            found = self.lines(start, tier, newest)
            kept = [line for line in found if self._version(line) not in ((only,) if only else range(newest.version))]
            if found and not kept:
                self.remove_file(start, tier)
            elif len(kept) < len(found):
                self._rewrite(start, tier, kept)
            changed += len(kept) < len(found)
        return changed

    def remove_drafts(self) -> None:
        """Remove what operations left that broke off; durably, and all that was removed before too."""
        with suppress(FileNotFoundError):
            shutil.rmtree(disk.draft_of(self.folder))
        with suppress(FileNotFoundError):
            for name in os.listdir(self.folder):
                if name.startswith("."):
                    os.unlink(f"{self.folder}/{name}")
            disk.sync_folder(self.folder)
        with suppress(FileNotFoundError):
            disk.sync_folder(os.path.dirname(self.folder))

    def _rewrite(self, start: int, tier: str, kept: list[bytes]) -> None:
        disk.replace_file(self.path(start, tier), b"".join(line + b"\n" for line in kept))

    def add_thinned(self, tier: str, starts: list[int], added: list[bytes]) -> None:
        """Add lines to a tier whose files begin with ``starts``, durably, all or nothing."""
        start = starts[-1] if starts else 0
        existing = self.lines(start, tier, Newest(None))
        if not existing or len(existing) >= self.file_versions or sum(map(len, existing)) >= FILE_BYTES:
            start, existing = self._version(added[0]), []
        self._rewrite(start, tier, existing + added)

    def restore(self, items: Iterable[Item]) -> None:
        """Become a log of these Items, oldest first, wholly or not at all, where there is no version yet."""
        draft = Log(self.collection, self.key, disk.draft_of(self.folder), self.file_versions, is_draft=True)
        shutil.rmtree(draft.folder, ignore_errors=True)
        try:
            newest = Newest(None)
            for item in items:
                newest = draft.append(newest, item)
            for start in draft.files()[NEWEST]:
                with disk.opened(draft.path(start)) as fd:
                    os.fsync(fd)
            disk.sync_folder(draft.folder)
            shutil.rmtree(self.folder, ignore_errors=True)  # what a creation left that broke off
            self._rename(draft.folder, self.folder, newest.version)
        except BaseException:
            shutil.rmtree(draft.folder, ignore_errors=True)
            raise


def _unknown(error: OSError, second: OSError) -> StorageError:
    detail = "The storage cannot answer now; it is not known whether this was stored."
    return StorageError(detail, log=f"write: {error}, then {second}")


class _Tail(NamedTuple):
    """The last line of a file that counts, where it ends, and what follows it there."""

    line: bytes | None
    end: int
    rest: bytes = b""
    is_ended: bool = True
    is_pending: bool = False


def _read_tail(fd: int) -> _Tail:
    """Return the last line that a newline ends."""
    size, length = os.fstat(fd).st_size, _TAIL_BYTES
    while True:
        begin = max(size - length, 0)
        data = os.pread(fd, size - begin, begin)
        end = data.rfind(b"\n")
        before = data.rfind(b"\n", 0, end) if end > 0 else -1
        if before >= 0 or begin == 0:
            return _Tail(data[before + 1 : end] if end >= 0 else None, begin + end + 1, data[end + 1 :])
        length *= 16


def file_name(start: int, tier: str = NEWEST) -> str:
    """Return the name of the file that begins with the version ``start``."""
    return f"{start:017d}{tier}.jsonl"


def start_after(collection: Collection, start: int, version: int) -> int:
    """Return the start of the file after the one that begins with ``start`` and ends with ``version``."""
    return version + 1 if collection.history else start + 1


def signature_of(stat: os.stat_result) -> tuple[int, ...]:
    """Return what tells that a file is still the same.

    Files only grow, so its size would do; the rest is for those that a person put there.
    """
    return stat.st_size, stat.st_mtime_ns, stat.st_ino
