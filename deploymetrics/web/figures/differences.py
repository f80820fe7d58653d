"""Differences between two JSON values, leaf by leaf."""

from itertools import islice
from typing import NamedTuple

from ...documents.values.identity import Shape, survey
from ...documents.values.places import Place, leaf_text, leaves, places_by_name, shorten
from ...formats import rawjson

MAX_LEAVES = 20_000
MAX_DIFFERENCES = 500
MAX_TEXT = 300
_NONE = object()


class Difference(NamedTuple):
    """A difference at a place: its name, its values before and after or None, and added, removed or changed."""

    name: str
    before: str | None
    after: str | None
    kind: str


class Comparison(NamedTuple):
    """The comparison of two JSON values.


    ``rows`` are Differences; ``same`` counts the equal leaves, ``more`` the differences not in ``rows``. ``cut``
    says that a value has more leaves than were compared, ``rewritten`` that no value differs but the text does.
    """

    rows: list[Difference]
    same: int
    more: int
    cut: bool
    rewritten: bool


def compare(before: bytes | None, after: bytes | None) -> Comparison:
    """Compare two compact JSON texts; None stands for a deletion."""
    values = [rawjson.parse(bytes(text)) for text in (before, after) if text is not None]
    root, shape = Place(), survey(reversed(values))
    old, old_cut = _leaves(values[0], root, shape) if before is not None else ({}, False)
    new, new_cut = _leaves(values[-1], root, shape) if after is not None else ({}, False)
    places = places_by_name({**new, **old})
    differences: list[Difference] = []
    for name, place in places.items():
        old_leaf, new_leaf = old.get(place, _NONE), new.get(place, _NONE)
        if type(old_leaf) is not type(new_leaf) or old_leaf != new_leaf:  # the number 3 is not the text "3"
            kind = "added" if old_leaf is _NONE else "removed" if new_leaf is _NONE else "changed"
            differences.append(Difference(name, _leaf_json(old_leaf), _leaf_json(new_leaf), kind))
    number_left_out = max(len(differences) - MAX_DIFFERENCES, 0)
    cut = old_cut or new_cut
    is_rewritten = not differences and not cut and before != after
    return Comparison(differences[:MAX_DIFFERENCES], len(places) - len(differences), number_left_out, cut, is_rewritten)


def _leaves(value: object, root: Place, shape: Shape) -> tuple[dict[Place, object], bool]:
    """Return the first leaves by Place, and True if there are more."""
    all_leaves = leaves(value, root, shape)
    return dict(islice(all_leaves, MAX_LEAVES)), next(all_leaves, None) is not None


def _leaf_json(leaf: object) -> str | None:
    if leaf is _NONE:
        return None
    return shorten(rawjson.quote(leaf) if type(leaf) is str else leaf_text(leaf), MAX_TEXT)
