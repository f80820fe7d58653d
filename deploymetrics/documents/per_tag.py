"""The base of stores that keep a value for each tag, which stays when the document is deleted."""

from collections.abc import Callable
from datetime import datetime
from typing import Generic, TypeVar

import msgspec

from ..storage import Collection, Item, Storage
from .schemas import check_tag

Value = TypeVar("Value")


class PerTag(Generic[Value]):
    """Stores a value for each tag in ``collection``; keeps in memory those that did not change."""

    collection: Collection

    def __init__(self, store: Storage) -> None:
        self.store = store
        # The revision of a list, each tag's with its value in that, and the values; together, since threads share them.
        self._listed: tuple[str, dict[str, tuple[str, Value | None]], dict[str, Value]] = "", {}, {}

    def all(self) -> dict[str, Value]:
        """Return all values by tag."""
        listing = self.store.items(self.collection)
        revision, before, values = self._listed
        if revision != listing.revision:
            listed: dict[str, tuple[str, Value | None]] = {}
            for entry in listing.items:
                old = before.get(entry.key)
                # None where it was removed since it was listed.
                listed[entry.key] = old if old and old[0] == entry.revision else (entry.revision, self.of(entry.key))
            values = {tag: value for tag, (_, value) in listed.items() if value is not None}
            self._listed = listing.revision, listed, values
        return values

    def of(self, tag: str) -> Value | None:
        """Return the value of a tag, or None."""
        return self._value(self.store.read(self.collection, check_tag(tag)))

    def _value(self, item: Item | None) -> Value | None:
        """Return the value in a stored record; by default it is the record itself."""
        return item.record if item else None

    def _write(
        self,
        tag: str,
        record: msgspec.Struct | None,
        author: str,
        check: Callable[[Value | None], None] = lambda current: None,
    ) -> None:
        """Store the record of a tag, or remove it; ``check`` may raise, given the current value."""
        encoded = None if record is None else msgspec.json.encode(record)

        def change(current: Item | None, now: datetime) -> bytes | None:
            check(self._value(current))
            return encoded

        self.store.write(self.collection, check_tag(tag), author, change)
