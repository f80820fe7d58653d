"""Tokens: credentials of an account for programs, which may have an end and fewer rights.

They are stored in the account's record, so that one write makes or revokes them on every worker, and none outlives its
account. When a token was last used is another item, which is written at most once a minute and never synced.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime
from typing import Any

import msgspec

from ..clock import Clock
from ..errors import AccountError, Forbidden, NotFound, StorageError
from ..storage import Collection, Item, Record, Storage
from .records import Access, Account, AccountRecord, Role, Token
from .service import Accounts
from .token_secrets import generate_secret, hash_secret

MAX_TOKENS = 20
_NOTED_SECONDS = 60
_NOTED = 4096
_DAY = 86400


class UsesRecord(Record, frozen=True):
    """When the tokens of an account were last used, in seconds since 1970, by their hash."""

    account: str
    used: dict[str, float]


USES = Collection("token-uses", UsesRecord, durable=False)


class Tokens:
    """Finds, makes, changes and revokes the tokens of a storage's accounts."""

    def __init__(self, store: Storage, clock: Clock, accounts: Accounts) -> None:
        self.store = store
        self.clock = clock
        self.accounts = accounts
        self._noted: dict[str, float] = {}

    def find_for(self, account: Account, id: int) -> tuple[AccountRecord, Token]:
        """Return (AccountRecord, Token) for the id of a token that this Account may manage; else raises NotFound.

        Each account manages its own tokens, and master operators those of all. With a token as credential an account
        manages its own only, and with one that is limited only that one.
        """
        credential = account.token
        for record in self.accounts.list():
            if record.name == account.name or credential is None and account.role is Role.MASTER_OPERATOR:
                for token in record.tokens:
                    if token.id == id and (credential is None or not credential.is_limited or token == credential):
                        return record, token
        raise _no_such_token()

    def add_for(self, account: Account, user: str, name: str, **details: Any) -> tuple[AccountRecord, Token, str]:
        """Make a token for the Account itself, or for the program ``user`` if it is a master operator; else Forbidden.

        Return the token's account, the Token and its secret. ``details`` are those of ``add``, which also says what is
        raised.
        """
        if account.token is not None and account.token.is_limited:
            raise Forbidden("A limited token cannot make other tokens.", code="token-limited")
        record = account.record
        if user and user != account.name:
            if account.role is not Role.MASTER_OPERATOR:
                raise Forbidden("Only an account itself makes its tokens; those of a program, master operators too.")
            record = self.accounts.get(user)
            if not record.role.is_program:
                raise Forbidden("Only that person can make a token for this account.")
        return record, *self.add(record.name, name, account.name, maker=account.token, **details)

    def add(
        self,
        account: str,
        name: str,
        author: str,
        *,
        duration: int,
        access: Access = Access.FULL,
        tags: Iterable[str] = (),
        maker: Token | None = None,
    ) -> tuple[Token, str]:
        """Add a token that lives ``duration`` days, or for ever if that is 0; return the Token and its secret.

        One that is made with the token ``maker`` ends no later than that. A token that is over goes if it has the same
        name or there is no room; others stay, since it may be the clock that is wrong. Raises AccountError for a name
        that is taken, and where the account has MAX_TOKENS.
        """
        secret, now = generate_secret(), self.clock.timestamp()
        ends = [end for end in (self._expiry_of(duration), maker.expires if maker else 0.0) if end]
        token = Token(name, hash_secret(secret), min(ends, default=0.0), access, tuple(tags))

        def fields(record: AccountRecord) -> dict[str, Any]:
            alive = tuple(other for other in record.tokens if other.is_alive(now))
            _check_name(alive, name)
            if len(alive) >= MAX_TOKENS:
                raise AccountError(f"{account} has {MAX_TOKENS} tokens already; revoke one.", code="too-many-tokens")
            others = [other for other in record.tokens if other in alive or other.name != name]
            if len(others) >= MAX_TOKENS:
                others.remove(min((other for other in others if other not in alive), key=lambda other: other.expires))
            return {"tokens": (*others, token)}

        self.accounts.change(account, author, fields)
        return token, secret

    def change(
        self,
        account: str,
        id: int,
        author: str,
        check: Callable[[Token], None],
        *,
        name: str | None,
        duration: int | None,
    ) -> Token:
        """Change the name of a token, or its end to ``duration`` days from now; None leaves it as it is.

        Raises NotFound, and what ``check`` raises, which is called with the token while nobody else can change it.
        """

        def fields(record: AccountRecord) -> dict[str, Any]:
            check(token := token_in(record, id))
            _check_name(tuple(other for other in record.tokens if other.id != id), name)
            end = token.expires if duration is None else self._expiry_of(duration)
            changed = msgspec.structs.replace(token, name=name or token.name, expires=end)
            return {"tokens": tuple(changed if other.id == id else other for other in record.tokens)}

        return token_in(self.accounts.change(account, author, fields), id)

    def revoke(self, account: str, id: int, author: str, check: Callable[[Token], None] = lambda token: None) -> None:
        """Remove a token, and end the sessions that began with it. Raises as ``change`` does."""

        def fields(record: AccountRecord) -> dict[str, Any]:
            check(token_in(record, id))
            return {"tokens": tuple(token for token in record.tokens if token.id != id)}

        self.accounts.change(account, author, fields)

    def uses(self, account: str) -> dict[str, float]:
        """Return when the tokens of an account were last used, in seconds since 1970 and to the minute, by hash."""
        with suppress(StorageError):
            if item := self.store.read(USES, account):
                times: dict[str, float] = item.record.used
                return times
        return {}

    def note_use(self, account: Account) -> None:
        """Store that the account's token is used now, unless that was done within the last minute."""
        token, now = account.token, self.clock.timestamp()
        if token is None or 0 <= now - self._noted.get(token.hash, -_NOTED_SECONDS) < _NOTED_SECONDS:
            return
        if len(self._noted) >= _NOTED:
            self._noted.clear()
        self._noted[token.hash] = now
        hashes = {other.hash for other in account.record.tokens}

        def change(current: Item | None, at: datetime) -> bytes:
            before = current.record.used if current else {}
            times = {hash: time for hash, time in before.items() if hash in hashes}
            return msgspec.json.encode(UsesRecord(account.name, {**times, token.hash: now}))

        with suppress(StorageError):  # nobody is refused for that
            self.store.write(USES, account.name, "server", change)

    def _expiry_of(self, duration: int) -> float:
        return self.clock.timestamp() + duration * _DAY if duration else 0.0


def token_in(record: AccountRecord, id: int | None = None, *, name: str | None = None) -> Token:
    """Return the Token with this id, or this name, of an account; raises NotFound."""
    for token in record.tokens:
        if id in (None, token.id) and name in (None, token.name):
            return token
    raise _no_such_token()


def _no_such_token() -> NotFound:
    """Return the NotFound for a token that does not exist, or that is somebody else's."""
    return NotFound("There is no such token.", code="no-such-token")


def _check_name(tokens: tuple[Token, ...], name: str | None) -> None:
    if any(token.name == name for token in tokens):
        raise AccountError(f"There is a token {name} already.", code="token-exists")
