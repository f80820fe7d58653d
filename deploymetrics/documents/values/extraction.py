"""Values out of documents by where they stand, without taking the rest of a document apart.

A history is thousands of versions, and an array has thousands of elements; a plot wants five numbers of each. So a
document is opened level by level, as raw text, and only on the way to what is wanted.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
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

_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_rows = msgspec.json.Decoder(list[dict[str, msgspec.Raw]]).decode
_elements = msgspec.json.Decoder(list[msgspec.Raw]).decode
_string = msgspec.json.Decoder(str).decode
_any = msgspec.json.Decoder().decode
_OPENED_LEVELS = 8
_NUMBER_STARTS = frozenset(bytes([byte]) for byte in b"-0123456789")


class Extractor:
    """Extracts what stands at the end of some Steps; all of them at once, so each document is opened once.

    ``repeated`` says that an object may have a key twice. Then, and where what is wanted stands deep, each document is
    parsed as a whole.
    """

    def __init__(self, wanted: Sequence[Steps], *, repeated: bool = False) -> None:
        self._root = _Node()
        self._count = len(wanted)
        # Opened level by level, each level is scanned again with all that is below it.
        self._is_parsed = repeated or max(map(len, wanted), default=0) > _OPENED_LEVELS
        for index, steps in enumerate(wanted):
            node = self._root
            for step in steps:
                node = node.at(step)
            node.ends.append(index)

    def extract(self, metrics: bytes) -> list[list[Any]]:
        """Return for each of the Steps what stands there, for ``text_of`` or ``floats_of``.

        It is one value at most, but for Steps with ``...`` in them.
        """
        found: list[list[Any]] = [[] for _ in range(self._count)]
        # Not by recursion: documents are nested deeper than that goes. What is wanted of one node comes in their order.
        reached: list[tuple[_Node, Any]] = [(self._root, rawjson.parse(metrics) if self._is_parsed else metrics)]
        for node, value in reached:
            reached += _step(node, value, found)
        return found


class _Node:
    """A place on the way: what is wanted here, by its index, and what is below it."""

    __slots__ = ("elements", "ends", "every", "members")

    def __init__(self) -> None:
        self.ends: list[int] = []
        self.members: dict[tuple[str, int], _Node] = {}
        #: By the names of the members that tell elements apart, then by their values and the number.
        self.elements: dict[tuple[str, ...], dict[tuple[tuple[str | None, ...], int], _Node]] = {}
        self.every: _Node | None = None

    def at(self, step: Step) -> "_Node":
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
    """Add to ``found`` what is wanted at a node, and yield each node below it with its value.

    A value is raw text, opened in part, or parsed.
    """
    for index in node.ends:
        found[index].append(value)
    if node.members:
        members = _members_of(value)
        for (key, number), below in node.members.items():
            step = (key, number) if number else key
            if step in members:
                yield below, members[step]
    if node.elements or node.every:
        elements = _elements_of(value)
        if node.every:
            yield from _step_to_every(node.every, elements, found)
        if node.elements:
            yield from _step_to_elements(node.elements, elements)


def _step_to_every(node: _Node, elements: list[Any], found: list[list[Any]]) -> Iterator[tuple[_Node, Any]]:
    """Step into all elements; where they are flat, the members of all are taken in one go."""
    is_flat = not (node.ends or node.elements or node.every) and all(
        not (number or below.members or below.elements or below.every) for (_, number), below in node.members.items()
    )
    if not is_flat or not all(type(element) is dict for element in elements):
        yield from ((node, element) for element in elements)
        return
    for (key, _), below in node.members.items():
        values = [element[key] for element in elements if key in element]
        for index in below.ends:
            found[index] += values


def _step_to_elements(
    wanted: dict[tuple[str, ...], dict[tuple[tuple[str | None, ...], int], _Node]], elements: list[Any]
) -> Iterator[tuple[_Node, Any]]:
    if len(wanted) == 1 and all(type(element) is dict for element in elements):
        ((names, nodes),) = wanted.items()
        if len(names) == 1:
            elements = _with_value(elements, names[0], {str(values[0]) for values, _ in nodes})
    by_most_names = sorted(wanted, key=len, reverse=True)
    seen: Counter[tuple[tuple[str, ...], tuple[str | None, ...]]] = Counter()
    for element in elements:
        members = _named(element) if by_most_names[0] else {}
        for names in by_most_names:
            values = tuple([text_of(members[name]) if name in members else None for name in names])
            if None not in values:
                below = wanted[names].get((values, seen[names, values]))
                seen[names, values] += 1
                if below is not None:
                    yield below, element
                break


def _with_value(elements: list[dict[str, Any]], name: str, texts: set[str]) -> list[Any]:
    """Return the elements whose member of that name may be one of these texts or numbers; compared as raw text."""
    raw = {form.encode() for text in texts for form in (text, rawjson.quote(text))}
    values = ((element, bytes(element[name])) for element in elements if name in element)
    return [element for element, value in values if value in raw or b"\\" in value]


def _members_of(value: Any) -> dict[Any, Any]:
    """Return the members of an object: by key the first, by key and number the others; none of what is no object."""
    if type(value) is not rawjson.Pairs:
        return _named(value)
    again: Counter[str] = Counter()
    members: dict[Any, Any] = {}
    for key, member in value:
        members[(key, again[key]) if again[key] else key] = member
        again[key] += 1
    return members


def _named(value: Any) -> dict[str, Any]:
    """Return the members of an object by key; none of what is no object."""
    if isinstance(value, dict):
        return value
    if type(value) is rawjson.Pairs:
        return dict(value)
    try:
        return _members(value) if isinstance(value, bytes | msgspec.Raw) else {}
    except msgspec.DecodeError:
        return {}


def _elements_of(value: Any) -> list[Any]:
    """Return the elements of an array; none of what is no array."""
    if not isinstance(value, bytes | msgspec.Raw):
        return value if type(value) is list else []
    for decode in (_rows, _elements):
        try:
            return decode(value)
        except msgspec.DecodeError:
            continue
    return []


def text_of(value: Any) -> str | None:
    """Return the text, or a number's digits; None for all else."""
    if isinstance(value, str):
        return str(value)
    if not isinstance(value, bytes | msgspec.Raw):
        return None
    raw = bytes(value)
    if raw[:1] == b'"':
        return _string(raw) if b"\\" in raw else raw[1:-1].decode()
    return raw.decode() if raw[:1] in _NUMBER_STARTS else None


def floats_of(values: list[Any]) -> list[float]:
    """Return the numbers among many values, all at once."""
    try:
        found = _any(b"[%b]" % b",".join(values))
        return [number for value in found if (number := _float(value)) is not None]
    except (TypeError, msgspec.DecodeError, OverflowError):  # parsed values, or one beyond all floating-point numbers
        pass
    return [as_float(text) for text in map(text_of, values) if text is not None and is_number(text)]


def _float(value: Any) -> float | None:
    if type(value) is float or type(value) is int:
        return float(value)
    return as_float(value) if is_number(value) else None
