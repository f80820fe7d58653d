"""All versions of a key at once, in the transaction that an import is."""

from collections.abc import Iterator
from typing import Any

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
