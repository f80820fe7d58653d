"""Reading all that the files of a collection say, and telling what is not right."""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from ...errors import DamagedItem
from .. import Collection
from . import copies, lines

if TYPE_CHECKING:
    from . import FileStorage


def verify(storage: "FileStorage", collection: Collection, *, repair: bool) -> Iterator[tuple[str, str]]:
    """Yield (key or name, sentence) for each finding; ``repair`` writes wrong copies again."""
    yield from _strangers(storage.folder(collection), collection.name, lines.key_of)
    for key in storage.keys(collection):
        try:
            before = 0
            for item in storage.history(collection, key, oldest_first=True):
                if item.version <= before:
                    yield key, f"version {item.version} of {key} comes after version {before}"
                before = item.version
        except DamagedItem as error:
            yield key, error.log or error.detail
    if collection.copies:
        yield from _copies(storage, collection, repair=repair)


def _strangers(folder: str, title: str, key_of: Callable[[str], str | None]) -> Iterator[tuple[str, str]]:
    with suppress(FileNotFoundError):
        for name in sorted(os.listdir(folder)):
            if not name.startswith(".") and key_of(name) is None:
                yield name, f"{title}/{name} is not the name of an item, and is not served"


def _copies(storage: "FileStorage", collection: Collection, *, repair: bool) -> Iterator[tuple[str, str]]:
    folder = f"{storage.root}/{collection.name}"
    yield from _strangers(folder, f"copies in {collection.name}", copies.key_of)
    keys = set(storage.keys(collection))
    with suppress(FileNotFoundError):
        keys |= {key for name in os.listdir(folder) if (key := copies.key_of(name)) is not None}
    for key in sorted(keys):
        with suppress(DamagedItem):  # told above
            if not storage.has_right_copy(collection, key, repair=repair):
                done = "was written again" if repair else "is not that of the current version"
                yield key, f"the copy {collection.name}/{lines.name_of(key)}{copies.SUFFIX} {done}"
