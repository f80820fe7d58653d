"""From the credentials in a request's headers to the account, without hashing a password on every request.

No Flask in here. A header that was found right is remembered for a short while under a keyed hash, together with the
stamp of the account at that time: once the account is changed, by any worker, the header is checked anew.
"""

import base64
import binascii
import logging
import secrets
import time
from hashlib import blake2b
from typing import NamedTuple

from ..errors import DamagedItem, Unauthorized
from ..schemas import MAX_BYTES
from .passwords import normalized, password_matches
from .service import ACCOUNTS, Account

_log = logging.getLogger(__name__)
_REMEMBERED = 4096


class _Verified(NamedTuple):
    account: Account
    stamp: object
    until: float


class Credentials:
    """Checks ``Authorization`` (Basic, Bearer) and ``SessionToken``."""

    def __init__(self, accounts, sessions, throttle, remember_seconds):
        self.accounts = accounts
        self.sessions = sessions
        self.throttle = throttle
        self.remember_seconds = remember_seconds
        self._key = secrets.token_bytes(32)
        self._verified = {}

    def account_of(self, authorization, session_token, address):
        """The Account that the headers (None where one is missing) speak for.

        Raises Unauthorized when either is wrong, broken or expired or they name different accounts, and
        TooManyAttempts after too many of those from ``address``.
        """
        account = None
        if authorization is not None:
            account = self._from_authorization(authorization, address)
        if session_token is not None:
            other = self._from_session_token(session_token, address)
            if account is not None and account.name != other.name:
                raise Unauthorized("The Authorization and SessionToken headers belong to different accounts.")
            account = account or other
        return account

    def check_password(self, name, password, address):
        """The Account of a name and password; raises as ``account_of`` does."""
        name = normalized(name)
        self.throttle.check(name, address)
        record = self._record(name)
        if not password_matches(record, password) or not record.enabled:
            self.throttle.failed(name, address)
            raise Unauthorized("The name or the password is wrong, or the account is disabled.")
        self.throttle.check(name, address)
        self.throttle.succeeded(name, address)
        return Account(record)

    def _from_authorization(self, header, address):
        digest = blake2b(header.encode("latin-1", "replace"), key=self._key, digest_size=16).digest()
        known = self._verified.get(digest)
        if known is not None and known.until > time.monotonic():
            if self.accounts.store.read(ACCOUNTS, known.account.name) == known.stamp:
                return known.account
        return self._verify(digest, header, address)

    def _verify(self, digest, header, address):
        self._verified.pop(digest, None)
        account = self._check(header, address)
        stamp = self.accounts.store.read(ACCOUNTS, account.name)
        # What was checked must be what was stamped: a change in between is a change of the epoch.
        record = self.accounts.find(account.name)
        if record is not None and record.enabled and record.epoch == account.epoch:
            if len(self._verified) >= _REMEMBERED:
                self._verified.clear()
            self._verified[digest] = _Verified(account, stamp, time.monotonic() + self.remember_seconds)
        return account

    def _check(self, header, address):
        scheme, _, rest = header.partition(" ")
        if scheme.lower() == "basic":
            name, password = _decode_basic(rest)
            return self.check_password(name, password, address)
        if scheme.lower() == "bearer":
            return self._from_bearer(rest.strip(), address)
        raise Unauthorized("The Authorization header is neither Basic nor Bearer.")

    def _from_bearer(self, secret, address):
        self.throttle.check(None, address)
        record = self.accounts.find_by_secret(secret)
        if record is None:
            self.throttle.failed(None, address)
            raise Unauthorized("The bearer secret is not that of an enabled WebUI application.")
        return Account(record)

    def _from_session_token(self, token, address):
        account = self.sessions.resume(token)
        if account is None:
            # Not counted: nobody guesses 256 random bits, and clients often send an expired token.
            raise Unauthorized("The session is over or was never begun; log in again.")
        return account

    def _record(self, name):
        try:
            return self.accounts.find(name) if 0 < len(name.encode()) <= MAX_BYTES else None
        except DamagedItem as error:
            # Whoever asks learns no more than of a name that is not there.
            _log.error("an account cannot be read: %s", error.log)
            return None


def _decode_basic(text):
    """(name, password) of Basic credentials: UTF-8, or Latin-1 as python-requests sends it."""
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
