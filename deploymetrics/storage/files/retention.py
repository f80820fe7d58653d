"""Thinning out old versions, a file at a time.

What is older than the newest versions goes to the hourly tier: of each hour the last version, and those that are
kept. What is older there goes to the daily tier, of each day the last, and what is older there is removed. A version
is added to its next tier before the file that has it is removed, and that only in a later write: so nothing is lost
by a crash, or in a copy that is made meanwhile.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise

from ...clock import as_precise
from .. import Retention
from .lines import is_kept, time_of, version_of
from .log import DAILY, HOURLY, NEWEST, Files, Log, Newest

# How much of a precise time two versions of one hour, or of one day, have in common.
_HOUR = len("2018-01-12T12")
_DAY = len("2018-01-12")
_NEXT = {NEWEST: HOURLY, HOURLY: DAILY}
_NEWER = {NEWEST: (), HOURLY: (NEWEST,), DAILY: (HOURLY, NEWEST)}


def thin(log: Log, newest: Newest, retention: Retention, now: datetime) -> int:
    """Take a step in each tier; return how many files were removed or added to. The caller holds the key's lock."""
    oldest = newest.version - retention.versions + 1
    hourly, daily = (as_precise(now - timedelta(days=days)) for days in (retention.hourly_days, retention.daily_days))
    return (
        _thin_tier(log, newest, NEWEST, lambda lines, next_lines: version_of(next_lines[0]) <= oldest)
        + _thin_tier(log, newest, HOURLY, lambda lines, next_lines: _are_before(hourly, lines, next_lines))
        + _thin_tier(log, newest, DAILY, lambda lines, next_lines: _are_before(daily, lines, next_lines))
    )


def _thin_tier(log: Log, newest: Newest, tier: str, is_past: Callable[[list[bytes], list[bytes]], bool]) -> int:
    """Remove the oldest file if all that stays of it is in the next tier, and add to that what stays of the following.

    ``is_past`` is asked with the lines of a file, and with those of the file after it.
    """
    files, steps = log.files(), 0
    for start in files[tier][:2]:
        lines = log.lines(start, tier, newest)
        next_lines = _next_lines(log, newest, files, tier, start, lines)
        if not next_lines or not is_past(lines, next_lines):
            break
        steps += 1
        if missing := _missing(log, newest, files, tier, [*lines, next_lines[0]]):
            log.add_thinned(_NEXT[tier], files[_NEXT[tier]], missing)
            break
        log.remove_file(start, tier)
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
