"""Reads a few places of thousands of documents, for plots, without walking through all of each document."""

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
    """Extracts the values at several Steps from each document; ``repeated`` if an object may have a key twice."""

    def __init__(self, paths: Sequence[Steps], *, repeated: bool) -> None:
        self._is_repeated = repeated
        #: For each place that has others below it, in their order: the place that a step leads to. Place 0 is all.
        self._below: dict[int, dict[Any, int]] = {}
        #: For an array's place, the names of members that tell its elements apart.
        self._names: dict[int, set[tuple[str, ...]]] = {}
        self._places: dict[Steps, int] = {(): 0}
        self._ends = [self._add_path(steps) for steps in paths]

    def _add_path(self, steps: Steps) -> int:
        """Return the number of the place at the end of a path, and add the places on the way."""
        for end, step in enumerate(steps, 1):
            above, place = self._places[steps[: end - 1]], self._places.setdefault(steps[:end], len(self._places))
            key: Any = step
            if not isinstance(step, EllipsisType):
                label, number = step
                if isinstance(label, str):
                    key = step if number else label
                else:
                    self._names.setdefault(above, set()).add(tuple(name for name, _ in label))
            self._below.setdefault(above, {})[key] = place
        return self._places[steps]

    def extract(self, metrics: bytes) -> list[list[Any]]:
        """Return the values at each of the Steps, at most one except for Steps with ``...``; see ``text_of``."""
        values: list[list[Any]] = [[] for _ in self._places]
        values[0].append(self._decode_metrics(metrics))
        for place, below in self._below.items():
            for value in values[place]:
                if type(value) is dict:
                    # By what both have: an array may hold as many keys as elements.
                    for step in below.keys() & value.keys():
                        values[below[step]].append(value[step])
                elif type(value) is list:
                    if ... in below:
                        values[below[...]] += value
                    for step, element in _by_identity(value, self._names.get(place, ())):
                        if step in below:
                            values[below[step]].append(element)
        return [values[end] for end in self._ends]

    def _decode_metrics(self, metrics: bytes) -> Any:
        if not (self._is_repeated or _MINUS_ZERO.search(metrics)):
            with suppress(msgspec.MsgspecError):  # of a number that has hundreds of digits
                return _decode(metrics)
        return _decode_exactly(metrics.decode())


def _by_identity(array: list[Any], names_of_arrays: Collection[tuple[str, ...]]) -> Iterator[tuple[Any, Any]]:
    """Yield (step, element) of an array, each element identified by the longest of some lists of names that it has."""
    seen: Counter[Any] = Counter()
    by_most_names = sorted(names_of_arrays, key=len, reverse=True)
    for element in array if names_of_arrays else ():
        members = element if type(element) is dict else {}
        for names in by_most_names:
            texts = [text_of(members.get((name, -1), members.get(name))) for name in names]
            if None not in texts:
                identity = tuple(zip(names, texts))
                yield (identity, seen[identity]), element
                seen[identity] += 1
                break


def _members(pairs: list[tuple[str, Any]]) -> dict[Any, Any]:
    """Return the members of an object: the first of a key by it, others by (key, number), the last by (key, -1)."""
    counts: Counter[str] = Counter()
    members: dict[Any, Any] = {}
    for key, member in pairs:
        members[(key, counts[key]) if counts[key] else key] = members[key, -1] = member
        counts[key] += 1
    return members


# Several times as quick, and all but as exact: it knows no key twice and no minus before a zero.
_decode = msgspec.json.Decoder(float_hook=rawjson.Number).decode
_MINUS_ZERO = re.compile(rb"-0(?![.0-9])")
_decode_exactly = json.JSONDecoder(
    object_pairs_hook=_members, parse_int=rawjson.Number, parse_float=rawjson.Number
).decode


def text_of(value: Any) -> str | None:
    """Return a text, or the digits of a number; None for any other value."""
    return str(value) if isinstance(value, str) or type(value) is int else None


def floats_of(values: list[Any]) -> list[float]:
    """Return the numbers among some values as floats."""
    if {int, rawjson.Number}.issuperset(map(type, values)):
        with suppress(OverflowError):  # of an int that has hundreds of digits
            floats = list(map(float, values))
            if not any(map(math.isinf, floats)):
                return floats
    return [as_float(text) for text in map(text_of, values) if text is not None and is_number(text)]
