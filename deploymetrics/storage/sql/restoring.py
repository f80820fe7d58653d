"""All versions of a key at once, in the transaction that an import is."""

from collections.abc import Iterator
from itertools import chain, zip_longest
from typing import Any

from ...errors import ConflictError
from .. import Item
from . import rows, statements
from .connection import Connection

_COPY = f"COPY versions (collection, key, {rows.COLUMNS}) FROM STDIN"


def restore(connection: Connection, where: dict[str, Any], items: Iterator[Item]) -> bool:
    """Store the Items as all versions of a key; False, and nothing is taken from ``items``, if it is there already."""
    first = Item(where["key"], None, None, 0, "", "", "", deleted=True)
    # A row that nobody sees yet holds off whoever creates the same key meanwhile.
    if not connection.execute(statements.CREATE, where | rows.fields(first)).rowcount:
        return False
    last = next(items, None)
    with connection.cursor().copy(_COPY) as copy:
        for item in items:
            if last:
                copy.write_row((where["collection"], where["key"], *rows.fields(last).values()))
            last = item
    if last is None:
        connection.execute(statements.REMOVE, where)
    else:
        connection.execute(statements.UPDATE, where | rows.fields(last))
    return True


def check_same(key: str, existing: Iterator[Item], items: Iterator[Item]) -> None:
    """Raise ConflictError unless the existing versions end with all of the Items."""
    first = next(items, None)
    if first is None:
        return
    existing = (item for item in existing if item.version >= first.version)
    for one, two in zip_longest(existing, chain([first], items)):
        if one is None or two is None or rows.fields(one) != rows.fields(two):
            raise ConflictError(f"There are other versions of {key!r} already; they were left as they are.")
