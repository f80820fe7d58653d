"""Password hashes of one round: their slowness is not what most tests are about."""

from werkzeug.security import generate_password_hash

from deploymetrics.accounts import passwords, service


def hash_quickly(set_attribute=setattr):
    """Hash with one round from now on; ``set_attribute`` is that of monkeypatch where it is not for good."""
    set_attribute(passwords, "generate_password_hash", lambda password, method=None: _hash(password))
    set_attribute(service, "is_hashed_by", lambda stored, method: True)


def _hash(password):
    return generate_password_hash(password, "pbkdf2:sha256:1")
