"""Slowing down those who guess passwords, the same on every worker. No Flask in here."""

import hashlib
import ipaddress
import math
import threading
from contextlib import suppress

import msgspec

from ..errors import DamagedItem, StorageError, TooManyAttempts
from ..storage import Collection
from .expiry import Sweeper

_UNSTORED = 10_000


class FailureRecord(msgspec.Struct, frozen=True):
    """Failures under one key: how many, until when (seconds since 1970) no more are taken, when they are forgotten."""

    id: str
    failures: int
    until: float
    expires: float

    def key(self):
        return self.id


FAILURES = Collection("failures", FailureRecord, durable=False)


class Throttle:
    """Counts failures for an account from an address, and for an address; past a limit the next try has to wait, one
    second and then twice as long with each further failure, up to ``longest`` seconds, after which all is forgotten."""

    def __init__(self, store, clock, *, per_account, per_address, longest):
        self.store = store
        self.clock = clock
        self.per_account = per_account
        self.per_address = per_address
        self.longest = longest
        self._sweeper = Sweeper(store, clock, FAILURES)
        self._lock = threading.Lock()
        self._unstored = {}  # what a storage that is full did not take; of this process only

    def check(self, name, address):
        """Raise TooManyAttempts while a try for this account (None: a token without a name) has to wait.

        Asked before a password is checked, and again before a right one counts: of many tries at the same time, those
        that end after the limit was reached are told nothing.
        """
        now = self.clock.timestamp()
        self._refuse(max(self._wait(self._read(key, now), now) for key, _ in self._keys(name, address)))

    def failed(self, name, address):
        """Count a failure; raises TooManyAttempts, and does not count it, where others have used up the limit since
        ``check``."""
        for key, limit in self._keys(name, address):
            try:
                self._sweeper.sweep_if_due()
                self.store.write(FAILURES, key, "server", lambda current, at: self._encoded(current, key, limit))
            except StorageError:
                with self._lock:
                    if len(self._unstored) >= _UNSTORED:
                        self._unstored.clear()
                    self._unstored[key] = self._counted(self._unstored.get(key), key, limit)

    def succeeded(self, name, address):
        """Forget the failures of this account from this address; those of the address stay."""
        key = _id(name, address)
        self._unstored.pop(key, None)
        with suppress(StorageError):
            if self.store.read(FAILURES, key):
                self.store.write(FAILURES, key, "server", lambda current, at: None)

    def _keys(self, name, address):
        keys = [(_id(None, address), self.per_address)]
        return keys if name is None else [(_id(name, address), self.per_account), *keys]

    def _read(self, key, now):
        try:
            item = self.store.read(FAILURES, key)
        except DamagedItem:
            item = None
        record = self._unstored.get(key) or (item and item.record)
        return record if record and record.expires > now else None

    def _wait(self, record, now):
        """How many seconds the next try has to wait."""
        wait = record.until - now if record else 0
        # A longer wait than there is was written under a clock that was ahead.
        return wait if 0 < wait <= self.longest else 0

    @staticmethod
    def _refuse(wait):
        if wait:
            raise TooManyAttempts(math.ceil(wait))

    def _encoded(self, current, key, limit):
        return msgspec.json.encode(self._counted(current and current.record, key, limit))

    def _counted(self, record, key, limit):
        now = self.clock.timestamp()
        self._refuse(self._wait(record, now))
        failures = 1 + (record.failures if record and record.expires > now else 0)
        over = failures - limit
        delay = 0 if over < 0 else min(2.0 ** min(over, 30), self.longest)
        return FailureRecord(key, failures, now + delay, now + max(delay, self.longest))


def _id(name, address):
    """A key of fixed size for the account and address; an IPv6 customer has at least a /64, which counts as one."""
    try:
        network = str(ipaddress.ip_network(f"{address}/64" if ":" in address else address, strict=False))
    except ValueError:
        network = address
    return hashlib.sha256(repr((name, network)).encode()).hexdigest()
