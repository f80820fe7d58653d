"""Rows of the tables as Items and back, and which part of its collection a key is in.

The revision of a version is the one that the files would give it, so the ETags of clients outlive a move.
"""

import zlib
from typing import Any

import msgspec

from ...clock import from_precise
from ...errors import DamagedItemError
from .. import VERSION_LIMIT, Collection, Item
from ..files import lines

SHARDS = 128
#: The columns of ``fields`` and ``item``, as they stand in statements.
COLUMNS = "version, changed_at, changed_by, revision, kept, value"
Row = tuple[int, str, str, str, bool, bytes | None]


def shard_of(key: str) -> int:
    """Return the number of the part of a collection in which a key is."""
    return zlib.crc32(key.encode()) % SHARDS


def item(collection: Collection, key: str, row: Row) -> Item:
    """Return the Item of a row; raises DamagedItemError."""
    version, changed_at, changed_by, revision, kept, value = row
    record = None
    try:
        from_precise(changed_at)
        if not 0 < version < VERSION_LIMIT:
            raise ValueError("a version that cannot be counted on from")
        if value is not None:
            value.decode()
            record = collection.decode(value)
            if record.key() != key:
                raise ValueError(f"the row says {record.key()!r}")
    except (ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
        raise lines.damaged(collection, key, error) from error
    return Item(key, value, record, version, changed_at, changed_by, revision, value is None, kept)


def fields(item: Item) -> dict[str, Any]:
    """Return the row of an Item by the names of its columns; its revision is made anew."""
    return {name: getattr(item, name) for name in COLUMNS.split(", ")} | {"revision": revision_of(item)}


def revision_of(item: Item) -> str:
    """Return the revision that a version with this content has."""
    return lines.revision_of(lines.line_of(item))


def check(collection: Collection, key: str, row: Row) -> str:
    """Return what is wrong with a row; empty if nothing is."""
    try:
        found = item(collection, key, row)
    except DamagedItemError as error:
        return error.log or error.detail
    return "" if found.revision == revision_of(found) else "the row is not what was written: its revision is another"
