"""Reading everything that a storage of JSON files has of a kind, and telling what is not right."""

import os

from ..errors import StorageError
from . import durable, entries


def verify(store, kind, folders):
    """Yield (what, sentence) for each finding; ``folders`` are those whose names are keys."""
    for folder in folders:
        yield from _strangers(folder)
    for key in store.keys(kind):
        try:
            store.read(kind, key)
            if kind.history:
                yield from _gaps(key, store.history(kind, key))
        except StorageError as error:
            yield key, error.log or error.detail


def _strangers(folder):
    """Files that are neither an item's nor a draft of one: put there by hand, under a name that is never looked for."""
    for name in sorted(os.listdir(folder)):
        plain = name if os.path.isfile(os.path.join(folder, name)) else name + entries.SUFFIX
        draft = name.startswith(".") and name.endswith(durable.DRAFT_SUFFIX)
        if not draft and entries.key_of(plain) is None:
            yield name, f"{os.path.basename(folder)}/{name} is not the name of an item, and is not served"


def _gaps(key, items):
    for newer, older in zip(items, items[1:]):
        if older.version != newer.version - 1:
            yield key, f"between the versions {older.version} and {newer.version} of {key} some are missing"
        if older.changed_at >= newer.changed_at:
            yield key, f"version {newer.version} of {key} is not later than version {older.version}"
