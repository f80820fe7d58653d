"""From the credentials in a request's headers to the account, without hashing a password on every request.

A header that was found right is remembered for a short while after its last use, under a keyed hash
and together with the account's record: once the account is changed, by any worker, the header is checked anew.
"""

import base64
import binascii
import math
import secrets
import threading
import time
from hashlib import blake2b
from typing import Any

import msgspec

from ..errors import Unauthorized
from .passwords import normalize, password_matches
from .records import Account, AccountRecord
from .service import Accounts
from .sessions import Sessions
from .throttle import Throttle
from .tokens import Tokens

_REMEMBERED = 4096


class _Verified(msgspec.Struct):
    account: Account
    until: float


class Authenticator:
    """Checks ``Authorization`` (Basic, Bearer) and ``SessionToken``."""

    def __init__(
        self, accounts: Accounts, sessions: Sessions, tokens: Tokens, throttle: Throttle, remember_seconds: float
    ) -> None:
        self.accounts = accounts
        self.sessions = sessions
        self.tokens = tokens
        self.clock = sessions.clock
        self.throttle = throttle
        self.remember_seconds = remember_seconds
        self._key = secrets.token_bytes(32)
        # By header: what needs no hash for a while. By name and password: what was right lately and needs no throttle.
        self._verified: dict[bytes, _Verified] = {}
        self._right: dict[bytes, AccountRecord] = {}
        self._being_checked: dict[bytes, threading.Lock] = {}

    def account_of(self, authorization: str | None, session_token: str | None, address: str) -> Account | None:
        """Check the credentials in two headers and return their Account; None if both headers are missing (None).

        Raises Unauthorized when either is wrong, broken or expired or when they name different accounts, and
        TooManyAttemptsError after too many wrong ones from ``address``.
        """
        account = None
        if authorization is not None:
            account = self._check_authorization(authorization, address)
        if session_token is not None:
            other = self.sessions.resume(session_token)
            if other is None:
                # Not counted: nobody guesses 160 random bits, and clients often send an expired token.
                raise Unauthorized("The session has ended or is unknown; log in again.")
            if account is not None and account.name != other.name:
                raise Unauthorized("The Authorization and SessionToken headers belong to different accounts.")
            account = account or other
        return account

    def find_remembered(self, authorization: str) -> Account | None:
        """Return the Account of a bearer token, or of a header that was right lately; None if it must be checked."""
        if authorization[:7].lower() == "bearer ":
            return self._account_of_token(None, authorization[7:].strip())
        return self._remembered(self._digest(authorization))

    def check_password(self, name: str, password: str, address: str) -> Account:
        """Check a name and password, and return the Account. Raises as ``account_of`` does.

        A password that was right lately, of an account that did not change since, is not slowed down by guessers.
        """
        name = normalize(name)
        record = self.accounts.find(name)
        digest = self._digest(f"{name}\0{password}")
        was_right = record is not None and self._right.get(digest) == record
        if not was_right:
            self.throttle.check(name, address)
        is_right = password_matches(record.password if record else "", password, self.accounts.password_hash)
        if record is None or not record.enabled or not is_right:
            self.throttle.count_failure(name, address)
            raise Unauthorized("The name or the password is wrong, or the account is disabled.")
        if not was_right:
            self.throttle.check(name, address)
        record = self.accounts.rehash(record, password)
        if self.accounts.find(name) != record:  # it was changed while the password was checked
            return self.check_password(name, password, address)
        _remember(self._right, digest, record)
        self.throttle.count_success(name, address)
        return Account(record, proved_at=math.inf)

    def log_in(self, name: str, secret: str, address: str) -> Account:
        """Check a login form's name and password, or a program's name and token. Raises as ``account_of`` does."""
        record = self.accounts.find(normalize(name))
        if record is not None and record.role.is_program:
            return self._account_of_token(name, secret) or self.check_password(name, secret, address)
        return self.check_password(name, secret, address)

    def _account_of_token(self, name: str | None, secret: str) -> Account | None:
        """Return the Account whose token has this secret, or None; with ``name`` it must be that account's token.

        Nothing slows this down, and it is not remembered: nobody guesses 256 random bits, and to look them up is as
        quick as to remember.
        """
        if name is None:
            record, token = self.accounts.find_by_secret(secret) or (None, None)
        else:
            record = self.accounts.find(normalize(name))
            token = record.token_of(secret) if record else None
        if record is None or token is None or not record.enabled or not token.is_alive(self.clock.timestamp()):
            return None
        account = Account(record, token=token)
        self.tokens.note_use(account)
        return account

    def _check_authorization(self, header: str, address: str) -> Account:
        account = self.find_remembered(header)
        if account is not None:
            return account
        scheme, _, rest = header.partition(" ")
        if scheme.lower() == "bearer":
            self.throttle.count_wrong_secret(rest.strip(), address)
            raise Unauthorized("The bearer token is unknown or has expired, or its account is disabled.")
        if scheme.lower() != "basic":
            raise Unauthorized("The Authorization header is neither Basic nor Bearer.")
        digest = self._digest(header)
        # One thread hashes; those with the same header wait for what it finds.
        with self._being_checked.setdefault(digest, threading.Lock()):
            try:
                account = self._remembered(digest)
                if account is None:
                    name, password = _decode_basic(rest)
                    if by_token := self._account_of_token(name, password):
                        return by_token
                    account = self.check_password(name, password, address)
                    _remember(self._verified, digest, _Verified(account, time.monotonic() + self.remember_seconds))
                return account
            finally:
                self._being_checked.pop(digest, None)

    def _remembered(self, digest: bytes) -> Account | None:
        """Return the Account of a header that was right not long ago, and remember it for longer; else None."""
        entry = self._verified.get(digest)
        now = time.monotonic()
        if entry is None or entry.until <= now or self.accounts.find(entry.account.name) != entry.account.record:
            return None
        entry.until = now + self.remember_seconds
        return entry.account

    def _digest(self, text: str) -> bytes:
        return blake2b(text.encode("utf-8", "surrogatepass"), key=self._key, digest_size=16).digest()


def _remember(memory: dict[bytes, Any], digest: bytes, value: object) -> None:
    if len(memory) >= _REMEMBERED:
        memory.clear()
    memory[digest] = value


def _decode_basic(text: str) -> tuple[str, str]:
    """Return name and password of Basic credentials, in UTF-8 or, as python-requests sends them, in Latin-1."""
    try:
        raw = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise Unauthorized("The Basic credentials are not base64.") from None
    name, colon, password = raw.partition(b":")
    if not colon:
        raise Unauthorized("The Basic credentials have no colon.")
    try:
        return name.decode(), password.decode()
    except UnicodeDecodeError:
        return name.decode("latin-1"), password.decode("latin-1")
