"""Thinning out old versions, a file at a time.

What is older than the newest versions goes to the hourly tier: of each hour the last version, and those that are
kept. What is older there goes to the daily tier, of each day the last, and what is older there is removed. The last
file of a tier is written anew with what is added to it. The file that had that before is removed by a later write only:
so nothing is missing from a copy that is made meanwhile.
"""

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import cache
from itertools import pairwise

from ...clock import Clock, as_precise, from_precise
from ...errors import StorageError
from .. import Retention
from ..lines import head_of, version_of
from . import disk
from .version_log import DAILY, FILE_BYTES, HOURLY, NEWEST, TIERS, Newest
from .writer import Writer

_log = logging.getLogger(__name__)
#: A file with older versions has so many at least.
FILE_VERSIONS = 4
# How much of a precise time two versions of one hour, or of one day, have in common.
_HOUR = len("2018-01-12T12")
_DAY = len("2018-01-12")
_NEXT = {NEWEST: HOURLY, HOURLY: DAILY}


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
    """Thin out each of the tiers by a step; return how many files were removed or written."""
    daily, hourly = (as_precise(now - timedelta(days=days)) for days in (retention.daily_days, retention.hourly_days))
    oldest = writer.newest.version - retention.versions + 1
    return sum(_thin_tier(writer, tier, oldest, {HOURLY: hourly, DAILY: daily}) for tier in tiers)


def _thin_tier(writer: Writer, tier: str, oldest: int, times: dict[str, str]) -> int:
    """Remove the oldest file if what stays of it is in the next tier, and add to that what stays of the following.

    They go if all their versions are from before ``oldest``, or in another tier from before a time in ``times``.
    """
    log, newest, steps = writer.log, writer.newest, 0
    read = cache(lambda start, tier: log.lines(start, tier, newest))
    files = [*log.files(), (newest.version + 1, NEWEST)]
    for (start, _), *later in [files[number:] for number, file in enumerate(files[:-1]) if file[1] == tier][:2]:
        if tier == NEWEST and next(first for first, of in later if of == NEWEST) > oldest:
            break
        lines = read(start, tier)
        if any(lines and first <= version_of(lines[-1]) for first, of in later if TIERS.index(of) < TIERS.index(tier)):
            break  # a version in it is in a newer tier still
        end = version_of(lines[-1]) if lines else 0
        # Earlier releases may have begun a file of an older tier within this one, and a purge may empty files.
        next_line = next(line for file in later for line in read(*file) if version_of(line) > end)
        if tier != NEWEST and not _are_before(times[tier], [*lines, next_line]):
            break
        steps += 1
        if kept := _kept(tier, [*lines, next_line]):
            target = max((file for file in files if file[1] == _NEXT[tier]), default=(start, _NEXT[tier]))
            existing = read(*target) if target in files else []
            last = version_of(existing[-1]) if existing else 0
            # Some may be there: the file may have been added to after what it had before was added there.
            if missing := [line for line in kept if version_of(line) > last]:
                if len(existing) >= max(log.file_versions, FILE_VERSIONS) or sum(map(len, existing)) >= FILE_BYTES:
                    target, existing = (max(start, last + 1), _NEXT[tier]), []
                disk.replace_file(log.path(*target), b"".join(line + b"\n" for line in existing + missing))
                break
            if log.collection.durable:
                disk.sync_folder(log.folder)
        writer.remove_file(start, tier)
    return steps


def _kept(tier: str, lines: list[bytes]) -> list[bytes]:
    """Return those of the lines, without the last one, that the next tier keeps."""
    if tier == DAILY:
        return []
    length = _HOUR if tier == NEWEST else _DAY
    pairs = zip(lines, pairwise(map(head_of, lines)))
    return [
        line
        for line, (head, next_head) in pairs
        if head.time[:length] != next_head.time[:length] or (tier == NEWEST and head.is_kept)
    ]


def _are_before(limit: str, lines: list[bytes]) -> bool:
    """Return True if all versions but one are older than ``limit``: the clock may have been ahead once."""
    return sorted(head_of(line).time for line in lines)[-2:][0] < limit
