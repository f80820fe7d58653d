"""The SQL statements. The tables are in the migrations."""

from functools import cache

from .rows import COLUMNS

_THE_KEY = "collection = %(collection)s AND key = %(key)s"
_VALUES = "%(version)s, %(changed_at)s, %(changed_by)s, %(revision)s, %(kept)s, %(value)b"

#: What a statement sees, on which server since when; see reading.py.
SNAPSHOT = "SELECT concat(pg_current_snapshot(), ' ', pg_postmaster_start_time())"
#: The number of its row, among those of ``read_all``.
OF_SNAPSHOT = -1
_SNAPSHOT = f"SELECT {OF_SNAPSHOT}, 0, ({SNAPSHOT}), '', '', false, NULL::bytea, false"
#: The newest version; without its value where that is known by its revision.
_READ = """
SELECT {number}, version, changed_at, changed_by, revision, kept,
       CASE WHEN revision = ${third} THEN NULL ELSE value END, value IS NULL
FROM items WHERE collection = ${first} AND key = ${second}"""
#: The marks of all parts of a collection as one number, in the place of a version: it differs where one of them does.
_MARKS = """
SELECT {number}, bit_xor(mark), '', '', '', false, NULL::bytea, false
FROM shards WHERE collection = ${first}"""


@cache
def read_all(*are_lists: bool) -> str:
    """Return one statement that reads several items and lists, and its snapshot; rows begin with the number of each.

    An item has three parameters, collection, key and the revision that is known; a list has one, its collection.
    """
    queries, first = [_SNAPSHOT], 1
    for number, is_list in enumerate(are_lists):
        queries.append(
            (_MARKS if is_list else _READ).format(number=number, first=first, second=first + 1, third=first + 2)
        )
        first += 1 if is_list else 3
    return " UNION ALL ".join(queries)


#: The newest version, which nobody else writes until the transaction ends.
LOCK = f"SELECT {COLUMNS} FROM items WHERE {_THE_KEY} FOR UPDATE"

#: Says in the same transaction as a write that its part of the collection has changed.
MARK = """
INSERT INTO shards (collection, shard, mark) VALUES (%(collection)s, %(shard)s, %(mark)s)
ON CONFLICT (collection, shard) DO UPDATE SET mark = excluded.mark"""

CREATE = f"""
INSERT INTO items (collection, key, shard, {COLUMNS}) VALUES (%(collection)s, %(key)s, %(shard)s, {_VALUES})
ON CONFLICT (collection, key) DO NOTHING"""

#: All versions of a key but the newest, for an import.
COPY = f"COPY versions (collection, key, {COLUMNS}) FROM STDIN"

_UPDATE = f"UPDATE items SET ({COLUMNS}) = ROW ({_VALUES}) WHERE {_THE_KEY}"
UPDATE = f"WITH new AS ({_UPDATE}){MARK}"
#: The same, and the version before goes to the others.
SUPERSEDE = f"""
WITH old AS (
    INSERT INTO versions (collection, key, {COLUMNS}) SELECT collection, key, {COLUMNS} FROM items WHERE {_THE_KEY}
), new AS ({_UPDATE}){MARK}"""
REMOVE = f"WITH gone AS (DELETE FROM items WHERE {_THE_KEY}){MARK}"

_ALL_VERSIONS = f"""(
    SELECT {COLUMNS} FROM items WHERE {_THE_KEY}
    UNION ALL SELECT {COLUMNS} FROM versions WHERE {_THE_KEY}
) AS everything"""
VERSION = f"SELECT {COLUMNS} FROM {_ALL_VERSIONS} WHERE version = %(version)s"
NEWEST_FIRST = f"""
SELECT {COLUMNS} FROM {_ALL_VERSIONS} WHERE version < %(before)s ORDER BY version DESC LIMIT %(limit)s"""
OLDEST_FIRST = f"""
SELECT {COLUMNS} FROM {_ALL_VERSIONS} WHERE version > %(after)s AND version < %(before)s
ORDER BY version LIMIT %(limit)s"""

KEYS = "SELECT key FROM items WHERE collection = %(collection)s ORDER BY key"

#: What is in the parts of a collection that are not as they were when they had these marks.
CHANGED = """
SELECT shards.shard, shards.mark,
       items.key, items.version, items.changed_at, items.changed_by, items.revision, octet_length(items.value)
FROM shards LEFT JOIN items
    ON items.collection = shards.collection AND items.shard = shards.shard AND items.value IS NOT NULL
WHERE shards.collection = %(collection)s
    AND shards.mark IS DISTINCT FROM (%(known)s::bigint[])[shards.shard + 1]"""

#: The values of these versions, in their order.
VALUES = """
SELECT coalesce(items.value, versions.value)
FROM unnest(%(keys)s::text[], %(versions)s::bigint[]) WITH ORDINALITY AS wanted (key, version, number)
LEFT JOIN items ON items.collection = %(collection)s
    AND items.key = wanted.key COLLATE "C" AND items.version = wanted.version
LEFT JOIN versions ON versions.collection = %(collection)s
    AND versions.key = wanted.key COLLATE "C" AND versions.version = wanted.version
ORDER BY number"""

PURGE_ALL = f"DELETE FROM versions WHERE {_THE_KEY}"
PURGE_ONE = f"{PURGE_ALL} AND version = %(version)s"

#: What is past the limits. Times are texts whose first letters are the day, and the hour. A version is as old as the
#: one in the middle of it and the next two: a clock that was wrong once makes none of them older or younger.
#: The array is made once; joined, they would be looked for anew for each version.
THIN = f"""
WITH old AS (
    SELECT version, kept OR value IS NULL AS kept, changed_at,
           lead(changed_at) OVER following AS next_at, lead(changed_at, 2) OVER following AS later_at
    FROM {_ALL_VERSIONS} WHERE version <= %(oldest)s + 2 WINDOW following AS (ORDER BY version)
), aged AS (
    SELECT version, kept, changed_at, next_at,
           greatest(least(changed_at, next_at), least(greatest(changed_at, next_at), later_at)) AS at
    FROM old WHERE version <= %(oldest)s
), gone AS (
    SELECT version FROM aged WHERE NOT (
        at > %(hourly)s AND (kept OR left(changed_at, 13) <> left(next_at, 13))
        OR at > %(daily)s AND left(changed_at, 10) <> left(next_at, 10))
)
{PURGE_ALL} AND version = ANY (ARRAY (SELECT version FROM gone))"""

NEWEST = f"SELECT version FROM items WHERE {_THE_KEY}"
SHARDS = "SELECT key, shard FROM items WHERE collection = %(collection)s ORDER BY key"

#: Versions that no newest one follows.
STRAY = """
SELECT versions.key, 'version ' || versions.version || ' is not followed by a newest one'
FROM versions LEFT JOIN items USING (collection, key)
WHERE collection = %(collection)s AND (items.version IS NULL OR items.version <= versions.version)
ORDER BY versions.key, versions.version"""
