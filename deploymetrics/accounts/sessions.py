"""Sessions: the tokens of ``/api/login`` and of the browser's login cookie. No Flask in here.

A session is an item in the storage, so that all workers know it and it ends everywhere at once. The storage has only a
hash of the token. A use renews it, but is written down only after a tenth of the lifetime.
"""

import hashlib
import secrets
from contextlib import suppress

import msgspec

from ..errors import StorageError
from ..storage import Collection
from .expiry import Sweeper
from .service import Account

_RENEW_AFTER = 0.1


class SessionRecord(msgspec.Struct, frozen=True):
    """Whose session it is, from which epoch of the account, how long it lives (seconds) and until when."""

    id: str
    account: str
    epoch: str
    lifetime: int
    expires: float

    def key(self):
        return self.id


SESSIONS = Collection("sessions", SessionRecord, durable=False)


def _id(token):
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


class Sessions:
    """The sessions of a storage."""

    def __init__(self, store, clock, accounts):
        self.store = store
        self.clock = clock
        self.accounts = accounts
        self._sweeper = Sweeper(store, clock, SESSIONS)

    def start(self, account, lifetime):
        """The token of a new session of the Account that lives ``lifetime`` seconds after its last use."""
        self._sweeper.sweep_if_due()
        token = secrets.token_urlsafe(32)
        expires = self.clock.timestamp() + lifetime
        record = SessionRecord(_id(token), account.name, account.epoch, lifetime, expires)
        self.store.write(SESSIONS, record.id, account.name, lambda current, at: msgspec.json.encode(record))
        return token

    def resume(self, token):
        """The Account of a session that is not over, renewed; else None."""
        item = self.store.read(SESSIONS, _id(token))
        if item is None:
            self.accounts.check_storage()
        now = self.clock.timestamp()
        # One that outlives its lifetime was begun under a clock that was ahead.
        if item is None or not now < item.record.expires <= now + item.record.lifetime:
            return None
        record = item.record
        account = self.accounts.find(record.account)
        if account is None or not account.enabled or account.epoch != record.epoch:
            return None
        self._renew(record)
        return Account(account, session_id=token)

    def end(self, token):
        """End a session, on every worker."""
        self.store.write(SESSIONS, _id(token), "server", lambda current, at: None)

    def _renew(self, record):
        expires = self.clock.timestamp() + record.lifetime
        if expires - record.expires < record.lifetime * _RENEW_AFTER:
            return
        renewed = msgspec.structs.replace(record, expires=expires)
        # A session that was ended in the meantime stays so.
        value = msgspec.json.encode(renewed)
        with suppress(StorageError):  # a disk that is full does not end a session before its time
            self.store.write(SESSIONS, record.id, record.account, lambda current, at: current and value)
