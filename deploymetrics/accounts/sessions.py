"""Sessions: the tokens of ``/api/login`` and of the browser's login cookie.

The sessions of an account are one item in the storage, so that all workers know them, they end everywhere at once, and
there are never too many. The storage has only hashes of the tokens. A use renews a session, but is written down only
after a tenth of the lifetime.

While the storage takes nothing, as on a full or read-only disk, people log in all the same: their token is a signed
one, which holds what would have been stored and lives for a fixed time.
"""

import hashlib
import logging
import re
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple

import msgspec
from itsdangerous import BadData, URLSafeSerializer

from ..clock import SKEW_SECONDS, Clock, lies_ahead
from ..errors import NotFound, StorageError
from ..storage import Item, Storage
from .expiry import Sweeper
from .records import SESSIONS, Account, AccountRecord, Session, SessionsRecord
from .service import Accounts

#: An account's sessions; of more, those that end first end at once.
MAX_SESSIONS = 500
_RENEW_AFTER = 0.1
_RETRY_SECONDS = 5
_SHOWN = 160
_ENDED = ""  # the epoch of no account

_log = logging.getLogger(__name__)


_STORED_TOKEN = re.compile(r"([0-9a-f]{16})[\w-]{27}", re.ASCII)


class _Entry(NamedTuple):
    """A Session with its id and the name of its account; ``is_signed`` if its token is a signed one, not stored."""

    id: str
    account: str
    session: Session
    is_signed: bool


