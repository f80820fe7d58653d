"""The storage in PostgreSQL, for more than one server: any number of them beside each other on one database.

A write is one transaction. It locks the row of its key, asks ``change``, puts the version before beside the others,
and says that its part of the collection has changed. A reader takes no lock. What a process remembers it uses only
after the database has confirmed it (``reading.py``).
"""

import logging
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any

from psycopg.errors import SerializationFailure

from ...clock import Clock, as_precise, from_precise
from ...errors import SettingError, StorageError
from .. import VERSION_LIMIT, Change, Collection, Item, Listing, Retention, Storage, T, file_names, lines
from . import rows, statements
from .address import Address
from .connection import Connection
from .connections import Connections
from .lease import SqlLease
from .listing import ShardListing
from .reading import Reader, Wanted
from .schema import check_schema

_log = logging.getLogger(__name__)
#: Old versions are thinned out at each write whose version is a multiple of this.
THIN_EACH = 64
#: About so many bytes of a history are in memory at a time, and so many versions at first.
_BATCH_BYTES = 2**21
_FIRST_BATCH = 4
_MOST = 500


class SqlStorage(Storage):
    """The storage in PostgreSQL; ``seconds`` is the longest wait for an answer of the database.

    ``prepare`` has the database prepare the statements that come often; not behind a PgBouncer in transaction mode.
    """

    reads_wait = True

    def __init__(
        self, url: str, clock: Clock, limits: Retention, *, seconds: float = 5.0, prepare: bool = True
    ) -> None:
        self.clock = clock
        self.limits = limits
        self.address = Address(url)
        self._connections = Connections(self.address, seconds, prepare=prepare, check=check_schema)
        self._reader = Reader(self._connections, prepare=prepare)
        self._listings: dict[str, ShardListing] = {}
        self._lease: SqlLease | None = None

    # Reading

    def check(self) -> None:
        self._connections.rows("SELECT FROM items, versions, shards, leases LIMIT 0")

    def read(self, collection: Collection, key: str) -> Item | None:
        return self._reader.item(collection, key)

    def read_together(self, work: Callable[[], T], *wanted: Wanted, not_before: float | None = None) -> T:
        return self._reader.read_together(work, wanted, not_before)

    def waiting_once(self) -> AbstractContextManager[None]:
        return self._connections.waiting_once()

    def items(self, collection: Collection) -> Listing:
        listing = self._listings.get(collection.name)
        if listing is None:
            listing = self._listings.setdefault(collection.name, ShardListing(collection, self._connections.rows))
        return listing.at(self._reader.marks(collection)) or listing.current()

    def history(
        self, collection: Collection, key: str, before: int | None = None, *, oldest_first: bool = False
    ) -> Iterator[Item]:
        for row in self._history(collection, key, before, oldest_first):
            yield lines.item_of(collection, key, *row)

    def _history(self, collection: Collection, key: str, before: int | None, oldest_first: bool) -> Iterator[rows.Row]:
        """Yield the rows of a key's versions, which are read a few at a time."""
        limit, statement = _FIRST_BATCH, statements.OLDEST_FIRST if oldest_first else statements.NEWEST_FIRST
        before = VERSION_LIMIT if before is None else before
        parameters = {"collection": collection.name, "key": key, "before": before, "after": 0}
        if oldest_first:  # what is written meanwhile is not part of it
            for (newest,) in self._connections.rows(statements.NEWEST, parameters):
                parameters["before"] = min(before, newest + 1)
        while batch := self._connections.rows(statement, parameters | {"limit": limit}):
            yield from batch
            if len(batch) < limit:
                return
            parameters["after" if oldest_first else "before"] = batch[-1][0]
            size = max(1, sum(len(row[-1] or b"") for row in batch) // len(batch))
            limit = min(_MOST, 8 * limit, max(1, _BATCH_BYTES // size))

    def version(self, collection: Collection, key: str, version: int) -> Item | None:
        parameters = {"collection": collection.name, "key": key, "version": version}
        for row in self._connections.rows(statements.VERSION, parameters):
            return lines.item_of(collection, key, *row)
        return None

    def keys(self, collection: Collection) -> list[str]:
        return [key for (key,) in self._connections.rows(statements.KEYS, {"collection": collection.name})]

    # Writing

    def write(
        self, collection: Collection, key: str, author: str, change: Change, *, kept: bool = False
    ) -> Item | None:
        def work(connection: Connection) -> Item | None:
            if self._lease and self._lease.is_acquired:
                self._lease.check(connection)
            newest, now = _lock(connection, collection, key), self.clock.now()
            next_version = lines.next_version(collection, key, newest, author, change, now, kept=kept)
            if next_version is None:
                return None
            item, _ = next_version
            _store(connection, collection, newest, item)
            if newest and collection.history and item.version % max(1, min(THIN_EACH, self.limits.versions // 8)) == 0:
                # By the time of the version before: one write under a clock that is ahead must not cost the history.
                self._thin(connection, collection, item, min(now, from_precise(newest.changed_at)))
            return None if item.deleted else item

        self._reader.expect_change()
        return self._connections.transact(work, durable=collection.durable)

    def _thin(self, connection: Connection, collection: Collection, newest: Item, now: datetime) -> int:
        limits = {
            "oldest": newest.version - self.limits.versions,
            "hourly": as_precise(now - timedelta(days=self.limits.hourly_days)),
            "daily": as_precise(now - timedelta(days=self.limits.daily_days)),
        }
        return connection.execute(statements.THIN, _parameters(collection, newest.key) | limits).rowcount

    def restore(self, collection: Collection, key: str, items: Iterable[Item], *, dry_run: bool = False) -> bool:
        remaining = iter(items)

        def work(connection: Connection) -> bool:
            newest = _lock(connection, collection, key)
            if newest is None and (dry_run or _restore(connection, collection, key, remaining)):
                return True
            lines.check_same(key, self.history(collection, key, oldest_first=True), remaining)
            return False

        return self._connections.transact(work, once=True)  # what was taken from ``items`` is gone

    def purge(self, collection: Collection, key: str, author: str, version: int | None = None) -> int:
        def work(connection: Connection) -> int:
            newest, removed, parameters = _lock(connection, collection, key), 0, _parameters(collection, key)
            if newest and version in (None, newest.version):
                change, now = (lambda current, now: None), self.clock.now()
                if deletion := lines.next_version(collection, key, newest, author, change, now, kept=False):
                    _store(connection, collection, newest, deletion[0], keep=False)
                    removed = 1
            if version is None:
                removed += connection.execute(statements.PURGE_ALL, parameters).rowcount
            elif not removed:
                removed = connection.execute(statements.PURGE_ONE, parameters | {"version": version}).rowcount
            return removed

        removed = self._connections.transact(work)
        self._reader.remembered.forget((collection.name, key))
        if removed:
            _log.warning("%s/%s: versions purged by %s: %d", collection.name, file_names.name_of(key), author, removed)
        return removed

    def trim(self, collection: Collection, key: str, now: datetime | None = None) -> int:
        until = now or self.clock.now()

        def work(connection: Connection) -> int:
            newest = _lock(connection, collection, key)
            if newest is None or not collection.history:
                return 0
            removed, oldest = 0, as_precise(until - timedelta(days=self.limits.daily_days))
            if newest.deleted and newest.changed_at < oldest:  # of it stays only that it was deleted
                removed = connection.execute(statements.PURGE_ALL, _parameters(collection, key)).rowcount
            return removed + self._thin(connection, collection, newest, until)

        return self._connections.transact(work, durable=collection.durable)

    def lease(self, name: str) -> SqlLease:
        self._lease = SqlLease(self._connections, name)
        return self._lease

    def verify(self, collection: Collection, *, repair: bool = False) -> Iterator[tuple[str, str]]:
        keys = self.keys(collection)
        for key in keys:
            for row in self._history(collection, key, None, True):
                if damage := rows.check(collection, key, row):
                    yield key, f"version {row[0]}: {damage}"
        for key, sentence in self._connections.rows(statements.STRAY, {"collection": collection.name}):
            yield key, sentence
        for key, shard in self._connections.rows(statements.SHARDS, {"collection": collection.name}):
            if shard != rows.shard_of(key):
                yield key, f"it is in the part {shard} of its collection, where no list looks for its changes"


def open_sql(url: str, clock: Clock, limits: Retention, *, wait: bool = False, **options: Any) -> SqlStorage:
    """Open the storage in PostgreSQL, with ``options`` as SqlStorage has them.

    Raises SettingError where the database cannot be used now, or has the tables of another release. With ``wait`` it
    gives StorageError until it can be used.
    """
    storage = SqlStorage(url, clock, limits, **options)
    if not wait:
        try:
            storage.check()
        except StorageError as error:
            raise SettingError(f"The database {storage.address.text} cannot be used. {error.log}") from error
    return storage


def _parameters(collection: Collection, key: str) -> dict[str, Any]:
    return {"collection": collection.name, "key": key, "shard": rows.shard_of(key), "mark": secrets.randbits(63)}


def _lock(connection: Connection, collection: Collection, key: str) -> Item | None:
    """Lock a key until the transaction ends, and return its newest version, which may be a deletion."""
    row = connection.execute(statements.LOCK, _parameters(collection, key), binary=True).fetchone()
    return lines.item_of(collection, key, *row) if row else None


def _store(
    connection: Connection, collection: Collection, newest: Item | None, item: Item, *, keep: bool = True
) -> None:
    """Store an Item as the newest version; with ``keep`` the version before goes to the history, if there is one."""
    values = _parameters(collection, item.key) | rows.fields(item)
    if newest is None:
        if not connection.execute(statements.CREATE, values).rowcount:
            raise SerializationFailure("another one has created it meanwhile")
        connection.execute(statements.MARK, values)
    elif item.deleted and not collection.history:
        connection.execute(statements.REMOVE, values)
    else:
        connection.execute(statements.SUPERSEDE if collection.history and keep else statements.UPDATE, values)


def _restore(connection: Connection, collection: Collection, key: str, items: Iterator[Item]) -> bool:
    """Store Items as all versions of a key; return False, without reading ``items``, if the key exists already."""
    parameters, first = _parameters(collection, key), Item(key, None, None, 0, "", "", "", deleted=True)
    # A row that nobody sees yet holds off whoever creates the same key meanwhile.
    if not connection.execute(statements.CREATE, parameters | rows.fields(first)).rowcount:
        return False
    last = next(items, None)
    with connection.cursor().copy(statements.COPY) as copy:
        for item in items:
            if last:
                copy.write_row((collection.name, key, *rows.fields(last).values()))
            last = item
    statement, values = (statements.UPDATE, rows.fields(last)) if last else (statements.REMOVE, {})
    connection.execute(statement, parameters | values)
    return True
