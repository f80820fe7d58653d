"""Keys as names of files and folders."""

import re
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import unquote

_SAFE = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_.")
_SAFE_NAME = re.compile("[a-z0-9_-][a-z0-9_.-]*")


def name_of(key: str) -> str:
    """Return the file name of a key: percent-encoded, capitals too, for file systems that ignore case."""
    return key if _SAFE_NAME.fullmatch(key) else _encode_name(key)


@lru_cache(maxsize=4096)
def _encode_name(key: str) -> str:
    safe = "".join(char if char in _SAFE else "".join(f"%{byte:02X}" for byte in char.encode()) for char in key)
    return f"%2E{safe[1:]}" if safe.startswith(".") else safe


def key_of(name: str) -> str | None:
    """Return the key of a file name, or None for a name that no key has."""
    if _SAFE_NAME.fullmatch(name):
        return name
    try:
        key = unquote(name, errors="strict")
        return key if name and name_of(key) == name else None
    except UnicodeError:
        return None


def keys_of(names: Iterable[str]) -> set[str]:
    """Return the keys of some file names, without those that no key has."""
    return {key for name in names if (key := key_of(name)) is not None}