class Sessions:
    """The sessions of a storage. None lives longer than ``limit`` seconds, however often it is used.

    ``secret_keys`` sign what the storage does not take: the last one, and the others are those of before. For
    ``proof_seconds`` a session shows that the password was checked.
    """

    def __init__(
        self,
        store: Storage,
        clock: Clock,
        accounts: Accounts,
        *,
        secret_keys: Sequence[str],
        limit: int,
        proof_seconds: int,
    ) -> None:
        self.store = store
        self.clock = clock
        self.accounts = accounts
        self.limit = limit
        self.proof_seconds = proof_seconds
        self._signer = URLSafeSerializer(secret_keys, salt="session")
        self._sweeper = Sweeper(store, clock, SESSIONS)
        self._ending: dict[str, _Entry] = {}  # ended, and the storage did not take it yet
        self._next_try = 0.0

    def start(self, account: Account, lifetime: int, address: str = "", agent: str = "") -> str:
        """Start a session of the Account that lives ``lifetime`` seconds after its last use; return its token.

        The session may do what the credential in the Account may, and ends with that. ``address`` and the User-Agent
        are those of the client, by which its owner may recognise it.
        """
        self._sweeper.sweep()
        self._store_endings()
        now = self.clock.timestamp()
        session = Session(
            account.epoch,
            lifetime,
            expires=now + min(lifetime, self.limit),
            latest=now + self.limit,
            began=now,
            proved_at=min(account.proved_at, now),
            token=account.token.id if account.token else 0,
            address=address[:_SHOWN],
            agent=agent[:_SHOWN],
        )
        token = _account_key(account.name) + secrets.token_urlsafe(20)

        def add(sessions: dict[str, Session]) -> None:
            while len(sessions) >= MAX_SESSIONS:
                del sessions[min(sessions, key=lambda id: sessions[id].expires)]
            sessions[id_of(token)] = session

        try:
            self._write(account.name, add)
        except StorageError as error:
            _log.warning("a session of %r is not stored, so its token is a signed one: %s", account.name, error.log)
            return str(self._signer.dumps([account.name, *msgspec.structs.astuple(session), secrets.token_hex(8)]))
        return token

    def resume(self, token: str) -> Account | None:
        """Return the Account of a token's session, and renew the session; None if it is over or unknown."""
        self._store_endings()
        entry, now = self._find(token), self.clock.timestamp()
        if entry is None or not entry.session.is_alive(now):
            return None
        record = self.accounts.find(entry.account)
        if record is None or not record.enabled or record.epoch != entry.session.epoch:
            return None
        used_token = next((other for other in record.tokens if other.id == entry.session.token), None)
        if entry.session.token and not (used_token and used_token.is_alive(now)):
            return None
        if not entry.is_signed:
            self._renew(entry)
        is_proved = -SKEW_SECONDS <= now - entry.session.proved_at <= self.proof_seconds
        proved_at = entry.session.proved_at if is_proved else 0.0
        return Account(record, session_id=token, token=used_token, proved_at=proved_at)

    def list(self, account: Account | AccountRecord) -> list[tuple[str, Session]]:
        """Return (id, Session) of an account's current sessions, the one that was used last first.

        Sessions with a signed token are not among them; ``Accounts.end_sessions`` ends those too.
        """
        record, now = self._read(_account_key(account.name)), self.clock.timestamp()
        alive = [
            (id, session)
            for id, session in (record.sessions if record else {}).items()
            if session.is_alive(now) and session.epoch == account.epoch
        ]
        return sorted(alive, key=lambda pair: pair[1].used_at, reverse=True)

    def end_listed(self, account: str, id: str) -> None:
        """End a session of an account, on every worker; ``id`` is that of ``list``. Raises NotFound."""

        def end(sessions: dict[str, Session]) -> None:
            if sessions.pop(id, None) is None:
                raise NotFound("There is no such session, or it has ended.", code="no-such-session")

        self._write(account, end)

    def end(self, token: str) -> None:
        """End a session, on every worker.

        Where the storage takes nothing it is over on this worker, and on the others once the storage takes it.
        """
        entry = self._find(token)
        if entry is not None:
            self._ending[entry.id] = entry
            self._next_try = 0.0
            self._store_endings()

    def _find(self, token: str) -> _Entry | None:
        """Return the session of a token, expired or not; None for a token that is unknown or was ended."""
        id = id_of(token)
        if id in self._ending:
            return None
        if match := _STORED_TOKEN.fullmatch(token):
            record = self._read(match[1])
            session = record.sessions.get(id) if record else None
            return _Entry(id, record.account, session, False) if record and session else None
        try:
            account, *fields, _ = self._signer.loads(token)
        except BadData:
            return None
        record = self._read(_account_key(account))
        was_ended = record is not None and id in record.sessions
        return None if was_ended else _Entry(id, account, Session(*fields), True)

    def _read(self, key: str) -> SessionsRecord | None:
        item = self.store.read(SESSIONS, key)
        if item is None:
            # Where the whole folder is gone, nobody is to be told that the session is over.
            self.store.check()
            return None
        record: SessionsRecord = item.record
        return record

    def _renew(self, entry: _Entry) -> None:
        session = entry.session
        expires = min(self.clock.timestamp() + session.lifetime, session.latest)
        if expires - session.expires < session.lifetime * _RENEW_AFTER:
            return
        renewed = msgspec.structs.replace(session, expires=expires)

        def change(sessions: dict[str, Session]) -> None:
            if entry.id in sessions:  # one that was ended in the meantime stays so
                sessions[entry.id] = renewed

        with suppress(StorageError):  # a disk that is full does not end a session before its time
            self._write(entry.account, change)

    def _store_endings(self) -> None:
        now = self.clock.timestamp()
        if not self._ending or lies_ahead(self._next_try, now, _RETRY_SECONDS):
            return
        for entry in list(self._ending.values()):

            def end(sessions: dict[str, Session]) -> None:
                if entry.is_signed:
                    sessions[entry.id] = msgspec.structs.replace(entry.session, epoch=_ENDED)
                else:
                    sessions.pop(entry.id, None)

            try:
                self._write(entry.account, end)
            except StorageError as error:
                _log.warning("the end of a session of %r is not stored yet: %s", entry.account, error.log)
                self._next_try = now + _RETRY_SECONDS
                return
            self._ending.pop(entry.id, None)

    def _write(self, account: str, change: Callable[[dict[str, Session]], None]) -> None:
        key = _account_key(account)

        def write(current: Item | None, at: datetime) -> bytes | None:
            now = self.clock.timestamp()
            before = current.record.sessions if current else {}
            sessions = {id: session for id, session in before.items() if session.is_alive(now)}
            change(sessions)
            return msgspec.json.encode(SessionsRecord(key, account, sessions)) if sessions else None

        self.store.write(SESSIONS, key, account, write)


def _account_key(account: str) -> str:
    """Return the key of the item with an account's sessions."""
    # Were two accounts to share a key, the epochs would still tell their sessions apart.
    return hashlib.sha256(account.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def id_of(token: str) -> str:
    """Return the id of a session, a hash of its token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()[:32]
