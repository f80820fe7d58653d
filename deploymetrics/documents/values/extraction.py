"""Values out of documents by where they stand, for a plot that wants five numbers of each of thousands of versions."""

import json
import math
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from types import EllipsisType
from typing import Any

import msgspec

from ...formats import rawjson
from .identity import Identity
from .numbers import as_float, is_number

#: A step down: a member by its key or an element by its Identity, and which of those that have the same; or ``...``
#: for every element, below which elements have no Identity.
Step = tuple[str | Identity, int] | EllipsisType
Steps = tuple[Step, ...]


class Extractor:
    """Extracts what stands at the end of some Steps; all of them at once, so each document is opened once.

    ``repeated`` says that an object may have a key twice.
    """

    def __init__(self, wanted: Sequence[Steps], *, repeated: bool = False) -> None:
        self._is_repeated = repeated
        #: For each place that has others below it, in their order: the place that a step leads to. Place 0 is all.
        self._below: dict[int, dict[Any, int]] = {}
        #: For an array's place, the names of members that tell its elements apart.
        self._names: dict[int, set[tuple[str, ...]]] = {}
        self._places: dict[Steps, int] = {(): 0}
        self._ends = [self._place_of(steps) for steps in wanted]

    def _place_of(self, steps: Steps) -> int:
        for end, step in enumerate(steps, 1):
            above, place = self._places[steps[: end - 1]], self._places.setdefault(steps[:end], len(self._places))
            key: Any = step
            if not isinstance(step, EllipsisType):
                what, number = step
                if isinstance(what, str):
                    key = step if number else what
                else:
                    self._names.setdefault(above, set()).add(tuple(name for name, _ in what))
            self._below.setdefault(above, {})[key] = place
        return self._places[steps]

    def extract(self, metrics: bytes) -> list[list[Any]]:
        """Return for each of the Steps what stands there, for ``text_of`` or ``floats_of``.

        It is one value at most, but for Steps with ``...`` in them.
        """
        found: list[list[Any]] = [[] for _ in self._places]
        found[0].append(self._value_of(metrics))
        for place, below in self._below.items():
            for value in found[place]:
                if type(value) is dict:
                    # By what both have: an array may hold as many keys as elements.
                    for step in below.keys() & value.keys():
                        found[below[step]].append(value[step])
                elif type(value) is list:
                    if ... in below:
                        found[below[...]] += value
                    for step, element in _by_identity(value, self._names.get(place, ())):
                        if step in below:
                            found[below[step]].append(element)
        return [found[end] for end in self._ends]

    def _value_of(self, metrics: bytes) -> Any:
        if not (self._is_repeated or _MINUS_ZERO.search(metrics)):
            with suppress(msgspec.MsgspecError):  # of a number that has hundreds of digits
                return _decode(metrics)
        return _decode_exactly(metrics.decode())


def _by_identity(array: list[Any], every: Collection[tuple[str, ...]]) -> Iterator[tuple[Any, Any]]:
    """Yield (step, element) of an array whose elements are told apart by some names, by as many as each has."""
    seen: Counter[Any] = Counter()
    by_most_names = sorted(every, key=len, reverse=True)
    for element in array if every else ():
        members = element if type(element) is dict else {}
        for names in by_most_names:
            texts = [text_of(members.get((name, -1), members.get(name))) for name in names]
            if None not in texts:
                identity = tuple(zip(names, texts))
                yield (identity, seen[identity]), element
                seen[identity] += 1
                break


def _members(pairs: list[tuple[str, Any]]) -> dict[Any, Any]:
    """Return the members of an object: by key the first, by key and number the others, and by key and -1 the last."""
    again: Counter[str] = Counter()
    members: dict[Any, Any] = {}
    for key, member in pairs:
        members[(key, again[key]) if again[key] else key] = members[key, -1] = member
        again[key] += 1
    return members


# Several times as quick, and all but as exact: it knows no key twice and no minus before a zero.
_decode = msgspec.json.Decoder(float_hook=rawjson.Number).decode
_MINUS_ZERO = re.compile(rb"-0(?![.0-9])")
_decode_exactly = json.JSONDecoder(
    object_pairs_hook=_members, parse_int=rawjson.Number, parse_float=rawjson.Number
).decode


def text_of(value: Any) -> str | None:
    """Return the text, or a number's digits; None for all else."""
    return str(value) if isinstance(value, str) or type(value) is int else None


def floats_of(values: list[Any]) -> list[float]:
    """Return the numbers among many values."""
    if {int, rawjson.Number}.issuperset(map(type, values)):
        with suppress(OverflowError):  # of an int that has hundreds of digits
            floats = list(map(float, values))
            if not any(map(math.isinf, floats)):
                return floats
    return [as_float(text) for text in map(text_of, values) if text is not None and is_number(text)]
