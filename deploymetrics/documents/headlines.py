"""Which number of a document the overview shows, where somebody has chosen one. No Flask in here."""

from datetime import datetime

import msgspec

from ..errors import BadRequest
from ..storage import Collection, Item, Storage
from .schemas import check_tag
from .values.flattening import MAX_NAME

MAX_UNIT = 12
#: The longest name of a number; ``mean(…)`` may stand around it.
MAX_NUMBER = MAX_NAME + 8


class Headline(msgspec.Struct, frozen=True):
    """The name of a number of a tag, as plots have it, and its unit; an empty one is that of its name."""

    tag: str
    number: str
    unit: str = ""

    def key(self) -> str:
        """Return the key under which it is stored."""
        return self.tag


HEADLINES = Collection("headlines", Headline)


class Headlines:
    """The headlines of a storage. They stay with the tag when its document is deleted."""

    def __init__(self, store: Storage) -> None:
        self.store = store
        self._revision = ""
        self._found: dict[str, Headline] = {}

    def all(self) -> dict[str, Headline]:
        """Return the headlines by tag, for every tag that has one."""
        listing = self.store.items(HEADLINES)
        if self._revision != listing.revision:
            found = {entry.key: self.of(entry.key) for entry in listing.items}
            self._found = {tag: headline for tag, headline in found.items() if headline}
            self._revision = listing.revision
        return self._found

    def of(self, tag: str) -> Headline | None:
        """Return the headline of a tag, or None."""
        item = self.store.read(HEADLINES, check_tag(tag))
        return item.record if item else None

    def set(self, tag: str, number: str | None, unit: str, author: str) -> None:
        """Show this number of the tag from now on; None leaves the choice to the overview. Raises BadRequest."""
        check_tag(tag)
        if number is not None and len(number) > MAX_NUMBER or len(unit) > MAX_UNIT or not unit.isprintable():
            raise BadRequest(f"A unit has at most {MAX_UNIT} characters, and a number the name that plots give it.")
        value = None if number is None else msgspec.json.encode(Headline(tag, number, unit))

        def change(current: Item | None, now: datetime) -> bytes | None:
            return value

        self.store.write(HEADLINES, tag, author, change)
