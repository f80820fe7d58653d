"""Password hashes and secrets. No Flask in here."""

import hashlib
import hmac
import secrets
import threading
import unicodedata
from functools import cache

from werkzeug.security import check_password_hash, generate_password_hash

_SECRET = "sha256:"
#: A hash takes some 30 MB and a core, so of those who log in at once some wait; other requests have the rest.
_HASHING = threading.BoundedSemaphore(2)


def normalized(text: str) -> str:
    """Return the one spelling of a name or password, so that an accent typed on another keyboard is the same."""
    return unicodedata.normalize("NFC", text)


def hash_password(password: str) -> str:
    """Return a slow, salted hash of a password that a person chose."""
    with _HASHING:
        return generate_password_hash(normalized(password))


def hash_secret(secret: str) -> str:
    """Return a hash of a generated secret; it has 256 random bits, so a fast hash is enough."""
    return _SECRET + hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def generate_secret() -> str:
    """Return a new password or secret with 256 random bits, safe in a URL and a shell."""
    return secrets.token_urlsafe(32)


def secret_matches(stored: str, secret: str) -> bool:
    """Return True if the secret is the one of the hash; never for the hash of a password."""
    return hmac.compare_digest(stored.encode(), hash_secret(secret).encode())


def password_matches(stored: str | None, password: str) -> bool:
    """Return True if the password is the one of the hash; a no takes as long for any reason.

    ``stored`` is None where there is no account. The hash of a secret matches no password.
    """
    is_password = stored is not None and not stored.startswith(_SECRET)
    matches = _hash_matches(stored if stored is not None and is_password else _hash_of_nobody(), normalized(password))
    # HMAC, and so the hash, takes a password with NUL characters at its end for the one without them.
    return matches and is_password and "\0" not in password


@cache
def _hash_of_nobody() -> str:
    """Return the hash that is checked where there is no other one; made on first use, since that is slow."""
    return hash_password(generate_secret())


def _hash_matches(stored: str, password: str) -> bool:
    with _HASHING:
        try:
            return check_password_hash(stored, password)
        except ValueError:  # a file made by hand, with what is no hash
            return False
