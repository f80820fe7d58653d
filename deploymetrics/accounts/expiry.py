"""Removing expired items of a collection, a few at a time."""

import threading
from contextlib import suppress
from datetime import datetime

from ..clock import Clock, lies_ahead
from ..errors import DamagedItemError, StorageError
from ..storage import Collection, Item, Storage

_AT_ONCE = 24
_ROUND_SECONDS = 300


class Sweeper:
    """Removes items of a collection once their record's ``expires`` (seconds since 1970) has passed.

    Each call looks at a few items and the next one goes on from there, so however many have expired, no caller pays for
    all of them. A new round begins no sooner than five minutes after the last one began.
    """

    def __init__(self, store: Storage, clock: Clock, collection: Collection) -> None:
        self.store = store
        self.clock = clock
        self.collection = collection
        self._keys: list[str] = []
        self._next_round = 0.0
        self._lock = threading.Lock()

    def sweep(self) -> None:
        """Remove the expired ones among the next few items, if possible; call this wherever such items are made."""
        if not self._lock.acquire(blocking=False):
            return
        try:
            with suppress(StorageError):
                self._remove_expired(self.clock.timestamp())
        finally:
            self._lock.release()

    def _remove_expired(self, now: float) -> None:
        def unless_renewed(current: Item | None, at: datetime) -> bytes | None:
            return current.value if current and current.record.expires > now else None

        if not self._keys and not lies_ahead(self._next_round, now, _ROUND_SECONDS):
            self._next_round = now + _ROUND_SECONDS
            self._keys = self.store.keys(self.collection)[::-1]
        for _ in range(min(_AT_ONCE, len(self._keys))):
            with suppress(DamagedItemError):
                key = self._keys.pop()
                if (item := self.store.read(self.collection, key)) and item.record.expires <= now:
                    self.store.write(self.collection, key, "server", unless_renewed)
