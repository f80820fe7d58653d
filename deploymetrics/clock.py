"""The one clock, in UTC and to the microsecond, and the forms in which a time is written.

Month and day names are English whatever the locale, which is why ``strftime("%b")`` is not used.
"""

import time
from datetime import UTC, datetime
from email.utils import formatdate
from functools import lru_cache

#: How far clocks that are kept alike may be apart, and one be put back: a time so far ahead is one of just now.
SKEW_SECONDS = 60
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Clock:
    """Tells the time; tests replace it by one that they set."""

    def now(self) -> datetime:
        """Return the time as an aware datetime in UTC."""
        return datetime.fromtimestamp(time.time(), UTC)

    def timestamp(self) -> float:
        """Return the time in seconds since 1970."""
        return self.now().timestamp()


def as_last_changed(moment: datetime) -> str:
    """Write a time as BigFix does: ``12 Jan 2018 12:00``."""
    return f"{moment.day:02d} {MONTHS[moment.month - 1]} {moment.year:04d} {moment.hour:02d}:{moment.minute:02d}"


def as_precise(moment: datetime) -> str:
    """Write a time in UTC to the microsecond: ``2018-01-12T12:00:03.123456Z``."""
    return moment.isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def from_precise(text: str) -> datetime:
    """Return a time that ``as_precise`` wrote as an aware datetime.

    Raises ValueError, also near the ends of the calendar, where there may be no time before or after it.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time without a zone")
    if not 1 < moment.year < 9999:
        raise ValueError("a time at the end of the calendar")
    return moment.astimezone(UTC)


def lies_ahead(moment: float, now: float, seconds: float) -> bool:
    """Return True if a moment lies ahead of now, by ``seconds`` at most: a later one is of a clock that was ahead."""
    return 0 < moment - now <= seconds


@lru_cache(maxsize=4096)
def timestamp_of(precise: str) -> float:
    """Return a time that ``as_precise`` wrote as seconds since 1970."""
    return from_precise(precise).timestamp()


@lru_cache(maxsize=4096)
def as_http_date(seconds: int) -> str:
    """Write a time in seconds since 1970 as HTTP does (RFC 9110): ``Fri, 12 Jan 2018 12:00:00 GMT``."""
    return formatdate(seconds, usegmt=True)
