"""Measures: the numbers in a document that can be plotted, and functions of an array's numbers, each with a name."""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from ...storage import Item
from .extraction import Steps
from .identity import is_naming, survey
from .numbers import LARGEST, is_number
from .places import Place, leaves, places_by_name

#: How much of a history is looked at to see what there is to plot: versions, bytes of them, and numbers in them.
LOOKED_AT = 24
LOOKED_AT_BYTES = 2**18
MAX_NUMBERS = 100_000
#: Numbers below that are not plotted: the way to each is walked by itself, and nobody nests metrics that deep.
MAX_DEPTH = 32


def _sum(values: Sequence[float]) -> float:
    try:
        return math.fsum(values)
    except OverflowError:
        return LARGEST if sum(value / len(values) for value in values) > 0 else -LARGEST


#: What is made of the numbers of an array's elements.
FUNCTIONS: dict[str, Callable[[Sequence[float]], float]] = {
    "sum": _sum,
    "mean": lambda values: _sum([value / len(values) for value in values]),
    "min": min,
    "max": max,
}


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

    def tells_something(self, *, of_elements: bool = False) -> bool:
        """Return False for identifiers, sums of percentages and, unless ``of_elements``, one element of several."""
        if self.is_naming or self.is_element and not of_elements:
            return False
        if self.function == "sum":
            return not self.name.casefold().endswith(("percent)", "pct)", "ratio)"))
        return self.function in ("", "mean")


class Measures(NamedTuple):
    """Measures by name, newest document first; ``repeated`` if an object has a key twice, ``cut`` if there are more."""

    by_name: dict[str, Measure]
    repeated: bool
    cut: bool


def measures(items: Sequence[Item]) -> Measures:
    """Return the Measures in some versions, oldest first; of many versions only a few are read."""
    places_of_numbers = _places_of_numbers(_items_to_read(items))
    places = dict.fromkeys(islice(places_of_numbers, MAX_NUMBERS))
    by_name: dict[str, Measure] = {}
    columns: dict[Steps, Place] = {}
    repeated = False
    for name, place in places_by_name(places).items():
        key, path = place.step[0], place.column()
        steps = tuple(inner.step for inner, _ in path)
        column = tuple(... if is_every else inner.step for inner, is_every in path)
        repeated = repeated or any(isinstance(label, str) and number for label, number in steps)
        naming = isinstance(key, str) and is_naming(key)
        by_name[name] = Measure(name, steps, "", naming, ... in column)
        if ... in column and not naming:
            columns.setdefault(column, place)
    sums = (
        Measure(f"{function}({place.column_name()})", steps, function)
        for steps, place in columns.items()
        for function in FUNCTIONS
    )
    by_name = {**{measure.name: measure for measure in sums}, **by_name}
    return Measures(by_name, repeated, next(places_of_numbers, None) is not None)


def _items_to_read(items: Sequence[Item]) -> list[Item]:
    """Return the versions that are read for Measures, in order: the newest ones, and others spread over all."""
    existing = [item for item in items if not item.deleted]
    spread = existing[:: max(len(existing) // (LOOKED_AT // 2), 1)]
    chosen: dict[int, Item] = {}
    size = 0
    for item in [*existing[-1:], *spread[:1], *reversed(existing[-LOOKED_AT // 2 :]), *spread]:
        if item.version not in chosen:
            size += item.size
            if chosen and (size > LOOKED_AT_BYTES or len(chosen) >= LOOKED_AT):
                break
            chosen[item.version] = item
    return [chosen[version] for version in sorted(chosen)]


def _places_of_numbers(items: Sequence[Item]) -> Iterator[Place]:
    """Yield the Place of every number down to MAX_DEPTH, newest version first.

    Duplicates within one version have Places of their own.
    """
    documents = [item.record.parse() for item in reversed(items)]
    root, shape = Place(), survey(documents)
    for document in documents:
        for place, value in leaves(document, root, shape):
            if place.depth <= MAX_DEPTH and is_number(value):
                yield place
