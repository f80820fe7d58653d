"""Thinning out old versions, a file at a time.

What is older than the newest versions goes to the hourly tier: of each hour the last version, and those that are
kept. What is older there goes to the daily tier, of each day the last, and what is older there is removed. A version
is added to its next tier before the file that has it is removed, and that only in a later write: so nothing is lost
by a crash, or in a copy that is made meanwhile.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from ...clock import as_precise
from .. import Retention
from .lines import is_kept, time_of, version_of
from .log import DAILY, HOURLY, NEWEST, Log, Newest

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
        _thin_tier(log, newest, NEWEST, lambda found, after: version_of(after[0]) <= oldest)
        + _thin_tier(log, newest, HOURLY, lambda found, after: _are_before(hourly, found, after))
        + _thin_tier(log, newest, DAILY, lambda found, after: _are_before(daily, found, after))
    )


def _thin_tier(log: Log, newest: Newest, tier: str, is_past: Callable[[list[bytes], list[bytes]], bool]) -> int:
    """Remove the oldest file if all that stays of it is in the next tier, and add to that what stays of the following.

    ``is_past`` is asked with the lines of a file, and with those of the file after it.
    """
    steps = 0
    for start in log.starts(tier)[:2]:
        found = log.lines(start, tier, newest)
        after = _lines_after(log, newest, tier, start, found)
        if not after or not is_past(found, after):
            break
        steps += 1
        if missing := _missing(log, newest, tier, found, after):
            log.add_thinned(_NEXT[tier], missing)
            break
        log.remove_file(start, tier)
    return steps


def _missing(log: Log, newest: Newest, tier: str, found: list[bytes], after: list[bytes]) -> list[bytes]:
    """Return the lines that stay and are not in the next tier yet."""
    if tier == DAILY:
        return []
    there = _last_version(log, newest, _NEXT[tier])
    pairs = zip(found, [*found[1:], after[0]], strict=False)
    return [line for line, following in pairs if version_of(line) > there and _stays(line, following, tier)]


def _stays(line: bytes, following: bytes, tier: str) -> bool:
    if tier == NEWEST and is_kept(line):
        return True
    length = _HOUR if tier == NEWEST else _DAY
    return time_of(line)[:length] != time_of(following)[:length]


def _lines_after(log: Log, newest: Newest, tier: str, start: int, found: list[bytes]) -> list[bytes]:
    """Return the lines of the file that follows; none while what was added to it is in a newer tier too."""
    newer = [(later, of) for of in _NEWER[tier] for later in log.starts(of)[:1]]
    if found and any(later <= version_of(found[-1]) for later, _ in newer):
        return []
    files = [(later, tier) for later in log.starts(tier) if later > start] + newer
    return log.lines(*files[0], newest) if files else []


def _are_before(limit: str, found: list[bytes], after: list[bytes]) -> bool:
    """Return True if these versions are older than ``limit``; but for one, since the clock may have been ahead once."""
    times = sorted([*map(time_of, found), max(map(time_of, after))])
    return len(times) < 2 or times[-2] < limit


def forget_deleted(log: Log, newest: Newest, retention: Retention, now: datetime) -> int:
    """Keep of a key that was deleted longer ago than anything is kept only that it was; how many files went."""
    item = newest.item
    if item is None or not item.deleted or item.changed_at >= as_precise(now - timedelta(days=retention.daily_days)):
        return 0
    return log.remove_versions(newest)


def _last_version(log: Log, newest: Newest, tier: str) -> int:
    found = [log.lines(start, tier, newest) for start in log.starts(tier)[-1:]]
    return version_of(found[0][-1]) if found and found[0] else 0
