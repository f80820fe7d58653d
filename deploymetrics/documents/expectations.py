"""How often a tag is expected to be posted, and whether it is late. Nothing is deleted for that. No Flask in here."""

from datetime import timedelta
from typing import NamedTuple

import msgspec
from marshmallow import Schema, fields

from ..clock import as_precise, from_precise
from ..errors import BadRequest
from ..storage import Collection
from .schemas import check_tag

MIN_SECONDS = 60
MAX_SECONDS = 366 * 86400
#: Without an expectation, a document that is older than this is called quiet.
QUIET_SECONDS = 86400


class ExpectationRecord(msgspec.Struct, frozen=True):
    """The tag and the longest time, in seconds, that may pass from one post to the next."""

    tag: str
    everySeconds: int

    def key(self):
        return self.tag


EXPECTATIONS = Collection("expectations", ExpectationRecord)


class ExpectationBody(Schema):
    """How often a tag is expected to be posted."""

    everySeconds = fields.Integer(required=True, strict=True)


class State(NamedTuple):
    """``fresh``, ``quiet`` (no expectation, and old) or ``stale`` (past it); and when it gets stale, or None."""

    name: str
    due: object


class Expectations:
    """The expectations of a storage. They stay with the tag when its document is deleted."""

    def __init__(self, store):
        self.store = store
        self._read = None, {}

    def all(self):
        """Seconds by tag, for every tag that has an expectation."""
        listing = self.store.items(EXPECTATIONS)
        etag, found = self._read
        if etag != listing.revision:
            records = (EXPECTATIONS.decode(item.value) for item in listing.items)
            found = {record.tag: record.everySeconds for record in records}
            self._read = listing.revision, found
        return found

    def of(self, tag):
        """The seconds within which a post is expected, or None."""
        item = self.store.read(EXPECTATIONS, check_tag(tag))
        return item and item.record.everySeconds

    def set(self, tag, seconds, by):
        """Expect a post every so many seconds from now on; None expects none. Raises BadRequest."""
        check_tag(tag)
        if seconds is not None and not MIN_SECONDS <= seconds <= MAX_SECONDS:
            raise BadRequest(
                f"A post can be expected every {MIN_SECONDS} to {MAX_SECONDS} seconds.", code="invalid-expectation"
            )
        value = None if seconds is None else msgspec.json.encode(ExpectationRecord(tag, seconds))
        self.store.write(EXPECTATIONS, tag, by, lambda current, at: value)


class Status(NamedTuple):
    """What is expected of a tag, as the API says it; ``state`` and ``due`` are None while there is no document."""

    tag: str
    everySeconds: int
    state: str | None
    due: str | None


def status(tag, seconds, item, now):
    """The Status of a tag that is expected so often and whose document is the Item, or None."""
    if item is None:
        return Status(tag, seconds, None, None)
    found = state(item.changed_at, seconds, now)
    return Status(tag, seconds, found.name, as_precise(found.due))


def state(changed_at, seconds, now):
    """The State of a document that changed then (as the storage writes it); ``seconds`` is its expectation or None."""
    changed = from_precise(changed_at)
    if seconds is None:
        return State("fresh" if now - changed <= timedelta(seconds=QUIET_SECONDS) else "quiet", None)
    due = changed + timedelta(seconds=seconds)
    return State("stale" if now > due else "fresh", due)
