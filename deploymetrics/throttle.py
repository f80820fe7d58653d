"""Slowing down those who guess passwords, the same on every worker. No Flask in here."""

import hashlib
import ipaddress
import math

import msgspec

from .errors import TooManyAttempts
from .expiry import Sweeper
from .storage import Kind


class FailureRecord(msgspec.Struct, frozen=True):
    """Failures under one key: how many, until when (seconds since 1970) no more are taken, when they are forgotten."""

    id: str
    failures: int
    until: float
    expires: float

    def key(self):
        return self.id


FAILURES = Kind("failures", FailureRecord)


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

    def check(self, name, address):
        """Raise TooManyAttempts while a try for this account (None: a token without a name) has to wait."""
        now = self.clock.timestamp()
        waits = [item.record.until - now for key, _ in self._keys(name, address) if (item := self._read(key, now))]
        if waits and max(waits) > 0:
            raise TooManyAttempts(math.ceil(max(waits)))

    def failed(self, name, address):
        """Count a failure."""
        self._sweeper.sweep_if_due()
        for key, limit in self._keys(name, address):
            self.store.write(FAILURES, key, "server", lambda current, at: self._counted(current, key, limit))

    def succeeded(self, name, address):
        """Forget the failures of this account from this address; those of the address stay."""
        key = _id(name, address)
        if self.store.read(FAILURES, key):
            self.store.write(FAILURES, key, "server", lambda current, at: None)

    def _keys(self, name, address):
        keys = [(_id(None, address), self.per_address)]
        return keys if name is None else [*keys, (_id(name, address), self.per_account)]

    def _read(self, key, now):
        item = self.store.read(FAILURES, key)
        return item if item and item.record.expires > now else None

    def _counted(self, current, key, limit):
        now = self.clock.timestamp()
        failures = 1 + (current.record.failures if current and current.record.expires > now else 0)
        over = failures - limit
        delay = 0 if over < 0 else min(2.0 ** min(over, 30), self.longest)
        return msgspec.json.encode(FailureRecord(key, failures, now + delay, now + max(delay, self.longest)))


def _id(name, address):
    """A key of fixed size for the account and address; an IPv6 customer has at least a /64, which counts as one."""
    try:
        network = str(ipaddress.ip_network(f"{address}/64" if ":" in address else address, strict=False))
    except ValueError:
        network = address
    return hashlib.sha256(repr((name, network)).encode()).hexdigest()
