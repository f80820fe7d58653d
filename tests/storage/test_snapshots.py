"""What is remembered counts as long as the database's snapshot is the same, and no longer."""

import itertools
import os
import random
import secrets
import signal
import time
from contextlib import ExitStack, closing

import psycopg
import pytest
import sqlalchemy
from linearizability import Seen, violations
from storekit import THINGS, VOLATILE, in_threads, listed, metrics, put, remove, value
from waiting import wait_for

from deploymetrics.clock import Clock
from deploymetrics.storage import Retention, open_storage
from deploymetrics.storage.sql import rows, schema, statements
from deploymetrics.storage.sql.address import Address
from deploymetrics.storage.sql.connection import Connection


@pytest.fixture
def open_one(database):
    """Make a storage on the same tables."""
    schema.init(Address(database))
    return lambda **options: open_storage(database, "", Clock(), Retention(), **options)


@pytest.fixture
def store(open_one):
    """A storage that has read all there is, more than once."""
    store = open_one()
    put(store, "a")
    put(store, "b")
    for _ in range(3):
        read_all(store)
    return store


@pytest.fixture
def asked(monkeypatch):
    """The statements that are asked from now on by what comes often."""
    statements, find = [], Connection.find
    monkeypatch.setattr(Connection, "find", lambda *args: statements.append(args[1]) or find(*args))
    return statements


@pytest.fixture
def connect(database, postgresql):
    """Make a connection of somebody else to the database."""
    name = sqlalchemy.make_url(database).database
    with ExitStack() as stack:
        yield lambda: stack.enter_context(closing(psycopg.connect(postgresql.conninfo(name))))


def read_all(store):
    """What a request for the list reads, and requests for two documents."""
    found, first = store.read_together(lambda: (listed(store), store.read(THINGS, "a")), (THINGS, "a"), (THINGS, None))
    others = store.read_together(lambda: [store.read(THINGS, key) for key in "bc"], (THINGS, "b"), (THINGS, "c"))
    return found, [item and metrics(item) for item in (first, *others)]


def change(connection, key="a", text="2"):
    """Do by hand what a write does."""
    mark = secrets.randbits(62)
    item = f"version = version + 1, revision = '{mark}', value = %s"
    connection.execute(f"UPDATE items SET {item} WHERE key = %s", [value(key, text), key])
    connection.execute("UPDATE shards SET mark = %s WHERE shard = %s", [mark, rows.shard_of(key)])


def test_while_nothing_changes_the_snapshot_is_all_that_is_asked_for(store, asked):
    assert read_all(store) == ({"a": "1", "b": "1"}, ["1", "1", None])
    assert set(asked[:1]) == {statements.SNAPSHOT}
    asked.clear()
    for _ in range(3):
        found = store.read_together(
            lambda: (metrics(store.read(THINGS, "a")), listed(store)), (THINGS, "a"), (THINGS, None)
        )
        assert found == ("1", {"a": "1", "b": "1"})
        assert metrics(store.read(THINGS, "b")) == "1"
    assert asked == [statements.SNAPSHOT] * 6


def test_who_came_before_another_one_asked_need_not_ask(store, asked):
    read, called_at = lambda: metrics(store.read(THINGS, "a")), time.perf_counter()
    assert [store.read_together(read, (THINGS, "a"), not_before=called_at) for _ in range(3)] == ["1"] * 3
    assert asked == [statements.SNAPSHOT]
    assert store.read_together(read, (THINGS, "a"), not_before=time.perf_counter()) == "1"
    assert asked == [statements.SNAPSHOT] * 2


def test_what_was_read_before_the_database_confirmed_it_does_not_count(store, open_one, asked):
    writer, seen = open_one(), []

    def read():
        seen.append(metrics(store.read(THINGS, "a")))
        if seen[-1] == "1":
            raise KeyError("outdated")
        return seen[-1]

    put(writer, "a", "2")
    asked.clear()
    assert store.read_together(read, (THINGS, "a")) == "2"
    assert seen == ["1", "2"] and asked[0] == statements.SNAPSHOT


