"""The numbers in a document over its history, as series: the values that one thing had. No Flask in here."""

from bisect import bisect_right
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from ...errors import DamagedItem
from ...formats import rawjson
from ..service import Entry, Item, Service
from .identity import survey
from .leaves import Place, leaves, named
from .numbers import as_float, is_number

#: The most that is read for one page of plots: versions, bytes of their documents, and numbers in them.
MAX_VERSIONS = 1000
MAX_BYTES = 2 * 2**20
MAX_NUMBERS = 100_000
SPARK_VERSIONS = 24
SPARK_BYTES = 2**16


class Point(NamedTuple):
    """A number at a time.

    ``changed_at`` is the time as the storage writes it, ``text`` the digits that were sent, ``value`` what is drawn.
    """

    version: int
    changed_at: str
    text: str
    value: float


class Series(NamedTuple):
    """The values of one thing, the oldest first.

    ``gone`` is the first version without it where the newest has none.
    """

    name: str
    points: list[Point]
    gone: int | None


class Recent(NamedTuple):
    """``items`` are versions of a tag, oldest first and without deletions; ``cut`` says that older ones are missing."""

    items: list[Item]
    cut: bool


class Collected(NamedTuple):
    """All Series, in the order of the newest document, then those that are gone; ``cut`` says that some are missing."""

    series: list[Series]
    cut: bool


def recent(service: Service, tag: str, since: str = "", versions: int = MAX_VERSIONS, limit: int = MAX_BYTES) -> Recent:
    """Return the versions of a tag that changed at ``since`` or later; at most so many, and so many bytes in all.

    One version always comes, however large. Raises NotFound as ``service.history`` does.
    """
    items: list[Item] = []
    size, before, step = 0, None, 1
    while step:
        page = service.history(tag, before, step)
        for item in page.items:
            if item.changed_at < since:
                return Recent(items[::-1], False)
            size += len(item.value or b"")
            if items and (size > limit or len(items) >= versions):
                return Recent(items[::-1], True)
            if not item.deleted:
                items.append(item)
        # The next read is as long as the first ones let us expect to fit.
        before = page.next
        step = 0 if before is None else max(1, min(256, versions + 1 - len(items), limit // (size + 1) + 1))
    return Recent(items[::-1], False)


def collect(items: list[Item]) -> Collected:
    """Return the Series of the numbers in versions that are in their order, the newest last."""
    found: dict[Place, list[Point]] = {}
    every = _numbers(items)
    for place, point in islice(every, MAX_NUMBERS):
        found.setdefault(place, []).append(point)
    versions = [item.version for item in items]
    series = [
        Series(name, found[place][::-1], _gone(found[place][0].version, versions))
        for name, place in named(found).items()
    ]
    return Collected(series, next(every, None) is not None)


def spark(service: Service, item: Item | Entry) -> Series | None:
    """Return the Series of the first number in a document of the list, over its last versions.

    None where it has no number, is large, or has a history that cannot be read.
    """
    if item.size > SPARK_BYTES:
        return None
    try:
        items = recent(service, item.key, versions=SPARK_VERSIONS, limit=SPARK_BYTES).items
    except DamagedItem:  # the list goes on; the page of the history says what is wrong
        return None
    points: list[Point] = []
    chosen = None
    for place, point in _numbers(items):
        chosen = chosen or (place if point.version == items[-1].version else None)
        if chosen is None:
            return None
        if place is chosen:
            points.append(point)
    return Series(chosen.name(), points[::-1], None) if chosen else None


def _numbers(items: list[Item]) -> Iterator[tuple[Place, Point]]:
    """Yield (Place, Point) of every number, newest version first; duplicates within one have Places of their own."""
    root, shape = Place(), survey(map(_metrics, reversed(items)))
    for item in reversed(items):
        for place, value in leaves(_metrics(item), root, shape):
            if is_number(value):
                yield place, Point(item.version, item.changed_at, str(value), as_float(str(value)))


def _metrics(item: Item) -> object:
    return rawjson.parse(bytes(item.record.metrics))


def _gone(last: int, versions: list[int]) -> int | None:
    """Return the version after the last one that has the number, or None where that is the newest."""
    later = bisect_right(versions, last)
    return versions[later] if later < len(versions) else None
