"""Passwords: generated, hashed and compared."""

import re
import secrets
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from werkzeug.security import check_password_hash, generate_password_hash

from ..errors import NoMemoryError

_HASH = re.compile(r"(scrypt(:\d+){3}|pbkdf2:sha\d+:\d+)\$[^$]+\$[0-9a-f]+")
#: A hash takes some 30 MB and a core, so of those who log in at once some wait; other requests have the rest.
_HASHING = threading.BoundedSemaphore(2)


def normalize(text: str) -> str:
    """Return a name or password in Unicode's form NFC, so that an accent is the same from every keyboard."""
    return unicodedata.normalize("NFC", text)


def hash_password(password: str, method: str) -> str:
    """Return a slow, salted hash of a password that a person chose; ``method`` is as werkzeug writes it.

    Raises NoMemoryError.
    """
    with _hashing():
        return generate_password_hash(normalize(password), method)


def is_hashed_by(stored: str, method: str) -> bool:
    """Return True if a stored hash was made by this method."""
    return stored.startswith(f"{method}$")


def generate_password() -> str:
    """Return a new password with 256 random bits, safe in a URL and a shell."""
    return secrets.token_urlsafe(32)


def password_matches(stored: str, password: str, method: str) -> bool:
    """Return True if the password is that of the stored hash; False takes the same time for every reason.

    ``stored`` is empty where there is no account, or one without a password. ``method`` is that of new hashes, by which
    the time is taken where there is none to check. Raises NoMemoryError.
    """
    is_hash = _HASH.fullmatch(stored) is not None  # a file made by hand may have something else
    checked = stored if is_hash else _dummy_hash(method)
    with _hashing():
        matches = check_password_hash(checked, normalize(password))
    # HMAC, and so the hash, takes a password with NUL characters at its end for the one without them.
    return matches and is_hash and "\0" not in password


@contextmanager
def _hashing() -> Iterator[None]:
    """Compute a hash in turn with others; raises NoMemoryError where OpenSSL raises ValueError for want of memory."""
    with _HASHING:
        try:
            yield
        except ValueError as error:
            raise NoMemoryError(log=f"password hash: {error}") from error


@cache
def _dummy_hash(method: str) -> str:
    """Return a hash to check where none is stored; made on first use, since hashing is slow."""
    return hash_password(generate_password(), method)
