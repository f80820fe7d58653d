"""A file with the current value of each key, for people and other programs; nothing is answered from it.

A copy is written after its version counts, in place and without a sync: putting a new file there costs fifty times as
much, more than the version itself. So whoever reads one at that very moment may see half of it, and a crash may leave
one that is old or torn. The next write of the key writes it again, and so does ``deploymetrics verify --repair``.
"""

import logging
import os
from contextlib import suppress

from .. import Collection, Item
from . import disk, lines

SUFFIX = ".json"
_log = logging.getLogger(__name__)


def path_of(root: str, collection: Collection, key: str) -> str:
    """Return the file of a key's copy."""
    return f"{root}/{collection.name}/{lines.name_of(key)}{SUFFIX}"


def key_of(name: str) -> str | None:
    """Return the key whose copy has this name, or None."""
    return lines.key_of(name.removesuffix(SUFFIX)) if name.endswith(SUFFIX) else None


def update(root: str, collection: Collection, item: Item) -> None:
    """Make the copy that of ``item``, or remove it for a deletion. The caller holds the key's lock.

    What cannot be done is logged: the version itself is stored.
    """
    path = path_of(root, collection, item.key)
    try:
        if item.value is None:
            with suppress(FileNotFoundError):
                os.unlink(path)
            return
        if not os.path.isdir(os.path.dirname(path)):
            disk.make_one_folder(os.path.dirname(path))
        with disk.opened(path, os.O_WRONLY | os.O_CREAT) as fd:
            disk.write_at(fd, item.value, 0)
            os.ftruncate(fd, len(item.value))
    except OSError as error:
        _log.warning("the copy %s was not written: %s", path, error)


def sync(root: str, collection: Collection, key: str) -> None:
    """Make the copy of a key durable, or that it was removed."""
    path = path_of(root, collection, key)
    with suppress(FileNotFoundError):
        with suppress(FileNotFoundError), disk.opened(path) as fd:
            os.fsync(fd)
        disk.sync_folder(os.path.dirname(path))


def is_right(root: str, collection: Collection, key: str, item: Item | None) -> bool:
    """Return True if the copy of a key is that of its current Item, or missing where there is none."""
    try:
        return disk.read_file(path_of(root, collection, key)) == (item and item.value)
    except FileNotFoundError:
        return item is None
    except OSError:
        return False
