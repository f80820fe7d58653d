"""The first tables.

    items     the newest version of each key, a deletion included
    versions  what it superseded, in collections with a history
    shards    a random mark for each part of a collection, another one after each write in it; see listing.py
    leases    what one process of a deployment has for a time; see lease.py

Values are bytes, since a type of the database for JSON would write numbers anew; a deletion has none. Keys are compared
byte by byte. Times are those of the storage's clock, as the text that it writes. A part of some pages stays free, so
that an update needs no new entry in an index.
"""

from alembic import op

revision = "0001"
down_revision = None

_VERSION = """
    version bigint NOT NULL,
    changed_at text COLLATE "C" NOT NULL,
    changed_by text NOT NULL,
    revision text COLLATE "C" NOT NULL,
    kept boolean NOT NULL,
    value bytea"""
TABLES = f"""
CREATE TABLE items (
    collection text COLLATE "C", key text COLLATE "C", shard smallint NOT NULL,{_VERSION},
    PRIMARY KEY (collection, key)
) WITH (fillfactor = 70);
CREATE INDEX items_by_shard ON items (collection, shard);
CREATE TABLE versions (
    collection text COLLATE "C", key text COLLATE "C",{_VERSION},
    PRIMARY KEY (collection, key, version)
);
CREATE TABLE shards (
    collection text COLLATE "C", shard smallint, mark bigint NOT NULL, PRIMARY KEY (collection, shard)
) WITH (fillfactor = 50);
CREATE TABLE leases (
    name text COLLATE "C" PRIMARY KEY, number bigint NOT NULL, holder text NOT NULL, note text NOT NULL,
    expires timestamp with time zone NOT NULL
)"""


def upgrade() -> None:
    """Make the first tables."""
    op.execute(TABLES)
