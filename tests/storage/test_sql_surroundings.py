"""What somebody has set on the account, the database or the machine changes nothing, or is said."""

import threading
import time
from urllib.parse import quote

import psycopg
import pytest
import sqlalchemy
from storekit import PLAIN, THINGS, in_threads, increment, listed, metrics, past, put, value

from deploymetrics.clock import Clock
from deploymetrics.errors import SettingError, StorageError
from deploymetrics.storage import Retention, open_storage
from deploymetrics.storage.sql import schema
from deploymetrics.storage.sql.address import Address

KEY = "gr\N{LATIN SMALL LETTER U WITH DIAERESIS}n \N{EURO SIGN}"


@pytest.fixture
def name(database):
    """The name of a database with tables."""
    schema.init(Address(database))
    return sqlalchemy.make_url(database).database


@pytest.fixture
def configured(database, name, postgresql):
    """Set something on the database, and open a storage on it that waits for a second."""

    def configure(setting, **options):
        postgresql.ask(f"ALTER DATABASE {name} SET {setting}")
        return open_at(database, **options)

    return configure


def open_at(url, **options):
    return open_storage(url, "", Clock(), Retention(), seconds=1, **options)


@pytest.mark.parametrize("level", ["serializable", "repeatable read"])
def test_writers_take_turns_whatever_isolation_is_usual_there(configured, level):
    store = configured(f"default_transaction_isolation = '{level}'")
    put(store, "n", "0", collection=PLAIN)

    def slowly(current, now):
        time.sleep(0.005)
        return increment(current, now)

    # Else each that is done undoes all others, and who is undone too often gives up.
    in_threads(16, lambda: store.write(PLAIN, "n", "alice", slowly))
    assert metrics(store.read(PLAIN, "n")) == "16"


@pytest.mark.parametrize(
    "setting",
    [
        "client_encoding = 'LATIN1'",
        "bytea_output = 'escape'",
        "DateStyle = 'German'",
        "standard_conforming_strings = off",
    ],
)
def test_texts_are_what_they_were(configured, setting):
    store = configured(setting)
    for author in KEY, "back\\slash":
        written = put(store, KEY, f'"{KEY}"', author)
        assert store.read(THINGS, KEY) == written == next(store.history(THINGS, KEY))
        assert written == store.version(THINGS, KEY, written.version)
    assert listed(store) == {KEY: f'"{KEY}"'} and store.keys(THINGS) == [KEY]
    assert list(store.verify(THINGS)) == []


def test_texts_are_what_they_were_whatever_the_machine_has(name, database, monkeypatch):
    put(open_at(database), KEY)
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    assert open_at(database).read(THINGS, KEY).version == 1


def test_a_lock_is_waited_for_though_the_account_waits_for_none(configured):
    store = configured("lock_timeout = '1ms'")
    put(store, "a")
    entered = threading.Event()

    def change(current, now):
        entered.set()
        time.sleep(0.2)
        return value("a", "2")

    writer = threading.Thread(target=store.write, args=(THINGS, "a", "alice", change))
    writer.start()
    entered.wait()
    assert put(store, "a", "3").version == 3
    writer.join()


def test_a_writer_that_takes_too_long_for_the_account_stores_nothing(configured):
    store = configured("idle_in_transaction_session_timeout = '300ms'")
    calls = []

    def change(current, now):
        calls.append(1)
        time.sleep(0.6 if len(calls) < 4 else 0)
        return value("a")

    with pytest.raises(StorageError) as caught:
        store.write(THINGS, "a", "alice", change)
    assert "idle-in-transaction timeout" in caught.value.log and len(calls) == 2
    assert store.read(THINGS, "a") is None
    store.write(THINGS, "a", "alice", change)  # the first try of this one takes too long as well
    assert past(store, "a") == [(1, "1")] and len(calls) == 4


def test_readers_of_a_locked_table_leave_nothing_behind(configured, name, postgresql):
    store = configured("application_name = 'x'")
    put(store, "a")
    waiting = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}' AND wait_event_type = 'Lock'"
    with psycopg.connect(postgresql.conninfo(name)) as connection:
        connection.execute("LOCK TABLE items IN ACCESS EXCLUSIVE MODE")
        in_threads(3, lambda: pytest.raises(StorageError, store.keys, THINGS))
        assert postgresql.ask(waiting) == 0
    assert store.keys(THINGS) == ["a"]


def test_what_was_prepared_for_other_columns_is_prepared_anew(configured, name, postgresql):
    store = configured("application_name = 'x'")
    for _ in range(8):
        put(store, "a")
        assert store.read(THINGS, "a") and listed(store) and past(store, "a")
    postgresql.ask(
        "ALTER TABLE items ALTER changed_by TYPE varchar; ALTER TABLE versions ALTER changed_by TYPE varchar", name
    )
    assert store.read(THINGS, "a").version == 8 and len(past(store, "a")) == 8
    assert put(store, "a").version == 9


def test_a_missing_right_is_said_at_the_start(name, database, postgresql):
    guest = database.replace("deploymetrics@", "reader@")
    postgresql.ask("CREATE ROLE reader LOGIN")
    try:
        tables = f"{schema.VERSION_TABLE}, items, shards, leases"
        postgresql.ask(f"GRANT SELECT ON {tables} TO reader", name)
        with pytest.raises(SettingError, match="permission denied for table versions"):
            open_at(guest)
        postgresql.ask("GRANT SELECT ON versions TO reader", name)
        put(open_at(database), "a")
        store = open_at(guest)
        assert store.read(THINGS, "a").version == 1 and listed(store) == {"a": "1"}
        with pytest.raises(StorageError) as caught:
            put(store, "a")
        assert "permission denied" in caught.value.log
    finally:
        postgresql.ask("DROP OWNED BY reader; DROP ROLE reader", name)


def test_tables_that_are_not_found_are_said(configured):
    with pytest.raises(SettingError, match="storage init"):
        configured("search_path = nowhere")


@pytest.mark.parametrize("odd", ["we \"ird/%41+b='c", "postgresql://", KEY])
def test_a_database_may_have_an_odd_name(postgresql, odd):
    quoted = odd.replace('"', '""')
    postgresql.ask(f'CREATE DATABASE "{quoted}" TEMPLATE template0')
    url = f"postgresql+psycopg://deploymetrics@127.0.0.1:{postgresql.port}/{quote(odd, safe='')}"
    schema.init(Address(url))
    assert put(open_at(url), "a").version == 1


@pytest.mark.parametrize("wanted", ["any", "standby", "prefer-standby", "read-only"])
def test_no_standby_is_read(name, database, wanted):
    with pytest.raises(SettingError, match="read-write or primary"):
        open_at(f"{database}&target_session_attrs={wanted}")
    assert put(open_at(f"{database}&target_session_attrs=primary"), "a").version == 1


def test_nothing_is_written_where_the_account_may_only_read(configured):
    with pytest.raises(SettingError, match="session is read-only"):
        configured("default_transaction_read_only = on")
