"""When ``deploymetrics serve`` last started: noted by the command, read by the source ``server``."""

from typing import Any

import msgspec

from .clock import as_precise
from .storage import Collection

_KEY = "server"


class StartRecord(msgspec.Struct, frozen=True):
    """When ``deploymetrics serve`` last started, as a precise text."""

    name: str
    startedAt: str

    def key(self) -> str:
        """Return what it is stored under."""
        return self.name


STARTS = Collection("starts", StartRecord)


def record_start(store: Any, clock: Any) -> None:
    """Note that the server starts now."""
    record = StartRecord(_KEY, as_precise(clock.now()))
    store.write(STARTS, _KEY, "server", lambda current, now: msgspec.json.encode(record))


def last_start(store: Any) -> str:
    """Return when the server last started, as a precise text; empty if it never did."""
    item = store.read(STARTS, _KEY)
    return item.record.startedAt if item else ""
