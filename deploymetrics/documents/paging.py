"""Pages of the list and of a history, each with a revision of its own."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from itertools import islice
from operator import attrgetter
from typing import NamedTuple

from ..storage import Entry, Item, Listing


class Page(NamedTuple):
    """A page of a history, newest first; ``next`` is the version below which the next page begins, None on the last."""

    items: Sequence[Item]
    next: int | None

    @property
    def revision(self) -> str:
        """A digest of the revisions on the page."""
        return _page_revision(self.items)


def first_items(items: Iterable[Item], number: int, size: int) -> Iterator[Item]:
    """Yield the first Items: ``number`` of them at most, and none after one that brings them over ``size`` bytes."""
    for item in islice(items, number):
        yield item
        size -= item.size
        if size < 0:
            break


def page_of(listing: Listing, after: str | None = None, limit: int | None = None) -> tuple[Listing, str | None]:
    """Return the page of a Listing with at most ``limit`` documents after the tag ``after``.

    The second is the tag after which the next page begins, or None for the last one. The revision is that of the page:
    it does not change with other documents.
    """
    items = listing.items
    first = 0 if after is None else bisect_right(items, after, key=attrgetter("key"))
    last = len(items) if limit is None else min(first + limit, len(items))

    def read(start: int, stop: int) -> Iterator[bytes]:
        return listing.read(first + start, first + stop)

    items = items[first:last]
    latest = max((item.changed_at for item in items), default="")
    next_after = items[-1].key if last < len(listing.items) else None
    # The answer has a Link to the next page if there is one, so whether there is one is a part of the revision.
    return Listing(_page_revision(items, f"{next_after is None}"), latest, items, listing.damaged, read), next_after


def _page_revision(items: Iterable[Entry | Item], *others: str) -> str:
    text = "\n".join([*(item.revision for item in items), *others])
    return blake2b(text.encode(), digest_size=12).hexdigest()
