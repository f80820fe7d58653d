"""Throttling of wrong passwords, the same on every worker.

Failures are counted for an account from an address, for the address, and for the account wherever they come from. Past
a limit the next try has to wait, one second and then twice as long with each further failure.

Nobody else has to wait for a program that goes on sending one wrong password: its failures past the limit count for its
own account and address only. An account is not locked out where it logged in lately: there only the first count holds.
"""

import hashlib
import math
import threading
from collections.abc import Callable
from datetime import datetime

import msgspec

from ..clock import SKEW_SECONDS, Clock, lies_ahead
from ..errors import DamagedItemError, StorageError, TooManyAttemptsError
from ..storage import Collection, Item, Record, Storage
from .addresses import network_of
from .expiry import Sweeper
from .token_secrets import hash_secret

_UNSTORED = 10_000
_LATELY_SECONDS = 30 * 86400


class FailureRecord(Record, frozen=True, omit_defaults=True):
    """The failed logins of one key: an account, an address, or both. All times are seconds since 1970.

    ``failures`` in a row; no tries are taken before ``until``; they do not count any more from ``forgotten`` on. A
    right password counts as one of lately before ``right``.
    """

    id: str
    failures: int = 0
    until: float = 0.0
    forgotten: float = 0.0
    right: float = 0.0

    @property
    def expires(self) -> float:
        """Return when neither failures nor the right password count any more."""
        return max(self.forgotten, self.right)

    def was_right_lately(self, now: float) -> bool:
        """Return True if a right password came not long ago."""
        return lies_ahead(self.right, now, _LATELY_SECONDS + SKEW_SECONDS)

    def recent_failures(self, now: float, longest: float) -> int:
        """Return how many failures still count, which none does for longer than ``longest`` seconds."""
        return self.failures if lies_ahead(self.forgotten, now, longest + SKEW_SECONDS) else 0

    def wait(self, now: float, longest: float) -> float:
        """Return for how many seconds the next try has to wait, which is not longer than ``longest``."""
        return self.until - now if lies_ahead(self.until, now, longest + SKEW_SECONDS) else 0.0


FAILURES = Collection("failures", FailureRecord, durable=False)


class Throttle:
    """Counts failed logins, and makes the next try wait.

    ``per_account`` failures of an account from an address are free, twice as many of it from everywhere, and
    ``per_address`` of an address. The wait grows up to ``longest`` seconds, after which all is forgotten.
    """

    def __init__(self, store: Storage, clock: Clock, *, per_account: int, per_address: int, longest: int) -> None:
        self.store = store
        self.clock = clock
        self.per_account = per_account
        self.per_address = per_address
        self.longest = longest
        self._sweeper = Sweeper(store, clock, FAILURES)
        self._lock = threading.Lock()
        self._unstored: dict[str, FailureRecord] = {}  # what the storage did not take; of this process only

    def check(self, name: str, address: str) -> None:
        """Raise TooManyAttemptsError if a login of this account from this address has to wait.

        Asked before a password is checked, and again before a right one counts: of many tries at the same time, those
        that end after the limit was reached are told nothing.
        """
        now = self.clock.timestamp()
        own = self._read(_key(name, address))
        shared = [] if own.was_right_lately(now) else [self._read(key) for key, _ in self._shared_keys(name, address)]
        _raise_if_waiting(max(record.wait(now, self.longest) for record in (own, *shared)))

    def count_failure(self, name: str, address: str) -> None:
        """Count a wrong password for an account from an address.

        Raises TooManyAttemptsError, and does not count it, where others have used up the limit since ``check``.
        """
        own = self._add_failure(_key(name, address), self.per_account)
        if own.failures <= self.per_account and not own.was_right_lately(self.clock.timestamp()):
            for key, limit in self._shared_keys(name, address):
                self._add_failure(key, limit)

    def count_wrong_secret(self, secret: str, address: str) -> None:
        """Count a wrong secret; raises TooManyAttemptsError after too many.

        It is held against the secret, and nobody else at the address has to wait: nobody guesses 256 random bits, so
        this only slows down who goes on sending an old one. Secrets share 256 counts, so a stranger cannot make more.
        """
        self._add_failure(_key(f":{hash_secret(secret)[-2:]}", address), self.per_account)

    def count_success(self, name: str, address: str) -> None:
        """Forget the failures of an account from an address, and remember that a password was right there."""
        key, now = _key(name, address), self.clock.timestamp()
        record = self._read(key)
        if record.failures or record.right - now < _LATELY_SECONDS / 2 or not record.was_right_lately(now):
            self._store(key, lambda record: FailureRecord(key, right=now + _LATELY_SECONDS))

    def _shared_keys(self, name: str, address: str) -> list[tuple[str, int]]:
        """Return (key, limit) of the counts for the address, and for the account from everywhere."""
        return [(_key(None, address), self.per_address), (_key(name, None), 2 * self.per_account)]

    def _read(self, key: str) -> FailureRecord:
        if record := self._unstored.get(key):
            return record
        try:
            item = self.store.read(FAILURES, key)
        except DamagedItemError:
            item = None
        return item.record if item else FailureRecord(key)

    def _add_failure(self, key: str, limit: int) -> FailureRecord:
        def add(record: FailureRecord) -> FailureRecord:
            now = self.clock.timestamp()
            _raise_if_waiting(record.wait(now, self.longest))
            failures = 1 + record.recent_failures(now, self.longest)
            over = failures - limit
            delay = 0 if over < 0 else min(2.0 ** min(over, 30), self.longest)
            return FailureRecord(key, failures, now + delay, now + self.longest, record.right)

        return self._store(key, add)

    def _store(self, key: str, make: Callable[[FailureRecord], FailureRecord]) -> FailureRecord:
        """Replace the record of a key by what ``make`` returns for it; in memory where the storage does not take it."""
        self._sweeper.sweep()

        def change(current: Item | None, at: datetime) -> bytes:
            stored = current.record if current else FailureRecord(key)
            return msgspec.json.encode(make(self._unstored.get(key) or stored))

        try:
            item = self.store.write(FAILURES, key, "server", change)
            self._unstored.pop(key, None)
            return item.record if item else FailureRecord(key)
        except StorageError:
            with self._lock:
                if len(self._unstored) >= _UNSTORED:
                    self._unstored.clear()
                self._unstored[key] = record = make(self._read(key))
                return record


def _raise_if_waiting(wait: float) -> None:
    if wait:
        raise TooManyAttemptsError(math.ceil(wait))


def _key(name: str | None, address: str | None) -> str:
    """Return a key of fixed size for the account (None: all of them) and the client's network (None: everywhere)."""
    network = None if address is None else network_of(address)
    return hashlib.sha256(repr((name, network)).encode("utf-8", "surrogatepass")).hexdigest()
