"""The layout of a document for a person: an object as key and value, a table, or a tree that folds."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from ...documents.values.numbers import as_float, is_number, shorten_number
from ...documents.values.places import leaf_text, shorten
from ...formats import rawjson
from ...formats.escaping import counted
from ..paging import paginate

MAX_ROWS = 100
MAX_FACTS = 300
MAX_TABLES = 20
MAX_COLUMNS = 40
MAX_GROUP = 50
MAX_NODES = 1000
MAX_DEPTH = 24
OPEN_NODES = 60
MAX_CELL = 300
MAX_TEXT = 120
MAX_WHOLE = 4000
_WORDS = frozenset(("", "null", "true", "false"))


class Cell(NamedTuple):
    """A leaf to show: its text, cut if need be, its CSS class (number, text, none), and the whole text if it is cut."""

    text: str
    kind: str
    whole: str = ""


class Facts(NamedTuple):
    """An object laid out as (key, Cell) rows; ``more`` counts the members that are left out.

    Where it holds a flat array or object that is Facts as well, with empty keys for an array.
    """

    rows: "list[tuple[str, Cell | Facts]]"
    more: int
    form: str = "facts"


class Table(NamedTuple):
    """An array of flat objects laid out as a table: keys of columns, and a page of rows of Cells (None for no value).

    ``matches`` counts the rows that match the search, ``more_columns`` the columns that are left out.
    """

    columns: list[str]
    rows: list[list[Cell | None]]
    matches: int
    page: int
    pages: int
    more_columns: int
    form: str = "table"


class Node(NamedTuple):
    """A step of a walk through a tree: ``open`` with a key and a note, ``leaf`` with a key and a Cell, or ``close``."""

    step: str
    key: str = ""
    note: str = ""
    cell: Cell | None = None
    unfolded: bool = False


class Tree(NamedTuple):
    """Any other value laid out as a tree: the Nodes of a walk, and ``more`` if some are left out."""

    nodes: list[Node]
    more: bool
    form: str = "tree"


def lay_out(value: Any, find: str = "", sort: str = "", page: int = 1) -> Facts | Table | Tree:
    """Lay out a value, as ``rawjson.parse`` returned it, as Facts, a Table or a Tree.

    ``find`` is a text that a row of a table holds, ``sort`` the column to sort by, with ``-`` downwards.
    """
    rows = value if type(value) is list else [value]
    if len(rows) == 1 and _is_flat(rows[0], grouped=True):
        return _lay_out_object(rows[0])
    return _lay_out_table(rows, find, sort, page) if rows and all(map(_is_flat, rows)) else Tree(*_walk_tree(value))


def tables_in(value: Any) -> dict[str, list[Any]]:
    """Return the arrays within a value that can be shown as a table, by the name of their place."""
    arrays: dict[str, list[Any]] = {}
    queue: list[tuple[str, Any]] = [("", value)]
    while queue and len(arrays) < MAX_TABLES:
        name, inner = queue.pop(0)
        if type(inner) is list:
            if name and len(inner) > 1 and all(map(_is_flat, inner)):
                arrays.setdefault(name, inner)
            elif len(inner) == 1:
                queue.append((name, inner[0]))
        elif type(inner) is rawjson.Pairs:
            queue += [
                (f"{name}{'.' if name else ''}{shorten(key, MAX_CELL)}", member)
                for key, member in inner
                if isinstance(member, list)
            ]
    return arrays


def cell(value: object) -> Cell:
    """Return the Cell of a leaf; a text that looks like another value is in quotes: ``"3"``, ``"null"``."""
    text = leaf_text(value)
    if type(value) is str:
        if is_number(value) or value in _WORDS or value != value.strip():
            text = rawjson.quote(value)
        short, kind = shorten(text, MAX_TEXT), "text" if value else "none"
    else:
        short, kind = (shorten_number(text), "number") if is_number(value) else (text, "none")
    # Very long texts are whole in the document as JSON.
    return Cell(short, kind, "" if text == short else shorten(text, MAX_WHOLE))


def _is_flat(value: Any, grouped: bool = False) -> bool:
    """Return True for an object with members, no key twice, and only leaves, or if ``grouped`` also flat groups."""
    if type(value) is not rawjson.Pairs or not value or len({key for key, _ in value}) < len(value):
        return False
    members = [_pairs_of(member) for _, member in value if isinstance(member, list)]
    return not members or grouped and not any(isinstance(inner, list) for pairs in members for _, inner in pairs)


def _pairs_of(value: Any) -> list[tuple[str, Any]]:
    """Return the members of an object, or the elements of an array, as (key, value), with empty keys for an array."""
    return value if type(value) is rawjson.Pairs else [("", member) for member in value]


def _lay_out_object(pairs: list[tuple[str, Any]], most: int = MAX_FACTS) -> Facts:
    rows: list[tuple[str, Cell | Facts]] = []
    for key, value in pairs[:most]:
        is_group = isinstance(value, list) and value
        rows.append((shorten(key, MAX_CELL), _lay_out_object(_pairs_of(value), MAX_GROUP) if is_group else cell(value)))
    return Facts(rows, max(len(pairs) - most, 0))


def _lay_out_table(rows: list[Any], find: str, sort: str, page: int) -> Table:
    columns = list(dict.fromkeys(key for row in rows for key, _ in row))
    head = columns[:MAX_COLUMNS]
    dicts = [dict(row) for row in rows]
    if find:
        word = find.casefold()
        dicts = [row for row in dicts if any(word in leaf_text(value).casefold() for value in row.values())]
    column = sort.removeprefix("-")
    if column in columns:
        with_column = [row for row in dicts if column in row]
        with_column.sort(key=lambda row: _sort_key(row[column]), reverse=sort.startswith("-"))
        dicts = with_column + [row for row in dicts if column not in row]
    page_rows, page, pages = paginate(dicts, page, MAX_ROWS)
    body = [[cell(row[key]) if key in row else None for key in head] for row in page_rows]
    return Table(head, body, len(dicts), page, pages, max(len(columns) - MAX_COLUMNS, 0))


def _sort_key(value: object) -> tuple[int, float, str]:
    """Return the sort key of a value: numbers by their size, after all other values."""
    return (1, as_float(str(value)), "") if is_number(value) else (0, 0, leaf_text(value).casefold())


def _walk_tree(value: Any) -> tuple[list[Node], bool]:
    """Return the Nodes of a walk through a value, and True if there are more than MAX_NODES."""
    nodes: list[Node] = []
    stack: list[Iterator[tuple[str, Any]]] = [iter([("", value)])]
    while stack:
        key, inner = next(stack[-1], (None, None))
        if key is None:
            stack.pop()
            if stack:
                nodes.append(Node("close"))
        elif len(nodes) >= MAX_NODES:
            return nodes + [Node("close")] * (len(stack) - 1), True
        elif isinstance(inner, list) and inner and len(stack) <= MAX_DEPTH:
            unfolded = len(nodes) < OPEN_NODES
            is_object = type(inner) is rawjson.Pairs
            note = counted(len(inner), "member" if is_object else "item", ",")
            nodes.append(Node("open", shorten(key, MAX_CELL), note, unfolded=unfolded))
            stack.append(iter(inner) if is_object else ((str(index), element) for index, element in enumerate(inner)))
        else:
            nodes.append(Node("leaf", shorten(key, MAX_CELL), cell=cell(inner)))
    return nodes, False
