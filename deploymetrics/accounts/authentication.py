"""From the credentials in a request's headers to the account, without hashing a password on every request.

No Flask in here. A header that was found right is remembered for a short while after its last use, under a keyed hash
and together with the account's record: once the account is changed, by any worker, the header is checked anew.
"""

import base64
import binascii
import secrets
import threading
import time
from hashlib import blake2b
from typing import Any

import msgspec

from ..errors import Unauthorized
from .passwords import normalized, password_matches
from .service import Account, AccountRecord, Accounts
from .sessions import Sessions
from .throttle import Throttle

_REMEMBERED = 4096


class _Verified(msgspec.Struct):
    account: Account
    until: float


class Credentials:
    """Checks ``Authorization`` (Basic, Bearer) and ``SessionToken``."""

    def __init__(self, accounts: Accounts, sessions: Sessions, throttle: Throttle, remember_seconds: float) -> None:
        self.accounts = accounts
        self.sessions = sessions
        self.throttle = throttle
        self.remember_seconds = remember_seconds
        self._key = secrets.token_bytes(32)
        # By header: what needs no hash for a while. By name and password: what was right lately and needs no throttle.
        self._verified: dict[bytes, _Verified] = {}
        self._right: dict[bytes, AccountRecord] = {}
        self._being_checked: dict[bytes, threading.Lock] = {}

    def account_of(self, authorization: str | None, session_token: str | None, address: str) -> Account | None:
        """Return the Account that the headers (None where one is missing) speak for.

        Raises Unauthorized when either is wrong, broken or expired or they name different accounts, and
        TooManyAttempts after too many of those from ``address``.
        """
        account = None
        if authorization is not None:
            account = self._from_authorization(authorization, address)
        if session_token is not None:
            other = self._from_session_token(session_token)
            if account is not None and account.name != other.name:
                raise Unauthorized("The Authorization and SessionToken headers belong to different accounts.")
            account = account or other
        return account

    def remembered(self, authorization: str) -> Account | None:
        """Return the Account of an Authorization header that was right not long ago; None where it is to be checked."""
        return self._remembered(self._digest(authorization))

    def check_password(self, name: str, password: str, address: str) -> Account:
        """Return the Account of a name and password; raises as ``account_of`` does.

        What was right lately, and is of an account that did not change since, does not wait for who guesses.
        """
        name = normalized(name)
        record = self.accounts.find(name)
        if record is not None and record.has_secret(password):
            return Account(record)  # nobody guesses 256 random bits, so nothing slows this down
        digest = self._digest(f"{name}\0{password}")
        was_right = record is not None and self._right.get(digest) == record
        if not was_right:
            self.throttle.check(name, address)
        is_right = password_matches(record.password if record else None, password, self.accounts.password_hash)
        if record is None or not record.enabled or not is_right:
            self.throttle.failed(name, address)
            raise Unauthorized("The name or the password is wrong, or the account is disabled.")
        if not was_right:
            self.throttle.check(name, address)
        if self.accounts.find(name) != record:  # it was changed while the password was checked
            return self.check_password(name, password, address)
        record = self.accounts.rehashed(record, password)
        _remember(self._right, digest, record)
        self.throttle.succeeded(name, address)
        return Account(record)

    def _from_authorization(self, header: str, address: str) -> Account:
        digest = self._digest(header)
        account = self._remembered(digest)
        if account is not None:
            return account
        # One thread hashes; those with the same header wait for what it finds.
        with self._being_checked.setdefault(digest, threading.Lock()):
            try:
                account = self._remembered(digest)
                if account is None:
                    account = self._check(header, address)
                    _remember(self._verified, digest, _Verified(account, time.monotonic() + self.remember_seconds))
                return account
            finally:
                self._being_checked.pop(digest, None)

    def _remembered(self, digest: bytes) -> Account | None:
        """Return the Account of a header that was right not long ago; its time begins anew."""
        known = self._verified.get(digest)
        now = time.monotonic()
        if known is None or known.until <= now or self.accounts.find(known.account.name) != known.account.record:
            return None
        known.until = now + self.remember_seconds
        return known.account

    def _check(self, header: str, address: str) -> Account:
        scheme, _, rest = header.partition(" ")
        if scheme.lower() == "basic":
            name, password = _decode_basic(rest)
            return self.check_password(name, password, address)
        if scheme.lower() == "bearer":
            return self._from_bearer(rest.strip(), address)
        raise Unauthorized("The Authorization header is neither Basic nor Bearer.")

    def _from_bearer(self, secret: str, address: str) -> Account:
        record = self.accounts.find_by_secret(secret)
        if record is None:
            self.throttle.failed_secret(secret, address)
            raise Unauthorized("The bearer secret is not that of an enabled program.")
        return Account(record)

    def _from_session_token(self, token: str) -> Account:
        account = self.sessions.resume(token)
        if account is None:
            # Not counted: nobody guesses 160 random bits, and clients often send an expired token.
            raise Unauthorized("The session is over or was never begun; log in again.")
        return account

    def _digest(self, text: str) -> bytes:
        return blake2b(text.encode("utf-8", "surrogatepass"), key=self._key, digest_size=16).digest()


def _remember(memory: dict[bytes, Any], digest: bytes, value: object) -> None:
    if len(memory) >= _REMEMBERED:
        memory.clear()
    memory[digest] = value


def _decode_basic(text: str) -> tuple[str, str]:
    """Return name and password of Basic credentials: UTF-8, or Latin-1 as python-requests sends it."""
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
