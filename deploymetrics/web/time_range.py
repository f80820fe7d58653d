"""The range of time that a page shows, in its URL: up to now, or between two moments."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from flask import request

from ..clock import as_precise
from ..services import services
from .preferences import preferences

#: The name of a range, its label, and how long it is; None has no beginning.
RANGES: dict[str, tuple[str, timedelta | None]] = {
    "hour": ("Hour", timedelta(hours=1)),
    "day": ("Day", timedelta(days=1)),
    "week": ("Week", timedelta(days=7)),
    "month": ("Month", timedelta(days=31)),
    "year": ("Year", timedelta(days=366)),
    "all": ("All", None),
}

_MINUTE = timedelta(minutes=1)


class TimeRange(NamedTuple):
    """A range of time; ``name`` is one of RANGES, or empty for any other, ``wrong`` an argument that was no date.

    ``start`` is None where it has no beginning. An ``end`` that is None is now.
    """

    name: str
    start: datetime | None
    end: datetime | None
    now: datetime
    wrong: str = ""

    @property
    def since(self) -> str:
        """The start of the range as a precise text, or an empty text."""
        return as_precise(self.start) if self.start else ""

    @property
    def until(self) -> str:
        """The end of the range as a precise text; empty for now."""
        return as_precise(self.end) if self.end else ""

    @property
    def arguments(self) -> dict[str, str]:
        """The arguments of a URL for this range."""
        if self.name:
            return {"range": self.name}
        ends = {"from": self.start, "to": self.end}
        return {name: f"{moment.astimezone(UTC):%Y-%m-%dT%H:%MZ}" if moment else "" for name, moment in ends.items()}

    def shift(self, turns: int) -> dict[str, str]:
        """Return the arguments of the range ``turns`` times its length later, up to now; none if there is none."""
        if self.start is None:
            return {}
        end = self.end or self.now
        length = end - self.start
        if turns > 0 and end >= self.now:
            return {}
        if end + turns * length > self.now - _MINUTE:  # a URL has no seconds
            name = next((name for name, (_, other) in RANGES.items() if other == length), "")
            return {"range": name} if name else TimeRange("", self.now - length, self.now, self.now).arguments
        try:
            return TimeRange("", self.start + turns * length, end + turns * length, self.now).arguments
        except OverflowError:
            return {}


def read_time_range(default: str = "all") -> TimeRange:
    """Return the TimeRange in the current request's URL: ``range``, or ``from`` and ``to``."""
    now = services().clock.now()
    texts = [request.args.get(name, "").strip() for name in ("from", "to")]
    if any(texts):
        start, end = moments = [read_moment(text) for text in texts]
        for text, moment in zip(texts, moments):
            if text and moment is None:
                return _named_range(default, now)._replace(wrong=text[:40])
        if start and end and start > end:
            start, end = end, start
        return TimeRange("", start, end, now)
    name = request.args.get("range", "")
    return _named_range(name if name in RANGES else default, now)


def read_moment(text: str) -> datetime | None:
    """Return the moment in ``2026-03-03`` or ``2026-03-03T12:00``, by default in the person's zone, or None."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=preferences().zone_info())
    return moment.astimezone(UTC) if 2 < moment.year < 9998 else None


def _named_range(name: str, now: datetime) -> TimeRange:
    length = RANGES[name][1]
    return TimeRange(name, now - length if length else None, None, now)
