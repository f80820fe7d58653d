"""The secrets of tokens: generated and hashed."""

import hashlib
import secrets

#: How the secret of a token begins; 64 hexadecimal digits come after it.
TOKEN_PREFIX = "dm_"
_HASH_PREFIX = "sha256:"


def hash_secret(secret: str) -> str:
    """Return the hash under which a generated secret is looked up.

    A slow hash protects what people choose: a thief of the hashes can try all likely passwords. A generated secret has
    256 random bits, of which nobody tries enough, however fast the hash. And what is fast is looked up anew with each
    request, so a revoked secret works nowhere.
    """
    return _HASH_PREFIX + hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def is_secret_hash(stored: str) -> bool:
    """Return True if a stored hash is of a generated secret, not of a password."""
    return stored.startswith(_HASH_PREFIX)


def generate_secret() -> str:
    """Return the secret of a new token: 256 random bits after a prefix that secret scanners know."""
    return TOKEN_PREFIX + secrets.token_hex(32)
