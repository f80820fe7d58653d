"""Thinning out old versions, a file at a time.

What is older than the newest versions goes to the hourly tier: of each hour the last version, and those that are
kept. What is older there goes to the daily tier, of each day the last, and what is older there is removed. A version
is added to its next tier, durably, before the file that has it is removed, and that only in a later write: so nothing
is lost by a crash, or in a copy that is made meanwhile. Those that are added together are one line there, which counts
or does not as a whole.
"""

import logging
import os
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import cache
from itertools import pairwise

from ...clock import Clock, as_precise, from_precise
from ...errors import StorageError
from .. import Retention
from ..lines import Head, head_of, join, version_of
from . import disk
from .version_log import DAILY, FILE_BYTES, HOURLY, NEWEST, TIERS, Files, Newest, VersionLog
from .writer import Writer

_log = logging.getLogger(__name__)
#: A file with older versions has so many at least.
FILE_VERSIONS = 4
# How much of a precise time two versions of one hour, or of one day, have in common.
_HOUR = len("2018-01-12T12")
_DAY = len("2018-01-12")
_NEXT = {NEWEST: HOURLY, HOURLY: DAILY}
_NEWER = {NEWEST: (), HOURLY: (NEWEST,), DAILY: (HOURLY, NEWEST)}
# Gives the lines of a file, by its start and tier.
_Read = Callable[[int, str], list[bytes]]


def thin_after_write(writer: Writer, before: Newest, retention: Retention, clock: Clock) -> None:
    """Thin out the tiers whose turn it is after a write by a step; ``before`` is the newest version before it.

    Each has its turn once for each file that is begun, in a write of its own if the file before had so many. A failure
    is logged: the write itself is done, and a later one tries again.
    """
    log, newest = writer.log, writer.newest
    if before.item is None or newest.start == 1 or not log.collection.history:
        return  # it is the only file
    done, number = before.version - before.start, newest.version - newest.start
    tiers = TIERS[done:number] if before.start == newest.start else TIERS[max(done, 0) :] + TIERS[:number]
    if not tiers:
        return
    try:
        # By the time of the version before: one write under a clock that is ahead must not cost the history.
        thin(writer, tiers, retention, min(clock.now(), from_precise(before.item.changed_at)))
    except (OSError, ValueError, StorageError) as error:
        _log.warning("%s/%s: old versions were not removed: %s", log.collection.name, log.key, error)


def thin(writer: Writer, tiers: Iterable[str], retention: Retention, now: datetime) -> int:
    """Thin out each of the tiers by a step; return how many files were removed or added to."""
    daily, hourly = (as_precise(now - timedelta(days=days)) for days in (retention.daily_days, retention.hourly_days))
    oldest = writer.newest.version - retention.versions + 1
    return sum(_thin_tier(writer, tier, oldest, {HOURLY: hourly, DAILY: daily}) for tier in tiers)


def _thin_tier(writer: Writer, tier: str, oldest: int, times: dict[str, str]) -> int:
    """Remove the oldest file if all that stays of it is in the next tier, and add to that what stays of the following.

    They go if all their versions are from before ``oldest``, or in another tier from before a time in ``times``.
    """
    log, newest, files, steps = writer.log, writer.newest, writer.log.files(), 0
    starts = [*files[tier], newest.version]

    @cache
    def read(start: int, tier: str) -> list[bytes]:
        return log.lines(start, tier, newest)

    for start, next_start in list(pairwise(starts))[:2]:
        if tier == NEWEST and next_start > oldest:
            break
        lines = read(start, tier)
        next_line = _next_line(read, files, tier, start, lines)
        if not next_line or (tier != NEWEST and not _are_before(times[tier], lines + next_line)):
            break
        steps += 1
        if missing := _missing(read, files, tier, lines + next_line):
            _add(log, read, _NEXT[tier], files[_NEXT[tier]], missing)
            break
        if tier in _NEXT:
            _sync_last(log, _NEXT[tier], files[_NEXT[tier]])
        writer.remove_file(start, tier)
    return steps


def _missing(read: _Read, files: Files, tier: str, lines: list[bytes]) -> list[bytes]:
    """Return those of the lines, without the last one, that the next tier keeps and does not have yet."""
    if tier == DAILY:
        return []
    existing = [line for start in files[_NEXT[tier]][-1:] for line in read(start, _NEXT[tier])]
    last, heads = version_of(existing[-1]) if existing else 0, [*map(head_of, lines)]
    pairs = zip(lines, pairwise(heads))
    return [line for line, (head, next_head) in pairs if head.version > last and _stays(head, next_head, tier)]


def _stays(head: Head, next_head: Head, tier: str) -> bool:
    if tier == NEWEST and head.is_kept:
        return True
    length = _HOUR if tier == NEWEST else _DAY
    return head.time[:length] != next_head.time[:length]


def _next_line(read: _Read, files: Files, tier: str, start: int, lines: list[bytes]) -> list[bytes]:
    """Return the line that follows those of a file; none while a version in the file is in a newer tier too."""
    newer = [(later, of) for of in _NEWER[tier] for later in files[of]]
    if lines and any(later <= version_of(lines[-1]) for later, _ in newer):
        return []
    later_files = [(later, tier) for later in files[tier] if later > start] + newer
    return next((lines[:1] for file in later_files if (lines := read(*file))), [])  # what was purged left empty files


def _are_before(limit: str, lines: list[bytes]) -> bool:
    """Return True if all versions but one are older than ``limit``: the clock may have been ahead once."""
    return sorted(head_of(line).time for line in lines)[-2:][0] < limit


def _sync_last(log: VersionLog, tier: str, starts: list[int]) -> None:
    """Sync the last lines of a tier if they have no newline: who added them may have been killed before that."""
    for start in starts[-1:]:
        with disk.opened(log.path(start, tier)) as fd:
            if os.pread(fd, 1, max(os.fstat(fd).st_size - 1, 0)) != b"\n":
                log.sync(fd, new_file=True)


def _add(log: VersionLog, read: _Read, tier: str, starts: list[int], added: list[bytes]) -> None:
    """Append lines to a tier whose files begin with ``starts``, durably, all or nothing."""
    start = starts[-1] if starts else 0
    existing = read(start, tier) if starts else []
    if not existing or len(existing) >= max(log.file_versions, FILE_VERSIONS) or sum(map(len, existing)) >= FILE_BYTES:
        start = version_of(added[0])
    with disk.opened(log.path(start, tier), os.O_RDWR | os.O_CREAT) as fd:
        data = os.pread(fd, os.fstat(fd).st_size, 0)
        end, block = data.rfind(b"\n") + 1, join(added)
        if whole := log.whole_line(data[end:]):  # its newline was lost
            end, block = end + len(whole), b"\n" + block
        os.ftruncate(fd, end)
        try:
            disk.write_at(fd, block, end)
            log.sync(fd, new_file=not data)
        except OSError:
            os.ftruncate(fd, end)  # else it might be taken for durable
            raise
        disk.write_at(fd, b"\n", end + len(block))
