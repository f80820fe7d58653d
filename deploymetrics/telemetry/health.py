"""Health checks of the storage, for load balancers and ``deploymetrics status``."""

import platform
import threading
import time
from typing import Any

import msgspec

from ..clock import Clock, as_precise
from ..collector.states import read_states
from ..documents.service import Documents
from ..errors import StorageError
from ..storage import Collection, Record
from ..version import VERSION

#: A storage that was good is not asked again for so many seconds, so probes cost next to nothing.
GOOD_SECONDS = 5.0
_WAIT_SECONDS = 2.0


class Probe(Record, frozen=True):
    """The item that a health check of a machine writes."""

    machine: str
    writtenAt: str


PROBES = Collection("probes", Probe)


class Health:
    """Checks that the storage reads, and writes unless the server ``is_read_only``."""

    def __init__(self, documents: Documents, clock: Clock, *, is_read_only: bool) -> None:
        self.documents = documents
        self.store = documents.store
        self.clock = clock
        self.is_read_only = is_read_only
        self._lock = threading.Lock()
        self._good_until = 0.0

    def check(self) -> None:
        """Raise StorageError unless the storage reads and writes."""
        if time.monotonic() < self._good_until:
            return
        # Where a disk hangs, one thread waits for it; the others are not to be lost as well.
        if not self._lock.acquire(timeout=_WAIT_SECONDS):
            raise StorageError(log="it did not answer an earlier probe yet")
        try:
            if time.monotonic() < self._good_until:
                return
            machine = platform.node() or "-"
            self.store.check()
            self.store.read(PROBES, machine)
            if not self.is_read_only:
                probe = msgspec.json.encode(Probe(machine, as_precise(self.clock.now())))
                self.store.write(PROBES, machine, "server", lambda current, now: probe)
            self._good_until = time.monotonic() + GOOD_SECONDS
        finally:
            self._lock.release()

    def details(self) -> dict[str, Any]:
        """Return version, documents and sources, for a master operator. Raises StorageError."""
        listing = self.documents.list()
        return {
            "version": VERSION,
            "readOnly": self.is_read_only,
            "documents": len(listing.items),
            "damaged": list(listing.damaged),
            "sources": [
                {
                    "name": state.name,
                    "fresh": state.is_fresh,
                    "lastSuccess": state.lastSuccess or None,
                    "lastFailure": state.lastFailure or None,
                    "reason": state.reason,
                }
                for state in read_states(self.store)
            ],
        }
