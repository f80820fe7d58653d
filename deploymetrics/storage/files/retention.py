"""Thinning out old versions, a file at a time.

What is older than the newest versions goes to the hourly tier: of each hour the last version, and those that are
kept. What is older there goes to the daily tier, of each day the last, and what is older there is removed. A version
is added to its next tier before the file that has it is removed, and that only in a later write: so nothing is lost
by a crash, or in a copy that is made meanwhile.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import pairwise

from ...clock import as_precise
from .. import Retention
from . import disk
from .lines import is_kept, join, time_of, version_of
from .log import DAILY, HOURLY, NEWEST, TIERS, Files, Log, Newest
from .writer import Writer

#: A file with older versions has so many at least, and takes no more once it has so many bytes: it is written anew each
#: time that some are added.
FILE_VERSIONS = 8
FILE_BYTES = 2**16
# How much of a precise time two versions of one hour, or of one day, have in common.
_HOUR = len("2018-01-12T12")
_DAY = len("2018-01-12")
_NEXT = {NEWEST: HOURLY, HOURLY: DAILY}
_NEWER = {NEWEST: (), HOURLY: (NEWEST,), DAILY: (HOURLY, NEWEST)}


def due(before: Newest, newest: Newest) -> tuple[str, ...]:
    """Return the tiers in which the write of ``newest`` takes a step.

    Each tier has its turn once for each file that is begun, in a write of its own where the file before had so many.
    """
    number = newest.version - newest.start
    return TIERS[number - 1 : number] if number else TIERS[max(before.version - before.start, 0) :]


def thin(writer: Writer, tiers: Iterable[str], retention: Retention, now: datetime) -> int:
    """Take a step in each of the tiers; return how many files were removed or added to.

    What the step before added has its name by now: its folder was synced since.
    """
    limits = {HOURLY: retention.hourly_days, DAILY: retention.daily_days}
    steps = 0
    for tier in tiers:
        files = writer.log.files()
        if tier == NEWEST:
            oldest = writer.newest.version - retention.versions + 1
            past = [start for start, following in pairwise(files[NEWEST]) if following <= oldest]
        else:
            past = files[tier]
        before = as_precise(now - timedelta(days=limits[tier])) if tier in limits else None
        steps += _thin_tier(writer, files, tier, past[:2], before)
    return steps


def _thin_tier(writer: Writer, files: Files, tier: str, past: list[int], before: str | None) -> int:
    """Remove the oldest file if all that stays of it is in the next tier, and add to that what stays of the following.

    ``past`` are the files to look at; only those go whose versions are all from ``before`` a time, if given.
    """
    log, newest, steps = writer.log, writer.newest, 0
    for start in past:
        lines = log.lines(start, tier, newest)
        next_lines = _next_lines(log, newest, files, tier, start, lines)
        if not next_lines or (before and not _are_before(before, lines, next_lines)):
            break
        steps += 1
        if missing := _missing(log, newest, files, tier, [*lines, next_lines[0]]):
            _add(log, _NEXT[tier], files[_NEXT[tier]], missing)
            break
        writer.remove_file(start, tier)
    return steps


def _missing(log: Log, newest: Newest, files: Files, tier: str, lines: list[bytes]) -> list[bytes]:
    """Return the lines, without the last one, that stay and are not in the next tier yet."""
    if tier == DAILY:
        return []
    existing = [line for start in files[_NEXT[tier]][-1:] for line in log.lines(start, _NEXT[tier], newest)]
    last = version_of(existing[-1]) if existing else 0
    return [line for line, next_line in pairwise(lines) if version_of(line) > last and _stays(line, next_line, tier)]


def _stays(line: bytes, next_line: bytes, tier: str) -> bool:
    if tier == NEWEST and is_kept(line):
        return True
    length = _HOUR if tier == NEWEST else _DAY
    return time_of(line)[:length] != time_of(next_line)[:length]


def _next_lines(log: Log, newest: Newest, files: Files, tier: str, start: int, lines: list[bytes]) -> list[bytes]:
    """Return the lines of the file that follows; none while what was added to it is in a newer tier too."""
    newer = [(later, of) for of in _NEWER[tier] for later in files[of][:1]]
    if lines and any(later <= version_of(lines[-1]) for later, _ in newer):
        return []
    following = [(later, tier) for later in files[tier] if later > start] + newer
    return log.lines(*following[0], newest) if following else []


def _are_before(limit: str, lines: list[bytes], next_lines: list[bytes]) -> bool:
    """Return True if these versions are older than ``limit``; but for one, since the clock may have been ahead once."""
    times = sorted([*map(time_of, lines), max(map(time_of, next_lines))])
    return len(times) < 2 or times[-2] < limit


def _add(log: Log, tier: str, starts: list[int], added: list[bytes]) -> None:
    """Add lines to a tier whose files begin with ``starts``, all or nothing; not synced is the name of the file."""
    start = starts[-1] if starts else 0
    existing = log.lines(start, tier, Newest(None))
    if not existing or len(existing) >= max(log.file_versions, FILE_VERSIONS) or sum(map(len, existing)) >= FILE_BYTES:
        start, existing = version_of(added[0]), []
    disk.replace_file(log.path(start, tier), join(existing + added), durable=log.collection.durable)
