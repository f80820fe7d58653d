"""Thinning out old versions, a file at a time.

What is older than the newest versions goes to the hourly tier: of each hour the last version, and those that are kept.
What is older there goes to the daily tier, of each day the last, and what is older there is removed. A version is added
to its next tier before the file that has it is removed, and that only in a later step: so nothing is lost by a crash, or
in a copy that is made meanwhile.
"""

from datetime import datetime, timedelta

from ...clock import as_precise
from .. import Retention
from .lines import is_kept, time_of, version_of
from .log import DAILY, HOURLY, NEWEST, Log, Newest

# How much of a precise time two versions of one hour, or of one day, have in common.
_HOUR = len("2018-01-12T12")
_DAY = len("2018-01-12")


def thin(log: Log, newest: Newest, retention: Retention, now: datetime) -> bool:
    """Carry out one step; False where there was nothing to do. The caller holds the key's lock."""
    starts = log.starts()
    if len(starts) > 1 and starts[1] <= newest.version - retention.versions + 1:
        return _thin_out(log, newest, NEWEST, starts[0], HOURLY, _HOUR)
    hourly, daily = log.starts(HOURLY), log.starts(DAILY)
    if hourly and _last_time(log, newest, HOURLY, hourly[0]) < _before(now, retention.hourly_days):
        return _thin_out(log, newest, HOURLY, hourly[0], DAILY, _DAY)
    if daily and _last_time(log, newest, DAILY, daily[0]) < _before(now, retention.daily_days):
        log.remove_file(daily[0], DAILY)
        return True
    return False


def forget_deleted(log: Log, newest: Newest, retention: Retention, now: datetime) -> int:
    """Keep of a key that was deleted longer ago than anything is kept only that it was; how many files went."""
    item = newest.item
    if item is None or not item.deleted or item.changed_at >= _before(now, retention.daily_days):
        return 0
    return keep_last_line(log, newest)


def keep_last_line(log: Log, newest: Newest) -> int:
    """Remove every version but the newest; how many files were removed or became shorter."""
    files = [(start, tier) for tier in (NEWEST, HOURLY, DAILY) for start in log.starts(tier)]
    changed = 0
    for start, tier in files:
        if (start, tier) != (newest.start, NEWEST):
            log.remove_file(start, tier)
            changed += 1
    found = log.lines(newest.start, NEWEST, newest)
    if len(found) > 1:
        log.rewrite(newest.start, NEWEST, found[-1:])
        changed += 1
    return changed


def _thin_out(log: Log, newest: Newest, tier: str, start: int, next_tier: str, length: int) -> bool:
    found = log.lines(start, tier, newest)
    following = [*found[1:], _line_after(log, newest, tier)]
    kept = [line for line, after in zip(found, following, strict=True) if _stays(line, after, tier, length)]
    there = _last_version(log, newest, next_tier)
    missing = [line for line in kept if version_of(line) > there]
    if missing:
        log.add_thinned(next_tier, missing)
    else:
        log.remove_file(start, tier)
    return True


def _stays(line: bytes, after: bytes | None, tier: str, length: int) -> bool:
    is_last = after is None or time_of(line)[:length] != time_of(after)[:length]
    return is_last or (tier == NEWEST and is_kept(line))


def _line_after(log: Log, newest: Newest, tier: str) -> bytes | None:
    """Return the line that follows the first file of a tier."""
    files = [(start, tier) for start in log.starts(tier)[1:]]
    if tier == HOURLY:
        files += [(start, NEWEST) for start in log.starts()]
    return next((log.lines(start, of, newest)[0] for start, of in files), None)


def _last_version(log: Log, newest: Newest, tier: str) -> int:
    found = [log.lines(start, tier, newest) for start in log.starts(tier)[-1:]]
    return version_of(found[0][-1]) if found and found[0] else 0


def _last_time(log: Log, newest: Newest, tier: str, start: int) -> str:
    found = log.lines(start, tier, newest)
    return time_of(found[-1]) if found else ""


def _before(now: datetime, days: int) -> str:
    return as_precise(now - timedelta(days=days))
