"""The key that signs the login cookie, made on the first start where none is set."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from ..errors import SettingError

SECRET_KEY_FILE = "secret_key"
MIN_SECRET_KEY = 16


def generated_secret_key(instance: Path) -> str:
    """Return the key in the instance folder; the first caller makes it, and all workers read the same one.

    Raises SettingError where it is damaged, or cannot be read or made.
    """
    path = instance / SECRET_KEY_FILE
    try:
        if not path.exists():
            _create(path)
        key = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        detail = f"The generated SECRET_KEY cannot be read or made in the instance folder: {error}"
        raise SettingError(detail) from error
    if len(key) < MIN_SECRET_KEY:
        raise SettingError("The file secret_key in the instance folder is too short for a SECRET_KEY; remove it.")
    return key


def _create(path: Path) -> None:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(secrets.token_hex(32))
            file.flush()
            os.fsync(file.fileno())
        # link() fails where the key is there already: two workers that start together end up with one key.
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
