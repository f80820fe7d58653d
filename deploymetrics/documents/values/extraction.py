"""Values out of documents by where they stand, for a plot that wants five numbers of each of thousands of versions."""

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from types import EllipsisType
from typing import Any

import msgspec

from ...formats import rawjson
from .identity import Identity
from .numbers import as_float, is_number

#: A step down: a member by its key or an element by its Identity, and which of those that have the same; or ``...``
#: for every element.
Step = tuple[str | Identity, int] | EllipsisType
Steps = tuple[Step, ...]

# Several times as quick as ``rawjson.parse``, and all but as exact: it knows no key twice and no minus before a zero.
_decode = msgspec.json.Decoder(float_hook=rawjson.Number).decode
_MINUS_ZERO = re.compile(rb"-0(?![.0-9])")


class Extractor:
    """Extracts what stands at the end of some Steps; all of them at once, so each document is opened once.

    ``repeated`` says that an object may have a key twice.
    """

    def __init__(self, wanted: Sequence[Steps], *, repeated: bool = False) -> None:
        self._root = _Node()
        self._count = len(wanted)
        self._is_repeated = repeated
        for index, steps in enumerate(wanted):
            node = self._root
            for step in steps:
                node = node.child(step)
            node.ends.append(index)

    def extract(self, metrics: bytes) -> list[list[Any]]:
        """Return for each of the Steps what stands there, for ``text_of`` or ``floats_of``.

        It is one value at most, but for Steps with ``...`` in them.
        """
        found: list[list[Any]] = [[] for _ in range(self._count)]
        # Not by recursion: documents are nested deeper than that goes. What is wanted of one node comes in their order.
        reached: list[tuple[_Node, Any]] = [(self._root, self._value_of(metrics))]
        for node, value in reached:
            reached += _step(node, value, found)
        return found

    def _value_of(self, metrics: bytes) -> Any:
        if not (self._is_repeated or _MINUS_ZERO.search(metrics)):
            with suppress(msgspec.MsgspecError):  # of a number that has hundreds of digits
                return _decode(metrics)
        return rawjson.parse(metrics)


class _Node:
    """A place on the way: what is wanted here, by its index, and what is below it."""

    __slots__ = ("elements", "ends", "every", "members")

    def __init__(self) -> None:
        self.ends: list[int] = []
        self.members: dict[tuple[str, int], _Node] = {}
        #: By the names of the members that tell elements apart, then by their values and the number.
        self.elements: dict[tuple[str, ...], dict[tuple[tuple[str | None, ...], int], _Node]] = {}
        self.every: _Node | None = None

    def child(self, step: Step) -> "_Node":
        """Return the node below a step."""
        if isinstance(step, EllipsisType):
            self.every = self.every or _Node()
            return self.every
        what, number = step
        if isinstance(what, str):
            return self.members.setdefault((what, number), _Node())
        names, values = tuple(name for name, _ in what), tuple(value for _, value in what)
        return self.elements.setdefault(names, {}).setdefault((values, number), _Node())


def _step(node: _Node, value: Any, found: list[list[Any]]) -> Iterator[tuple[_Node, Any]]:
    """Add to ``found`` what is wanted at a node, and yield each node below it with its value."""
    for index in node.ends:
        found[index].append(value)
    if node.members:
        members = _members_of(value)
        for (key, number), child in node.members.items():
            step = (key, number) if number else key
            if step in members:
                yield child, members[step]
    if node.elements or node.every:
        elements = value if type(value) is list else []
        if node.every:
            yield from _step_to_every(node.every, elements, found)
        if node.elements:
            yield from _step_to_elements(node.elements, elements)


def _step_to_every(node: _Node, elements: list[Any], found: list[list[Any]]) -> Iterator[tuple[_Node, Any]]:
    """Step into all elements; where they are flat, the members of all are taken in one go."""
    is_flat = not (node.ends or node.elements or node.every) and all(
        not (number or child.members or child.elements or child.every) for (_, number), child in node.members.items()
    )
    if not is_flat or not all(type(element) is dict for element in elements):
        yield from ((node, element) for element in elements)
        return
    for (key, _), child in node.members.items():
        values = [element[key] for element in elements if key in element]
        for index in child.ends:
            found[index] += values


def _step_to_elements(
    wanted: dict[tuple[str, ...], dict[tuple[tuple[str | None, ...], int], _Node]], elements: list[Any]
) -> Iterator[tuple[_Node, Any]]:
    by_most_names = sorted(wanted, key=len, reverse=True)
    seen: Counter[tuple[tuple[str, ...], tuple[str | None, ...]]] = Counter()
    for element in elements:
        members = dict(element) if type(element) in (dict, rawjson.Pairs) else {}
        for names in by_most_names:
            values = tuple([text_of(members.get(name)) for name in names])
            if None not in values:
                child = wanted[names].get((values, seen[names, values]))
                seen[names, values] += 1
                if child is not None:
                    yield child, element
                break


def _members_of(value: Any) -> dict[Any, Any]:
    """Return the members of an object: by key the first, by key and number the others; none of what is no object."""
    if type(value) is not rawjson.Pairs:
        return value if type(value) is dict else {}
    again: Counter[str] = Counter()
    members: dict[Any, Any] = {}
    for key, member in value:
        members[(key, again[key]) if again[key] else key] = member
        again[key] += 1
    return members


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
