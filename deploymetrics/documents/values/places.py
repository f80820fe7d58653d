"""Places in documents: the leaves of a JSON value, each at a Place that is the same in every version.

Nothing here recurses, so no stored value can exhaust the stack.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from ...formats import rawjson
from .identity import Identity, Shape

#: The longest name that a key lends to a place, and the longest name of a place; both are cut with an ellipsis.
MAX_KEY = 80
MAX_NAME = 240

_AMBIGUOUS = re.compile(r'[.\[\]"]|^$| \(\d+\)$')


class Place:
    """A place in documents: the whole, the member of an object, or the element of an array.

    Two leaves have the same Place only if they say the same of the same thing. ``step`` leads here from ``parent``: the
    key of a member or the Identity of an element, and which of several that have the same it is.
    """

    __slots__ = ("children", "depth", "parent", "step")

    def __init__(self, parent: "Place | None" = None, step: tuple[str | Identity, int] = ("", 0)) -> None:
        self.parent = parent
        #: How many steps it is below the whole.
        self.depth: int = parent.depth + 1 if parent else 0
        self.step = step
        self.children: dict[tuple[str | Identity, int], Place] = {}

    def is_element(self) -> bool:
        """Return True for an element of an array that had several."""
        return not isinstance(self.step[0], str) and self.parent is not None and len(self.parent.children) > 1

    def name(self, names: "dict[Place, str] | None" = None, *, exact: bool = False) -> str:
        """Return the name of the place for people, such as ``sites.count`` or ``[relay-3].clients``.

        Places may share it; an ``exact`` name puts what could be read in two ways in quotes. ``names`` holds the names
        of places above, and gets those that are found on the way.
        """
        names = {} if names is None else names
        places, place = [], self
        while place.parent is not None and place not in names:
            places.append(place)
            place = place.parent
        text = names.get(place, "")
        for place in reversed(places):
            text = place._append_name(text, exact)
            if place.children:
                names[place] = text
        return text

    def _append_name(self, text: str, exact: bool) -> str:
        label, number = self.step
        if isinstance(label, str):
            name = f"{'.' if text else ''}{_quote_ambiguous(shorten(label, MAX_KEY), exact)}{_number_suffix(number)}"
        elif self._is_only_object():
            name = ""
        elif not label:
            name = f"[{number}]"
        else:
            words = (f"{name} {value}" if exact or value.isdecimal() else value for name, value in label)
            name = f"[{_quote_ambiguous(shorten(', '.join(words), MAX_KEY), exact)}{_number_suffix(number)}]"
        return text if len(text) >= MAX_NAME else shorten(f"{text}{name}", MAX_NAME)

    def column(self) -> list[tuple["Place", bool]]:
        """Return (Place, is_every) from the root, which is left out, down to this one.

        From the first array with several elements on, every one is meant.
        """
        path: list[Place] = []
        place = self
        while place.parent is not None:
            path.insert(0, place)
            place = place.parent
        first = next((index for index, place in enumerate(path) if place.is_element()), len(path))
        return [(place, index >= first and not isinstance(place.step[0], str)) for index, place in enumerate(path)]

    def column_name(self) -> str:
        """Return the name of this place in all elements of its arrays: ``[].load``."""
        text = ""
        for place, is_every in self.column():
            text = f"{text}[]" if is_every else place._append_name(text, exact=False)
        return text

    def _is_only_object(self) -> bool:
        """Return True for an object that is the only element an array here ever had, so that its name is left out."""
        return (
            self.parent is not None
            and len(self.parent.children) == 1
            and any(isinstance(label, str) for label, _ in self.children)
        )


def leaves(value: object, root: Place, shape: Shape) -> Iterator[tuple[Place, object]]:
    """Yield (Place, value) of every leaf of a document in order; empty arrays and objects are leaves too.

    ``value`` is what ``rawjson.parse`` returned, ``root`` the Place of whole documents, and ``shape`` a survey of all
    documents that use it.
    """
    stack = [iter([(root, shape, value)])]
    while stack:
        for place, inner, content in stack[-1]:
            if isinstance(content, list) and content:
                stack.append(_children(place, inner, content))
                break
            yield place, content
        else:
            stack.pop()


def places_by_name(places: Iterable[Place]) -> dict[str, Place]:
    """Return the Places by name, in their order; names are made exact, or numbered, where two would be the same."""
    names: dict[Place, str] = {}
    exact_names: dict[Place, str] = {}
    named_places = [(place.name(names), place) for place in places]
    times = Counter(name for name, _ in named_places)
    by_name: dict[str, Place] = {}
    counts: Counter[str] = Counter()
    for name, place in named_places:
        first = name = name if times[name] == 1 else place.name(exact_names, exact=True)
        while name in by_name:
            counts[first] += 1
            name = f"{first}{_number_suffix(counts[first])}"
        by_name[name] = place
    return by_name


def shorten(text: str, limit: int) -> str:
    """Return a text, cut to ``limit`` characters with an ellipsis if it is longer."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def leaf_text(value: object) -> str:
    """Return a leaf as text for people: a text as it is, any other value as JSON."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, list):
        return ("{}" if type(value) is rawjson.Pairs else "[]") if not value else "…"
    return "null" if value is None else "true" if value else "false"


def _children(place: Place, shape: Shape, content: list[Any]) -> Iterator[tuple[Place, Shape, object]]:
    """Yield (Place, Shape, value) of the members of an object, or the elements of an array."""
    counts: dict[str | Identity, int] = {}
    is_object = type(content) is rawjson.Pairs
    for child in content:
        label, key, value = (child[0], *child) if is_object else (shape.identity(child), None, child)
        number = counts.get(label, 0)
        counts[label] = number + 1
        step = label, number
        if step not in place.children:
            place.children[step] = Place(place, step)
        yield place.children[step], shape.children.get(key, shape), value


def _quote_ambiguous(text: str, exact: bool) -> str:
    return rawjson.quote(text) if exact and _AMBIGUOUS.search(text) else text


def _number_suffix(number: int) -> str:
    return f" ({number + 1})" if number else ""
