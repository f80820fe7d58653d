"""What differs between two JSON values, leaf by leaf. No Flask in here."""

from itertools import islice
from typing import NamedTuple

from ...formats import rawjson
from .flatten import leaves, shorten, shown

MAX_LEAVES = 20_000
MAX_DIFFERENCES = 500
MAX_TEXT = 300


class Difference(NamedTuple):
    """A path and its values before and after, None where there is none; ``kind`` is added, removed, changed or same."""

    path: str
    before: str | None
    after: str | None
    kind: str


class Comparison(NamedTuple):
    """``rows`` are Differences; ``same`` counts the leaves that are alike, ``more`` the differences not in ``rows``.

    ``cut`` says that a value has more leaves than were compared.
    """

    rows: list
    same: int
    more: int
    cut: bool


def compare(before, after):
    """The Comparison of two compact JSON texts; None stands for a version that was deleted."""
    old, old_cut = _leaves(before)
    new, new_cut = _leaves(after)
    rows = [_difference(path, old.get(path), new.get(path)) for path in {**new, **old}]
    changed = [row for row in rows if row.kind != "same"]
    more = max(len(changed) - MAX_DIFFERENCES, 0)
    return Comparison(changed[:MAX_DIFFERENCES], len(rows) - len(changed), more, old_cut or new_cut)


def _leaves(text):
    """{path: (type, value)}, and whether there are more; a path that comes again is numbered."""
    found, counts = {}, {}
    if text is None:
        return found, False
    several = leaves(rawjson.parse(bytes(text)))
    for path, value in islice(several, MAX_LEAVES):
        counts[path] = times = counts.get(path, 0) + 1
        found[path if times == 1 else f"{path} ({times})"] = (type(value), value)
    return found, next(several, None) is not None


def _difference(path, old, new):
    kind = "added" if old is None else "removed" if new is None else "same" if old == new else "changed"
    if kind == "same":
        return Difference(path, None, None, kind)
    return Difference(path, _text(old), _text(new), kind)


def _text(found):
    if found is None:
        return None
    kind, value = found
    text = rawjson.quote(value) if kind is str else shown(value)
    return shorten(text, MAX_TEXT)
