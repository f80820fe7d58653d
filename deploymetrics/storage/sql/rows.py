"""Items as rows of the tables, and the shard of a collection that a key is in.

The revision of a version is the one that the files would give it, so the ETags of clients outlive a move.
"""

import zlib
from typing import Any

from ...errors import DamagedItemError
from .. import Collection, Item, lines

SHARDS = 128
#: The columns of ``fields`` and ``lines.item_of``, as they stand in statements.
COLUMNS = "version, changed_at, changed_by, revision, kept, value"
Row = tuple[int, str, str, str, bool, bytes | None]


def shard_of(key: str) -> int:
    """Return the number of the shard of a collection that a key is in."""
    return zlib.crc32(key.encode()) % SHARDS


def fields(item: Item) -> dict[str, Any]:
    """Return the row of an Item, by the names of the columns, with a new revision."""
    return {name: getattr(item, name) for name in COLUMNS.split(", ")} | {"revision": revision_of(item)}


def revision_of(item: Item) -> str:
    """Return the revision of an Item, which is that of its line."""
    return lines.revision_of(lines.line_of(item))


def check(collection: Collection, key: str, row: Row) -> str:
    """Return the damage of a row as a sentence, or an empty text."""
    try:
        item = lines.item_of(collection, key, *row)
    except DamagedItemError as error:
        return error.log or error.detail
    return "" if item.revision == revision_of(item) else "the row is not what was written: its revision is another"
