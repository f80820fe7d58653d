"""Password hashes and secrets. No Flask in here."""

import hashlib
import hmac
import secrets
import unicodedata

from werkzeug.security import check_password_hash, generate_password_hash

_SECRET = "sha256:"


def normalized(text):
    """One spelling for names and passwords, so that an accent typed on another keyboard is the same."""
    return unicodedata.normalize("NFC", text)


def hash_password(password):
    """A slow, salted hash of a password that a person chose."""
    return generate_password_hash(normalized(password))


def hash_secret(secret):
    """A hash of a generated secret; it has 256 random bits, so a fast hash is enough."""
    return _SECRET + hashlib.sha256(secret.encode()).hexdigest()


def generate_secret():
    """A new password or secret with 256 random bits, safe in a URL and a shell."""
    return secrets.token_urlsafe(32)


_NOBODY = hash_password(generate_secret())


def password_matches(record, password):
    """Whether the password is that of the account (None: there is none); a no takes as long for any reason."""
    stored = record.password if record else _NOBODY
    if stored.startswith(_SECRET):
        if hmac.compare_digest(stored, hash_secret(password)):
            return True
        check_password_hash(_NOBODY, password)
        return False
    # HMAC, and so the hash, takes a password with NUL characters at its end for the one without them.
    return _hash_matches(stored, normalized(password)) and "\0" not in password and record is not None


def _hash_matches(stored, password):
    try:
        return check_password_hash(stored, password)
    except ValueError:  # a file made by hand, with what is no hash
        return False
