"""Expectations: how often a tag should be posted, and whether it is late."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from marshmallow import Schema, fields

from ..clock import as_precise, from_precise
from ..errors import BadRequest
from ..storage import Collection, Entry, Item, Record
from .per_tag import PerTag
from .schemas import check_tag

MIN_SECONDS = 60
MAX_SECONDS = 366 * 86400
#: Without an expectation, a document that is older than this is called quiet.
QUIET_SECONDS = 86400
#: A document that changed later than that from now did so under a clock that was ahead; nobody knows how long ago.
AHEAD = timedelta(days=1)
FRESH, QUIET, STALE = STATES = "fresh", "quiet", "stale"


class ExpectationRecord(Record, frozen=True):
    """The stored expectation of a tag: at most ``everySeconds`` from one post to the next."""

    tag: str
    everySeconds: int


EXPECTATIONS = Collection("expectations", ExpectationRecord)


class ExpectationBody(Schema):
    """The body of a PUT of an expectation."""

    everySeconds = fields.Integer(required=True, strict=True)


class State(NamedTuple):
    """The state of a tag: FRESH, QUIET (old, and not expected) or STALE (late); and when it gets stale, or None."""

    name: str
    due: datetime | None


class Expectations(PerTag[int]):
    """Stores within how many seconds a post of each tag is expected."""

    collection = EXPECTATIONS

    def _value(self, item: Item | None) -> int | None:
        return item.record.everySeconds if item else None

    def set(
        self, tag: str, seconds: int | None, author: str, check: Callable[[int | None], None] = lambda current: None
    ) -> None:
        """Expect a post of a tag every ``seconds`` from now on; None removes the expectation. Raises BadRequest.

        ``check`` is called with the current seconds, or None, while nobody else can change them; what it raises stops
        the write.
        """
        check_tag(tag)
        if seconds is not None:
            check_seconds(seconds)
        self._write(tag, None if seconds is None else ExpectationRecord(tag, seconds), author, check)


def check_seconds(seconds: int) -> None:
    """Raise BadRequest unless a post can be expected every ``seconds``."""
    if not MIN_SECONDS <= seconds <= MAX_SECONDS:
        raise BadRequest(
            f"A post can be expected every {MIN_SECONDS} to {MAX_SECONDS} seconds.", code="invalid-expectation"
        )


def state_of(item: Entry | Item, seconds: int | None, now: datetime) -> State:
    """Return the State of a document that is expected every ``seconds``, or not if that is None."""
    (name,) = state_names([item], {} if seconds is None else {item.key: seconds}, now)
    is_known = seconds is not None and item.changed_at <= as_precise(now + AHEAD)
    return State(name, from_precise(item.changed_at) + timedelta(seconds=seconds or 0) if is_known else None)


def state_names(items: Iterable[Entry | Item], expected: Mapping[str, int], now: datetime) -> list[str]:
    """Return the name of the State of each document, by the expectations of all tags.

    Times are compared as text, which is fast for a long list; one after ``latest`` is of a clock that was ahead.
    """
    spans = {*expected.values(), QUIET_SECONDS}
    limits = {seconds: as_precise(now - timedelta(seconds=seconds)) for seconds in spans}
    latest = as_precise(now + AHEAD)
    return [
        FRESH
        if limits[expected.get(item.key, QUIET_SECONDS)] <= item.changed_at <= latest
        else STALE
        if item.key in expected
        else QUIET
        for item in items
    ]
