"""The setting STORAGE: checking its URL, and showing it without the password."""

import re

from marshmallow import ValidationError

FILES = "files:"
DATABASE = "postgresql+psycopg://"
_PASSWORD = re.compile(r"(?<=://)([^:/?@]*):.*@")
_PASSWORD_ARGUMENT = re.compile(r"((?:ssl)?password=)[^&]+", re.IGNORECASE)


def check_storage(text: str) -> None:
    """Raise ValidationError, which does not repeat the text with its password, unless the text names a storage."""
    if text != FILES and not text.startswith(DATABASE):
        raise ValidationError(f"It is neither {FILES} nor {DATABASE}USER@HOST:PORT/DATABASE.")


def without_password(url: str) -> str:
    """Return the URL with dots in place of a password."""
    return _PASSWORD_ARGUMENT.sub(r"\1...", _PASSWORD.sub(r"\1:...@", url))
