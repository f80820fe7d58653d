"""The identity of an array's elements: which members name each, so that their order does not matter.

An array of objects is a list of things, such as hosts, and a client may send it in another order each time. What names
a thing is looked for in all documents that are looked at together: a member that has another value in each element of
every array at that place, names such as ``id`` and ``host`` first, then other text; where none does, several members
together. Elements that nothing tells apart are told apart by their place among those that are alike.
"""

import re
from collections.abc import Iterable
from itertools import chain

from ...formats import rawjson
from .numbers import is_number

#: (name, value) of the members that name an element; empty where none does.
Identity = tuple[tuple[str, str], ...]

_NAMES = ("id", "uuid", "guid", "key", "name", "hostname", "host", "computer")
_NAMING = re.compile(
    r"(?i:.*(?:name|uuid|guid|host|computer|server|relay|device|node|site|address|serial)"
    r"|(?:.*[^a-z])?(?:id|key|ip|port))|.*[a-z]I[dD]"
)
#: Names of numbers that count nothing.
_NO_COUNT = re.compile(r"(?i:uuid|guid|.*serial(?:_?number)?)|(?i:(?:.*[^a-z])?(?:id|key|ip|port))|.*[a-z]I[dD]")
#: What a thing is at the moment says less about which one it is.
_CHANGING = re.compile(r"(?i).*(?:stat(?:e|us)|health|result|message|reason|version|date|time|level|unit)")
MAX_CANDIDATES = 8


class Shape:
    """What several documents have in common at a place: the names that identify the elements of its arrays."""

    __slots__ = ("_choices", "_fallback", "children")

    def __init__(self) -> None:
        #: The shapes of members by their key, and that of an array's elements by None.
        self.children: dict[str | None, Shape] = {}
        #: Names that tell all elements apart in every array so far, best first; None before an array with several.
        self._choices: list[tuple[str, ...]] | None = None
        self._fallback: tuple[str, ...] = ()

    def add_array(self, array: list[object]) -> None:
        """Take account of one more array: drop the names that do not tell its elements apart."""
        things = [dict(element) for element in array if type(element) is rawjson.Pairs]
        if len(things) < 2:
            return
        if self._choices is None:
            self._choices, self._fallback = _choices(things)
        self._choices = [names for names in self._choices if _tell_apart(names, things)]

    def identity(self, element: object) -> Identity:
        """Return the Identity of an element of the arrays at this place."""
        if type(element) is not rawjson.Pairs:
            return ()
        if self._choices is None:  # one thing, whatever is said of it, unless it has a name of its own
            members = {key.casefold(): (key, value) for key, value in element if _is_text(value)}
            return next(((members[name],) for name in _NAMES if name in members), ())
        names = self._choices[0] if self._choices else self._fallback
        values = dict(element)
        return tuple((name, values[name]) for name in names if _is_text(values.get(name)))


def is_naming(key: str) -> bool:
    """Return True if a number under this key identifies a thing, as ``id`` does, rather than counts something."""
    return key.casefold() in _NAMES or _NO_COUNT.fullmatch(key) is not None


def survey(values: Iterable[object]) -> Shape:
    """Return the Shape of several documents, as ``rawjson.parse`` returned them."""
    root = Shape()
    stack = [(root, value) for value in values][::-1]
    while stack:
        shape, inner = stack.pop()
        if type(inner) is list:
            shape.add_array(inner)
        for child in inner if isinstance(inner, list) else ():
            key, value = child if type(inner) is rawjson.Pairs else (None, child)
            if isinstance(value, list) and value:
                if key not in shape.children:
                    shape.children[key] = Shape()
                stack.append((shape.children[key], value))
    return root


def _choices(things: list[dict[str, object]]) -> tuple[list[tuple[str, ...]], tuple[str, ...]]:
    """Return the lists of names that may identify things, best first, and the names to take if none of them does."""
    ranks: dict[str, int] = {}
    for name, value in chain.from_iterable(thing.items() for thing in things):
        rank = _rank(name, value)
        if rank is not None:
            ranks.setdefault(name, rank)
    names = sorted(ranks, key=ranks.__getitem__)  # which keeps their order within a rank
    best = names[:MAX_CANDIDATES]
    together = [tuple(best[:count]) for count in range(2, len(best) + 1)]
    naming = [name for name in names if ranks[name] < 2]
    return [*((name,) for name in best), *together], tuple(naming or names)


def _rank(name: str, value: object) -> int | None:
    """Rank a member by how well it tells which thing an object is: 0 is best, None if it does not."""
    if not _is_text(value):
        return None
    if name.casefold() in _NAMES:
        return 0
    if _NAMING.fullmatch(name):
        return 1
    if is_number(value):
        return None
    return 3 if _CHANGING.fullmatch(name) else 2


def _tell_apart(names: tuple[str, ...], objects: list[dict[str, object]]) -> bool:
    """Return True if no two things have the same values for these names, and each has the first name."""
    texts = {tuple(value if _is_text(value := members.get(name)) else None for name in names) for members in objects}
    return len(texts) == len(objects) and all(_is_text(members.get(names[0])) for members in objects)


def _is_text(value: object) -> bool:
    return type(value) in (str, rawjson.Number)
