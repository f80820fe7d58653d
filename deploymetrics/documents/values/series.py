"""The numbers in documents over the history, as series: the values that one thing had. No Flask in here.

``measures`` says what a document has to plot, and gives each a name; ``over_time`` reads some of them out of every
version of a stretch of time.
"""

import math
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

from ...errors import DamagedItem
from ...formats import rawjson
from ..service import Entry, Item, Service
from .extraction import Reader, Steps, floats_of, text_of
from .flattening import Place, leaves, named
from .identity import is_naming, survey
from .numbers import as_float, is_number

#: How much of a history is looked at to see what there is to plot: versions, bytes of them, and numbers in them.
LOOKED_AT = 24
LOOKED_AT_BYTES = 2**18
MAX_NUMBERS = 100_000
#: Numbers below that are not plotted: the way to each is walked by itself, and nobody nests metrics that deep.
MAX_DEPTH = 32
SPARK_VERSIONS = 24
SPARK_BYTES = 2**16
#: Among how many numbers the most telling one is looked for.
MAX_CANDIDATES = 40


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

    ``gone`` is the first version without it where the newest has none. ``breaks`` are the indices of points before
    which there is a version without it, or a deletion.
    """

    name: str
    points: list[Point]
    gone: int | None
    breaks: frozenset[int] = frozenset()


class Measure(NamedTuple):
    """Something that can be plotted: a number at a place, or a function of all such numbers of an array's elements.

    ``is_naming`` marks numbers that say which one a thing is, such as an ``id``. ``is_element`` marks those of one
    element among several.
    """

    name: str
    steps: Steps
    function: str = ""
    is_naming: bool = False
    is_element: bool = False

    def tells_something(self) -> bool:
        """Return True unless it names a thing, belongs to one element among several, or is a sum of shares."""
        if self.is_naming or self.is_element:
            return False
        if self.function == "sum":
            return not self.name.casefold().endswith(("percent)", "pct)", "ratio)"))
        return self.function in ("", "mean")


class Measures(NamedTuple):
    """Measures by name, those of the newest document first and in its order.

    ``repeated`` says that an object has a key twice, ``cut`` that there are more.
    """

    by_name: dict[str, Measure]
    repeated: bool
    cut: bool


def _mean(values: Sequence[float]) -> float:
    return _sum([value / len(values) for value in values])


def _sum(values: Sequence[float]) -> float:
    try:
        return math.fsum(values)
    except OverflowError:
        return sys.float_info.max if sum(value / len(values) for value in values) > 0 else -sys.float_info.max


#: What is made of the numbers of an array's elements.
FUNCTIONS: dict[str, Callable[[Sequence[float]], float]] = {"sum": _sum, "mean": _mean, "min": min, "max": max}


def look_at(items: Sequence[Item]) -> list[Item]:
    """Return the versions that ``measures`` looks at, in their order: the newest ones, and others spread over all."""
    there = [item for item in items if not item.deleted]
    spread = there[:: max(len(there) // (LOOKED_AT // 2), 1)]
    chosen: dict[int, Item] = {}
    size = 0
    for item in [*there[-1:], *spread[:1], *reversed(there[-LOOKED_AT // 2 :]), *spread]:
        if item.version not in chosen:
            size += len(item.value or b"")
            if chosen and (size > LOOKED_AT_BYTES or len(chosen) >= LOOKED_AT):
                break
            chosen[item.version] = item
    return [chosen[version] for version in sorted(chosen)]


def measures(items: Sequence[Item]) -> Measures:
    """Return the Measures of versions that are in their order, without deletions."""
    found: dict[Place, None] = {}
    every = _numbers(items)
    for place in islice(every, MAX_NUMBERS):
        found.setdefault(place)
    by_name: dict[str, Measure] = {}
    columns: dict[Steps, Place] = {}
    seen: set[tuple[Place | None, Any]] = set()
    repeated = False
    for name, place in named(found).items():
        key, path = place.step[0], place.path()
        repeated = repeated or any(isinstance(one.step[0], str) and one.step[1] for one in path)
        naming = isinstance(key, str) and is_naming(key)
        by_name[name] = Measure(name, tuple(one.step for one in path), "", naming, place.in_array())
        column = place.above and place.above.above, place.step  # that is alike for all elements of an array
        if not naming and by_name[name].is_element and column not in seen:
            seen.add(column)
            columns.setdefault(tuple(... if is_every else one.step for one, is_every in place.column()), place)
    sums = (
        Measure(f"{function}({place.column_name()})", steps, function)
        for steps, place in columns.items()
        for function in FUNCTIONS
    )
    by_name = {**{one.name: one for one in sums}, **by_name}
    return Measures(by_name, repeated, next(every, None) is not None)


def over_time(items: Iterable[Item], wanted: Sequence[Measure], *, repeated: bool = False) -> list[Series]:
    """Return the Series of some Measures in versions that are in their order, deletions among them."""
    places = list(dict.fromkeys(measure.steps for measure in wanted))
    reader = Reader(places, repeated=repeated)
    tracks = [_Track(measure, places.index(measure.steps)) for measure in wanted]
    for item in items:
        read = [[]] * len(places) if item.deleted else reader.read(bytes(item.record.metrics))
        floats: dict[int, list[float]] = {}
        for track in tracks:
            track.add(item, read[track.place], floats)
    return [Series(track.measure.name, track.points, track.gone, frozenset(track.breaks)) for track in tracks]


class _Track:
    """A Series that is being made; ``place`` is the index of the place that it reads."""

    def __init__(self, measure: Measure, place: int) -> None:
        self.measure = measure
        self.place = place
        self.points: list[Point] = []
        self.breaks: list[int] = []
        self.gone: int | None = None

    def add(self, item: Item, found: list[Any], floats: dict[int, list[float]]) -> None:
        """Take what one version has at the place; ``floats`` are those of places that were looked at for it before."""
        text = self._number(found, floats) if found else None
        if text is None:
            self.gone = self.gone or item.version
            return
        if self.gone and self.points:
            self.breaks.append(len(self.points))
        self.gone = None
        self.points.append(Point(item.version, item.changed_at, text, as_float(text)))

    def _number(self, found: list[Any], floats: dict[int, list[float]]) -> str | None:
        if not self.measure.function:
            text = text_of(found[0])
            return text if is_number(text) else None
        if self.place not in floats:
            floats[self.place] = floats_of(found)
        values = floats[self.place]
        return f"{FUNCTIONS[self.measure.function](values):.12g}" if values else None


def headline(service: Service, item: Item | Entry, number: str | None = None) -> Series | None:
    """Return the Series of the most telling number in a document of the list, over its last versions.

    That is ``number`` where the newest version has it. Otherwise it is the first that changed in these versions and
    does not just name a thing, or the first that does not, or the first there is; of an array with several elements it
    is the sum or the mean. None where there is no number, the document is large, or its history cannot be read.
    """
    if item.size > SPARK_BYTES:
        return None
    try:
        items = _latest(service, item.key)
    except DamagedItem:  # the list goes on; the page of the history says what is wrong
        return None
    known = measures(look_at(items))
    candidates = list(islice(known.by_name.values(), MAX_CANDIDATES))
    if number in known.by_name:
        candidates.append(known.by_name[number])
    series = [one for one in over_time(items, candidates, repeated=known.repeated) if one.points and not one.gone]
    chosen = [one for one in series if one.name == number]
    telling = [one for one in series if known.by_name[one.name].tells_something()] or series
    changing = [one for one in telling if one.points[0].text != one.points[-1].text]
    return next(iter(chosen or changing or telling), None)


def _latest(service: Service, tag: str) -> list[Item]:
    """Return the newest versions of a tag in their order, without deletions; a few, and not many bytes of them."""
    items: list[Item] = []
    size = 0
    for item in service.history(tag, limit=SPARK_VERSIONS).items:
        size += len(item.value or b"")
        if items and size > SPARK_BYTES:
            break
        if not item.deleted:
            items.append(item)
    return items[::-1]


def _numbers(items: Sequence[Item]) -> Iterator[Place]:
    """Yield the Place of every number down to MAX_DEPTH, newest version first.

    Duplicates within one version have Places of their own.
    """
    root, shape = Place(), survey(map(_metrics, reversed(items)))
    for item in reversed(items):
        for place, value in leaves(_metrics(item), root, shape):
            if place.depth <= MAX_DEPTH and is_number(value):
                yield place


def _metrics(item: Item) -> object:
    return rawjson.parse(bytes(item.record.metrics))
