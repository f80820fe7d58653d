"""When ``deploymetrics serve`` last started: noted by the command, read by the source ``server``."""

import logging

import msgspec

from .clock import Clock, as_precise
from .errors import StorageError
from .storage import Collection, Record, Storage

_log = logging.getLogger(__name__)
_KEY = "server"


class StartRecord(Record, frozen=True):
    """When ``deploymetrics serve`` last started, as a precise text."""

    name: str
    startedAt: str


STARTS = Collection("starts", StartRecord)


def record_start(store: Storage, clock: Clock) -> None:
    """Store that the server starts now; a failure is only logged, since the server can still be read."""
    record = StartRecord(_KEY, as_precise(clock.now()))
    try:
        store.write(STARTS, _KEY, "server", lambda current, now: msgspec.json.encode(record))
    except StorageError as error:
        _log.warning("it was not stored when the server started: %s", error.log)


def last_start(store: Storage) -> str:
    """Return when the server last started, as a precise text; empty if it never did."""
    item = store.read(STARTS, _KEY)
    return item.record.startedAt if item else ""
