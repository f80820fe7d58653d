"""Password hashes of one round: their slowness is not what most tests are about."""

from werkzeug.security import generate_password_hash

from deploymetrics.accounts import passwords, service


def hash_quickly():
    """Hash with one round from now on."""
    passwords.generate_password_hash = lambda password, method=None: generate_password_hash(password, "pbkdf2:sha256:1")
    service.is_hashed_by = lambda stored, method: True
