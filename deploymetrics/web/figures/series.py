"""The numbers in a document over its history. No Flask in here.

A number is a JSON number, or text that is nothing but one, which is how BigFix writes them.
"""

import math
import re
from itertools import islice
from typing import NamedTuple

from ...errors import DamagedItem
from ...formats import rawjson
from .flatten import leaves

#: The most that is read for one page of plots: versions, bytes of their documents, numbers in each, and series.
MAX_VERSIONS = 1000
MAX_BYTES = 2 * 2**20
MAX_NUMBERS = 5000
MAX_SERIES = 1000
SPARK_VERSIONS = 24
SPARK_BYTES = 2**16

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,30})(?:\.[0-9]{1,30})?(?:[eE][+-]?[0-9]{1,3})?")


class Point(NamedTuple):
    """A number at a time: ``changed_at`` as the storage writes it, the digits that were sent, a float for drawing."""

    changed_at: str
    text: str
    value: float


class Recent(NamedTuple):
    """``items`` are versions of a tag, oldest first and without deletions; ``cut`` says that older ones are missing."""

    items: list
    cut: bool


class Collected(NamedTuple):
    """``series`` has lists of Points by path, in the order of the newest document; ``cut``: some are missing."""

    series: dict
    cut: bool


def number(value):
    """The float of a value that is a plain number, or text that is one; else None."""
    if type(value) not in (rawjson.Number, str) or not _NUMBER.fullmatch(value):
        return None
    found = float(value)
    return found if math.isfinite(found) else None


def recent(service, tag, since="", versions=MAX_VERSIONS, limit=MAX_BYTES):
    """The Recent versions of a tag that changed at ``since`` or later; at most so many, and so many bytes in all.

    One version always comes, however large. Raises NotFound as ``service.history`` does.
    """
    items, size, before, step = [], 0, None, 1
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


def numbers(item):
    """Yield (path, text, float) of every number in a document, in its order."""
    for path, value in leaves(rawjson.parse(bytes(item.record.metrics))):
        found = number(value)
        if found is not None:
            yield path, str(value), found


def collect(items):
    """The Collected series of Items that are in the order of their age, the newest last."""
    found, cut = {}, False
    for item in reversed(items):
        seen = {path: Point(item.changed_at, text, value) for path, text, value in islice(numbers(item), MAX_NUMBERS)}
        cut = cut or len(seen) == MAX_NUMBERS
        for path, point in seen.items():
            if path in found or len(found) < MAX_SERIES:
                found.setdefault(path, []).append(point)
            else:
                cut = True
    for points in found.values():
        points.reverse()
    return Collected(found, cut)


def spark(service, item):
    """(path, list of (text, float), newest last) of the first number in an Item of the list, over its last versions.

    (None, []) where it has no number, is large, or has a history that cannot be read.
    """
    if len(item.value) > SPARK_BYTES:
        return None, []
    try:
        items = recent(service, item.key, versions=SPARK_VERSIONS, limit=SPARK_BYTES).items
    except DamagedItem:  # the list goes on; the page of the history says what is wrong
        return None, []
    first = next(numbers(items[-1]), None) if items else None
    if first is None:
        return None, []
    found = (next((rest for path, *rest in numbers(one) if path == first[0]), None) for one in items)
    return first[0], [tuple(rest) for rest in found if rest]
