"""The tables, as SQLAlchemy knows them; the migrations make them, and a test compares the two.

    items     the newest version of each key, a deletion included
    versions  what it superseded, in collections with a history
    shards    a random mark for each part of a collection, another one after each write in it; see listing.py
    leases    what one process of a deployment has for a time; see lease.py

Values are bytes, since a type of the database for JSON would write numbers anew. Keys are compared byte by byte. Times
are those of the storage's clock, as the text that it writes.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Index,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
)

metadata = MetaData()
BYTEWISE = Text(collation="C")


def _version_columns() -> list[Column[object]]:
    return [
        Column("version", BigInteger, nullable=False),
        Column("changed_at", BYTEWISE, nullable=False),
        Column("changed_by", Text, nullable=False),
        Column("revision", BYTEWISE, nullable=False),
        Column("kept", Boolean, nullable=False),
        Column("value", LargeBinary, comment="null in a deletion"),
    ]


# A part of each page stays free, so that an update needs no new entry in an index.
items = Table(
    "items",
    metadata,
    Column("collection", BYTEWISE, nullable=False),
    Column("key", BYTEWISE, nullable=False),
    Column("shard", SmallInteger, nullable=False),
    *_version_columns(),
    PrimaryKeyConstraint("collection", "key"),
    Index("items_by_shard", "collection", "shard"),
    postgresql_with={"fillfactor": "70"},
)
versions = Table(
    "versions",
    metadata,
    Column("collection", BYTEWISE, nullable=False),
    Column("key", BYTEWISE, nullable=False),
    *_version_columns(),
    PrimaryKeyConstraint("collection", "key", "version"),
)
shards = Table(
    "shards",
    metadata,
    Column("collection", BYTEWISE, nullable=False),
    Column("shard", SmallInteger, nullable=False),
    Column("mark", BigInteger, nullable=False),
    PrimaryKeyConstraint("collection", "shard"),
    postgresql_with={"fillfactor": "50"},
)
leases = Table(
    "leases",
    metadata,
    Column("name", BYTEWISE, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("holder", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("expires", DateTime(timezone=True), nullable=False),
    PrimaryKeyConstraint("name"),
)