def test_what_two_servers_read_while_little_changes_can_have_happened_in_order(store, open_one, asked):
    """Reads that waited for a thread use what was asked for meanwhile."""
    stores, seen, writes = itertools.cycle([store, open_one()]), [], itertools.count(2)

    def client():
        one = next(stores)
        for _ in range(100):
            called = time.perf_counter()
            if random.random() < 0.03:
                text = f"{next(writes)}"
                kind, item = "write", put(one, "a", text)
            else:
                time.sleep(random.choice([0, 0, 0.001, 0.003]))
                kind, item = "read", one.read_together(lambda: one.read(THINGS, "a"), (THINGS, "a"), not_before=called)
                text = metrics(item)
            seen.append(Seen(called, time.perf_counter(), kind, item.version, text))

    seen.append(Seen(0, 0, "write", 1, "1"))
    in_threads(8, client)
    assert list(violations(seen)) == []
    assert statements.SNAPSHOT in asked


def test_a_write_of_another_server_is_seen_at_once(store, open_one, asked):
    writer = open_one()
    for number in range(2, 6):
        put(writer, "a", f"{number}")
        assert read_all(store) == ({"a": f"{number}", "b": "1"}, [f"{number}", "1", None])
    put(writer, "c")
    assert read_all(store) == ({"a": "5", "b": "1", "c": "1"}, ["5", "1", "1"])
    remove(writer, "b")
    assert read_all(store) == ({"a": "5", "c": "1"}, ["5", None, "1"])
    read_all(store), put(writer, "b")
    assert read_all(store)[1] == ["5", "1", "1"]
    assert max(map(asked.count, asked)) <= 12  # a statement that brings nothing is not asked again and again


@pytest.mark.parametrize("how", ["commit", "savepoint", "prepared", "rollback"])
def test_a_transaction_that_was_open_is_seen_once_it_ends(store, connect, asked, how):
    before, other = read_all(store), connect()
    if how == "prepared":
        other.tpc_begin("later")
    elif how == "savepoint":
        other.execute("SAVEPOINT within")
    change(other)
    if how == "prepared":
        other.tpc_prepare()
    elif how == "savepoint":
        other.execute("RELEASE within")
    for _ in range(4):
        assert read_all(store) == before
    assert asked[-2] == statements.SNAPSHOT  # it does not matter that somebody is at work
    if how == "rollback":
        other.rollback()
        assert read_all(store) == before
    else:
        other.tpc_commit() if how == "prepared" else other.commit()
        assert read_all(store) == ({"a": "2", "b": "1"}, ["2", "1", None])


def test_transactions_that_end_in_another_order_are_seen(store, connect):
    first, second = connect(), connect()
    change(first, "a")
    change(second, "b")
    second.commit()
    for _ in range(3):
        assert read_all(store) == ({"a": "1", "b": "2"}, ["1", "2", None])
    first.commit()
    assert read_all(store) == ({"a": "2", "b": "2"}, ["2", "2", None])


def test_a_server_that_lost_and_repeats_its_numbers_is_not_believed(store, open_one, connect, postgresql):
    """Two of its processes crash before the log is on the disk, and the next transaction gets the same number.

    They are those that would bring it there by themselves, so they stand still before there is anything to bring.
    """
    put(store, "v", "1", collection=VOLATILE)
    started, snapshot = "SELECT pg_postmaster_start_time()::text", "SELECT pg_current_snapshot()::text"
    writers = "SELECT array_agg(pid) FROM pg_stat_activity WHERE backend_type IN ('walwriter', 'background writer')"
    witness = connect()
    witness.autocommit = True
    postgresql.ask("CHECKPOINT")
    since, pids = postgresql.ask(started), postgresql.ask(writers)
    assert len(pids) == 2
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        put(store, "v", "0", collection=VOLATILE)
        for _ in range(3):
            assert metrics(store.read(VOLATILE, "v")) == "0"
        before = postgresql.ask(snapshot)
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
    wait_for(lambda: is_broken(witness), "it to end all connections")
    wait_for(lambda: not is_broken(postgresql), "it to begin anew")
    put(open_one(), "v", "2", collection=VOLATILE)
    assert (postgresql.ask(started), postgresql.ask(snapshot)) == (since, before)
    assert metrics(store.read(VOLATILE, "v")) == "2"


def is_broken(connection):
    try:
        connection.execute("SELECT") if isinstance(connection, psycopg.Connection) else connection.ask("SELECT")
    except psycopg.OperationalError:
        return True
    return False


def test_behind_a_pool_that_shares_connections_nothing_is_taken_for_the_same(open_one, asked):
    store = open_one(prepare=False)
    put(store, "a")
    for _ in range(4):
        read_all(store)
    assert statements.SNAPSHOT not in asked
