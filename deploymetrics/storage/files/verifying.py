"""Verifying the files of a collection: reading all of them, and reporting damage."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from ...errors import DamagedItemError
from .. import Collection, file_names
from . import disk, readable_copies
from .version_log import COPY_SUFFIX

if TYPE_CHECKING:
    from . import FileStorage


def verify(storage: "FileStorage", collection: Collection, *, repair: bool) -> Iterator[tuple[str, str]]:
    """Yield (key or file name, sentence) for each damage; ``repair`` rewrites wrong copies."""
    name, keys = collection.name, storage.keys(collection)
    yield from _strangers(storage.folder(collection), name, file_names.key_of)
    for key in keys:
        try:
            before = 0
            for item in storage.history(collection, key, oldest_first=True):
                if item.version <= before:
                    yield key, f"version {item.version} of {key} comes after version {before}"
                before = item.version
        except DamagedItemError as error:
            yield key, error.log or error.detail
    if collection.copies:
        folder = f"{storage.root}/{name}"
        yield from _strangers(folder, f"copies in {name}", readable_copies.key_of)
        for key in sorted({*keys, *filter(None, map(readable_copies.key_of, disk.list_folder(f"{folder}/.")))}):
            with suppress(DamagedItemError):  # told above
                if not storage.has_right_copy(collection, key, repair=repair):
                    done = "was put right" if repair else "is not that of the current version"
                    yield key, f"the copy {name}/{file_names.name_of(key)}{COPY_SUFFIX} {done}"


def _strangers(folder: str, title: str, key_of: Callable[[str], str | None]) -> Iterator[tuple[str, str]]:
    """Yield (name, sentence) for each file name that no key has."""
    for name in sorted(disk.list_folder(f"{folder}/.")):
        if not name.startswith(".") and key_of(name) is None:
            yield name, f"{title}/{name} is not the name of an item, and is not served"
