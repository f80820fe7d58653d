"""The storage contract. What is written here holds for every backend, and one test suite checks it on each.

**Items.** A storage keeps JSON objects by kind and key. A key is any text that the caller has checked; keys that differ
in a single byte are different items. A value is the text of a JSON object as bytes, compact and in UTF-8; it belongs to
the storage after a write, and comes back byte for byte. Each accepted write of an item gets the next version, the time
(never earlier than that of the version before) and the name of who wrote.

**Writing** is one operation: ``write(kind, key, by, change)`` calls ``change(current, at)`` while no other writer, in
any thread, process or machine, can touch the item, and stores what it returns: bytes are the new value, None deletes.
Whatever ``change`` raises leaves the item as it was and reaches the caller, so every precondition lives in ``change``.
A backend may call it more than once before one call counts, so it has no effects of its own; it must not write.

**Durability.** When ``write`` returns, the write survives ``kill -9`` and power loss. When it raises, or never returns
because the process ended, the write is wholly there or wholly not, and the value before it is intact.

**Reading** never waits for writers and never sees half a write. A read that starts after a write has returned, in any
process, sees that write or a later one; that holds for ``items`` and ``stamp`` as well.

**History.** For a kind with history every superseded value can be read by its version until the limits (a number of
versions, an age) pass it. A deletion is a version too. Versions count from 1 per key, go on after a deletion and never
repeat. A kind without history forgets, and starts again at 1 after a deletion.

**Errors.** StorageFull for a full disk or quota, DamagedItem for an item that cannot be read (it is never overwritten,
and other items are not affected), StorageError for all else. A driver's own errors do not get out; they are the cause.
"""

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import msgspec

#: Versions are below this; files and imports with one that is not are refused.
VERSION_LIMIT = 10**17


class Kind:
    """A kind of item: its name, a msgspec Struct with the fields that a value must have, whether versions are kept."""

    def __init__(self, name, record, *, history=False):
        self.name = name
        self.record = record
        self.history = history
        self.decode = msgspec.json.Decoder(record).decode


class Item(NamedTuple):
    """One version of an item. ``record`` is the value decoded; a deletion has neither ``value`` nor ``record``."""

    key: str
    value: bytes | None
    record: Any
    version: int
    changed_at: str
    changed_by: str
    etag: str
    deleted: bool = False


class Listing(NamedTuple):
    """All items of a kind at one moment, in the order of their keys.

    ``etag`` changes whenever an item does; ``changed_at`` is the latest of the items' (empty where there is none);
    ``items`` come without their ``record``, to save memory; ``pieces`` joined are the JSON array of their values, about
    a megabyte each; ``damaged`` are the keys of items that cannot be read, which are in none of the others.
    """

    etag: str
    changed_at: str
    items: tuple
    pieces: tuple
    damaged: tuple


class Storage(ABC):
    """The operations; the module's text is their contract."""

    @abstractmethod
    def read(self, kind, key):
        """The current Item, or None."""

    @abstractmethod
    def write(self, kind, key, by, change):
        """Store what ``change(current Item or None, aware datetime)`` returns; the new Item, None after a deletion."""

    @abstractmethod
    def items(self, kind):
        """The Listing of the kind."""

    @abstractmethod
    def stamp(self, kind, key):
        """A value that is cheap to get and equal to an earlier one only if the item did not change in between."""

    @abstractmethod
    def history(self, kind, key, before=None, limit=None):
        """Items of all versions, newest first, the current one included; those below version ``before``, if given."""

    @abstractmethod
    def version(self, kind, key, version):
        """The Item of that version, a deletion included, or None."""

    @abstractmethod
    def keys(self, kind):
        """Every key, ordered, that has a current item or a history."""

    @abstractmethod
    def restore(self, kind, key, items, *, dry_run=False):
        """Store Items as all versions of a key, oldest first, wholly or not at all; False if they are there already.

        Raises AlreadyThere, and changes nothing, for a key that has other versions. ``dry_run`` never changes anything.
        """

    @abstractmethod
    def verify(self, kind):
        """Yield (what, sentence) for everything of the kind that is damaged, missing or not where it is looked for."""


def open_storage(url, instance, clock, *, history_versions, history_days):
    """The storage that ``url`` names: ``files:`` keeps JSON files in the folder ``instance``."""
    from .jsonfiles import JsonFiles

    return JsonFiles(instance, clock, history_versions, history_days)
