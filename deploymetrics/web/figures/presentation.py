"""How a document is laid out for a person: as facts, as a table, or as a tree that folds. No Flask in here."""

from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

from ...documents.values.leaves import shorten, shown
from ...documents.values.numbers import is_number
from ...formats import rawjson

MAX_ROWS = 300
MAX_COLUMNS = 40
MAX_GROUP = 50
MAX_NODES = 1000
MAX_DEPTH = 24
OPEN_NODES = 60
MAX_CELL = 300


class Cell(NamedTuple):
    """A leaf to show: its text, and its class (number, text, none)."""

    text: str
    kind: str


class Group(NamedTuple):
    """A flat array or object within Facts: (key, Cell) pairs, the keys empty for an array, and how many more."""

    rows: list[tuple[str, Cell]]
    more: int


class Facts(NamedTuple):
    """One object: (key, Cell or Group) pairs, and how many more there are."""

    rows: list[tuple[str, Cell | Group]]
    more: int
    form: str = "facts"


class Table(NamedTuple):
    """An array of flat objects: the columns' keys, rows of Cells (None where a key is missing), and how many more."""

    columns: list[str]
    rows: list[list[Cell | None]]
    more: int
    more_columns: int
    form: str = "table"


class Node(NamedTuple):
    """A step through a tree: ``open`` with a key and a note, ``leaf`` with a key and a Cell, or ``close``."""

    step: str
    key: str = ""
    note: str = ""
    cell: Cell | None = None
    unfolded: bool = False


class Tree(NamedTuple):
    """Any other value: Nodes in the order of a walk, and whether it has more."""

    nodes: list[Node]
    more: bool
    form: str = "tree"


def lay_out(value: Any) -> Facts | Table | Tree:
    """Return the Facts, Table or Tree of a value that ``rawjson.parse`` returned."""
    rows = value if type(value) is list else [value]
    if len(rows) == 1 and _is_flat(rows[0], grouped=True):
        return _facts(rows[0])
    return _table(rows) if rows and all(map(_is_flat, rows)) else Tree(*_walk(value))


def cell(value: object) -> Cell:
    """Return the Cell of a leaf."""
    if value == "":
        return Cell('""', "none")
    kind = "number" if is_number(value) else "text" if type(value) is str else "none"
    return Cell(shorten(shown(value), MAX_CELL), kind)


def _is_flat(value: Any, grouped: bool = False) -> bool:
    """Return True for an object with something in it, no key twice, and leaves only, or ``grouped`` flat groups."""
    if type(value) is not rawjson.Pairs or not value or len({key for key, _ in value}) < len(value):
        return False
    members = [member for _, member in value if _holds(member)]
    return not members or grouped and not any(_holds(inner) for member in members for inner in _inner(member))


def _holds(value: object) -> bool:
    return type(value) in (list, rawjson.Pairs)


def _inner(value: Any) -> list[Any]:
    return value if type(value) is list else [member for _, member in value]


def _facts(pairs: rawjson.Pairs) -> Facts:
    rows = [
        (shorten(key, MAX_CELL), _group(value) if _holds(value) and value else cell(value))
        for key, value in islice(pairs, MAX_ROWS)
    ]
    return Facts(rows, max(len(pairs) - MAX_ROWS, 0))


def _group(value: Any) -> Group:
    pairs = value if type(value) is rawjson.Pairs else [("", member) for member in value]
    rows = [(shorten(key, MAX_CELL), cell(member)) for key, member in islice(pairs, MAX_GROUP)]
    return Group(rows, max(len(pairs) - MAX_GROUP, 0))


def _table(rows: list[Any]) -> Table:
    columns = list(dict.fromkeys(key for row in rows for key, _ in row))
    head = columns[:MAX_COLUMNS]
    body = []
    for row in islice(rows, MAX_ROWS):
        members = dict(row)
        body.append([cell(members[key]) if key in members else None for key in head])
    names = [shorten(key, MAX_CELL) for key in head]
    return Table(names, body, max(len(rows) - MAX_ROWS, 0), max(len(columns) - MAX_COLUMNS, 0))


def _walk(value: Any) -> tuple[list[Node], bool]:
    nodes: list[Node] = []
    opened: list[Iterator[tuple[str, Any]]] = [iter([("", value)])]
    while opened:
        key, found = next(opened[-1], (None, None))
        if key is None:
            opened.pop()
            if opened:
                nodes.append(Node("close"))
        elif len(nodes) >= MAX_NODES:
            return nodes + [Node("close")] * (len(opened) - 1), True
        elif type(found) in (list, rawjson.Pairs) and found and len(opened) <= MAX_DEPTH:
            unfolded = len(nodes) < OPEN_NODES
            nodes.append(Node("open", shorten(key, MAX_CELL), _note(found), unfolded=unfolded))
            named = type(found) is rawjson.Pairs
            opened.append(iter(found) if named else ((str(index), one) for index, one in enumerate(found)))
        else:
            nodes.append(Node("leaf", shorten(key, MAX_CELL), cell=cell(found)))
    return nodes, False


def _note(value: Any) -> str:
    what = ("member", "members") if type(value) is rawjson.Pairs else ("item", "items")
    return f"{len(value):,} {what[len(value) != 1]}"
