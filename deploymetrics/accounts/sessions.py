"""Sessions: the tokens of ``/api/login`` and of the browser's login cookie. No Flask in here.

The sessions of an account are one item in the storage, so that all workers know them, they end everywhere at once, and
there are never too many. The storage has only hashes of the tokens. A use renews a session, but is written down only
after a tenth of the lifetime.

While the storage takes nothing, as on a full or read-only disk, people log in all the same: their token is a signed one,
which holds what would have been stored and lives for a fixed time.
"""

import hashlib
import logging
import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import NamedTuple

import msgspec
from itsdangerous import BadData, URLSafeSerializer

from ..clock import Clock
from ..errors import StorageError
from ..storage import Collection, Item, Storage
from .expiry import Sweeper
from .service import Account, Accounts

#: An account's sessions; of more, those that end first end at once.
MAX_SESSIONS = 500
_RENEW_AFTER = 0.1
_RETRY_SECONDS = 5
_ENDED = ""  # the epoch of no account

_log = logging.getLogger(__name__)


class Session(msgspec.Struct, frozen=True, array_like=True):
    """From which epoch of the account a session is, how long it lives after a use, and until when.

    ``lifetime`` is in seconds, ``expires`` in seconds since 1970. A signed token that was ended is kept until it expires
    anyway, with an epoch that no account has.
    """

    epoch: str
    lifetime: int
    expires: float

    def is_alive(self, now: float) -> bool:
        """Return True before it expires; one that outlives its lifetime was begun under a clock that was ahead."""
        return now < self.expires <= now + self.lifetime


class SessionsRecord(msgspec.Struct, frozen=True):
    """The sessions of an account, by the hash of their token."""

    id: str
    account: str
    sessions: dict[str, Session]

    def key(self) -> str:
        """Return the key of the item."""
        return self.id

    @property
    def expires(self) -> float:
        """Return when the last of them expires."""
        return max((session.expires for session in self.sessions.values()), default=0.0)


SESSIONS = Collection("sessions", SessionsRecord, durable=False)
_STORED_TOKEN = re.compile(r"([0-9a-f]{32})[\w-]{43}", re.ASCII)


class _Token(NamedTuple):
    """What a token stands for: the key of the item, the session's hash, the account's name, the Session."""

    key: str
    id: str
    account: str
    session: Session
    is_signed: bool


class Sessions:
    """The sessions of a storage."""

    def __init__(self, store: Storage, clock: Clock, accounts: Accounts, secret_key: str) -> None:
        self.store = store
        self.clock = clock
        self.accounts = accounts
        self._signer = URLSafeSerializer(secret_key, salt="session")
        self._sweeper = Sweeper(store, clock, SESSIONS)
        self._ending: dict[str, _Token] = {}  # ended, and the storage did not take it yet
        self._next_try = 0.0

    def start(self, account: Account, lifetime: int) -> str:
        """Return the token of a new session of the Account that lives ``lifetime`` seconds after its last use."""
        self._sweeper.sweep()
        self._store_endings()
        session = Session(account.epoch, lifetime, self.clock.timestamp() + lifetime)
        key = _key_of(account.name)
        token = key + secrets.token_urlsafe(32)

        def add(sessions: dict[str, Session]) -> None:
            while len(sessions) >= MAX_SESSIONS:
                del sessions[min(sessions, key=lambda id: sessions[id].expires)]
            sessions[_hash_of(token)] = session

        try:
            self._write(key, account.name, add)
        except StorageError as error:
            _log.warning("a session of %r is not stored, so its token is a signed one: %s", account.name, error.log)
            return str(self._signer.dumps([account.name, *msgspec.structs.astuple(session), secrets.token_hex(8)]))
        return token

    def resume(self, token: str) -> Account | None:
        """Return the Account of a session that is not over, and renew it; else None."""
        self._store_endings()
        found = self._find(token)
        if found is None or not found.session.is_alive(self.clock.timestamp()):
            return None
        record = self.accounts.find(found.account)
        if record is None or not record.enabled or record.epoch != found.session.epoch:
            return None
        if not found.is_signed:
            self._renew(found)
        return Account(record, session_id=token)

    def end(self, token: str) -> None:
        """End a session, on every worker.

        Where the storage takes nothing it is over on this worker, and on the others once the storage takes it.
        """
        found = self._find(token)
        if found is not None:
            self._ending[found.id] = found
            self._next_try = 0.0
            self._store_endings()

    def _find(self, token: str) -> _Token | None:
        """Return what a token stands for, alive or not; None for one that is made up or was ended."""
        id = _hash_of(token)
        if id in self._ending:
            return None
        if match := _STORED_TOKEN.fullmatch(token):
            record = self._read(match[1])
            session = record.sessions.get(id) if record else None
            return _Token(match[1], id, record.account, session, False) if record and session else None
        try:
            account, epoch, lifetime, expires, _ = self._signer.loads(token)
        except BadData:
            return None
        key = _key_of(account)
        record = self._read(key)
        was_ended = record is not None and id in record.sessions
        return None if was_ended else _Token(key, id, account, Session(epoch, lifetime, expires), True)

    def _read(self, key: str) -> SessionsRecord | None:
        item = self.store.read(SESSIONS, key)
        if item is None:
            # Where the whole folder is gone, nobody is to be told that the session is over.
            self.store.check()
            return None
        record: SessionsRecord = item.record
        return record

    def _renew(self, found: _Token) -> None:
        session = found.session
        expires = self.clock.timestamp() + session.lifetime
        if expires - session.expires < session.lifetime * _RENEW_AFTER:
            return
        renewed = msgspec.structs.replace(session, expires=expires)

        def change(sessions: dict[str, Session]) -> None:
            if found.id in sessions:  # one that was ended in the meantime stays so
                sessions[found.id] = renewed

        with suppress(StorageError):  # a disk that is full does not end a session before its time
            self._write(found.key, found.account, change)

    def _store_endings(self) -> None:
        now = self.clock.timestamp()
        if not self._ending or 0 < self._next_try - now <= _RETRY_SECONDS:
            return
        for found in list(self._ending.values()):
            try:
                self._write(found.key, found.account, partial(_end, found))
            except StorageError as error:
                _log.warning("the end of a session of %r is not stored yet: %s", found.account, error.log)
                self._next_try = now + _RETRY_SECONDS
                return
            self._ending.pop(found.id, None)

    def _write(self, key: str, account: str, change: Callable[[dict[str, Session]], None]) -> None:
        def write(current: Item | None, at: datetime) -> bytes | None:
            now = self.clock.timestamp()
            before = current.record.sessions if current else {}
            sessions = {id: session for id, session in before.items() if session.is_alive(now)}
            change(sessions)
            return msgspec.json.encode(SessionsRecord(key, account, sessions)) if sessions else None

        self.store.write(SESSIONS, key, account, write)


def _end(found: _Token, sessions: dict[str, Session]) -> None:
    if found.is_signed:
        sessions[found.id] = msgspec.structs.replace(found.session, epoch=_ENDED)
    else:
        sessions.pop(found.id, None)


def _key_of(account: str) -> str:
    return hashlib.sha256(account.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _hash_of(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()[:32]
