"""Versions by time: those of a stretch, however long it is, and the newest one of a moment.

Versions are read one after another while that is cheap. Of what is left then, some are sampled, spread over the time:
between the two neighbours that are furthest apart the version in their middle is looked up, again and again.
"""

from collections.abc import Iterator
from datetime import timedelta
from heapq import heappop, heappush
from itertools import islice, takewhile
from typing import NamedTuple

from ..clock import from_precise
from ..storage import Item
from .paging import first_items
from .service import Documents

#: What is read one after another: versions, bytes of them, and bytes where each of them is large.
MAX_VERSIONS = 6000
MAX_BYTES = 2**25
MAX_LARGE_BYTES = 3 * 2**20
LARGE = 2**14
#: What is sampled after that: bytes of versions, and how many at least and at most.
SAMPLE_BYTES = 3 * 2**20
SAMPLE = (16, 200)


class Versions(NamedTuple):
    """``items`` are versions in order, deletions among them; ``sampled`` says that there are others in between."""

    items: list[Item]
    sampled: bool


def versions_between(documents: Documents, tag: str, since: str = "", until: str = "") -> Versions:
    """Return the versions from ``since`` to ``until``, or a sample of many; raises NotFound for an unknown tag."""
    newest = as_of(documents, tag, until)
    if newest is None:
        return Versions([], False)
    # One that is later is of a clock that was ahead for a while.
    versions = (
        item
        for item in documents.versions(tag, newest.version + 1, since=since)
        if not until or item.changed_at <= until
    )
    items = list(first_items(versions, MAX_VERSIONS, MAX_LARGE_BYTES if newest.size > LARGE else MAX_BYTES))
    if next(versions, None) is None:
        return Versions(items[::-1], False)
    first = (as_of(documents, tag, since) if since else None) or documents.oldest(tag)
    count = min(max(SAMPLE_BYTES * len(items) // sum(item.size for item in items), SAMPLE[0]), SAMPLE[1])
    sample = islice(_sample_between(documents, tag, first, items[-1]), count)
    older = sorted((item for item in [first, *sample] if item.changed_at >= since), key=lambda item: item.version)
    return Versions([*older, *reversed(items)], True)


def as_of(documents: Documents, tag: str, moment: str = "") -> Item | None:
    """Return the version, which may be a deletion, that was the newest at a moment; None before the first one.

    An empty text stands for now. Raises NotFound where there never was such a tag.
    """
    high = documents.newest(tag)
    if not moment or high.changed_at <= moment:
        return high
    low = documents.oldest(tag)
    below, since = low.version, low.changed_at
    if since > high.changed_at:
        since = ""  # of a clock that was ahead at first
    while high.version - below > 1:
        middle = (below + high.version) // 2
        # The newest one up to the middle whose time is between the others': one that is not was of a wrong clock.
        candidates = takewhile(lambda item: item.version > below, documents.versions(tag, middle + 1))
        between = next((item for item in candidates if since <= item.changed_at <= high.changed_at), low)
        if between.version <= below:  # those between were thinned out
            below = middle
        elif between.changed_at <= moment:
            low, below, since = between, middle, between.changed_at
        else:
            high = between
    return low if low.changed_at <= moment else None


def _sample_between(documents: Documents, tag: str, low: Item, high: Item) -> Iterator[Item]:
    """Yield versions between two others, each time from the middle of the gap that is widest in time."""
    gaps: list[tuple[timedelta, int, Item, Item]] = []

    def add(older: Item, newer: Item) -> None:
        if newer.version - older.version > 1:
            width = from_precise(older.changed_at) - from_precise(newer.changed_at)
            heappush(gaps, (width, older.version, older, newer))

    add(low, high)
    while gaps:
        *_, older, newer = heappop(gaps)
        between = documents.history(tag, (older.version + newer.version) // 2 + 1, 1).items[0]
        if between.version > older.version:
            yield between
            add(older, between)
            add(between, newer)
