"""What each failure of the database gets: tried again, refused, or not known. The server says each itself."""

import multiprocessing
import threading
from contextlib import contextmanager

import psycopg
import pytest
import sqlalchemy
from postgres import free_port, url_of
from storekit import PLAIN, THINGS, VOLATILE, in_threads, increment, metrics, past, put, value
from waiting import wait_for

from deploymetrics import create_app
from deploymetrics.accounts import authentication
from deploymetrics.accounts.service import Role
from deploymetrics.clock import Clock
from deploymetrics.errors import StorageError, StorageFullError
from deploymetrics.storage import Retention, open_storage
from deploymetrics.storage.sql import connections, schema
from deploymetrics.storage.sql.address import Address
from deploymetrics.storage.sql.connection import Connection
from deploymetrics.storage.sql.failures import MaybeStored


@pytest.fixture
def name(database):
    """The name of a database with tables."""
    schema.init(Address(database))
    return sqlalchemy.make_url(database).database


@pytest.fixture
def store(name, postgresql):
    """A storage on it that waits for a second."""
    return open_at(postgresql.url(name))


def open_at(url, **options):
    return open_storage(url, "", Clock(), Retention(), seconds=1, **options)


@pytest.fixture
def fails(name, postgresql):
    """Let the next so many writes of items fail with a state, or all; a count of those that came to it."""

    def arm(state, times=10**9, action="", deferred=False):
        what = action or f"RAISE EXCEPTION 'told to' USING ERRCODE = '{state}'"
        when = "CONSTRAINT TRIGGER broken AFTER" if deferred else "TRIGGER broken BEFORE"
        postgresql.ask(
            f"""
            CREATE SEQUENCE tries;
            CREATE FUNCTION break() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF nextval('tries') <= {times} THEN {what}; END IF; RETURN NEW;
            END $$;
            CREATE {when} INSERT OR UPDATE ON items {"DEFERRABLE INITIALLY DEFERRED" if deferred else ""}
            FOR EACH ROW EXECUTE FUNCTION break()
            """,
            name,
        )
        return lambda: postgresql.ask("SELECT last_value FROM tries", name)

    return arm


def backends(cluster, name):
    """How many connections there are to a database."""
    return cluster.ask(f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}'")


def end_backends(cluster, name):
    cluster.ask(f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '{name}'")
    wait_for(lambda: backends(cluster, name) == 0, "the connections to end")


@contextmanager
def without_standby(cluster):
    """Let commits wait for a standby that is not there."""
    cluster.set(synchronous_standby_names="'nobody'")
    try:
        yield
    finally:
        cluster.set(synchronous_standby_names="''")


# Tried again


@pytest.mark.parametrize("state", ["40001", "40P01", "25006", "57P01", "08006"])
def test_what_was_undone_is_tried_again(store, fails, state):
    tried = fails(state, 1)
    assert put(store, "a").version == 1
    assert tried() == 2


@pytest.mark.parametrize("state, times", [("40001", connections.TRIES), ("25006", 2)])
def test_it_is_tried_so_often_and_no_more(store, fails, state, times):
    tried, calls = fails(state), []
    with pytest.raises(StorageError) as caught:
        store.write(PLAIN, "a", "alice", lambda current, now: calls.append(current) or value("a"))
    assert type(caught.value) is StorageError and caught.value.headers["Retry-After"]
    assert tried() == len(calls) == times
    assert store.read(PLAIN, "a") is None


def test_what_is_restored_is_not_taken_twice(store, fails):
    item = put(store, "b")
    fails("40001", 1)
    with pytest.raises(StorageError):
        store.restore(THINGS, "a", (one for one in [item._replace(key="a", value=value("a"))]))
    assert store.keys(THINGS) == ["b"]


def test_reads_and_writes_go_on_after_their_connections_ended(store, name, postgresql):
    put(store, "a")
    end_backends(postgresql, name)
    assert store.read(THINGS, "a").version == 1
    end_backends(postgresql, name)
    assert put(store, "a").version == 2
    end_backends(postgresql, name)
    assert len(store.items(THINGS).items) == 1


def test_a_connection_that_ends_before_the_commit_costs_nothing(store, name, postgresql):
    put(store, "n", collection=PLAIN)
    seen = []

    def change(current, now):
        seen.append(current.version)
        if len(seen) == 1:
            end_backends(postgresql, name)
        return value("n")

    assert store.write(PLAIN, "n", "alice", change).version == 2
    assert seen == [1, 1]


# Refused


def test_a_full_disk_is_said(store, fails):
    put(store, "a")
    fails("53100")
    with pytest.raises(StorageFullError) as caught:
        put(store, "a", "2")
    assert (caught.value.status, caught.value.code) == (507, "storage-full")
    assert past(store, "a") == [(1, "1")]


def test_too_many_connections_are_said(postgresql, name):
    postgresql.ask(f"ALTER ROLE deploymetrics CONNECTION LIMIT 0; ALTER DATABASE {name} CONNECTION LIMIT 0")
    postgresql.ask("CREATE ROLE guest LOGIN")
    store = open_at(postgresql.url(name).replace("deploymetrics@", "guest@"), make=False)
    try:
        with pytest.raises(StorageError) as caught:
            store.read(THINGS, "a")
    finally:
        postgresql.ask("ALTER ROLE deploymetrics CONNECTION LIMIT -1; DROP ROLE guest")
    assert (caught.value.status, "too many connections" in caught.value.log) == (503, True)


def test_a_writer_does_not_wait_for_another_one_for_ever(store, postgresql, name):
    put(store, "a")
    put(store, "b")
    entered, leave = threading.Event(), threading.Event()

    def change(current, now):
        entered.set()
        leave.wait()
        return value("a")

    writer = threading.Thread(target=store.write, args=(THINGS, "a", "alice", change))
    writer.start()
    entered.wait()
    try:
        with pytest.raises(StorageError, match="Others have been writing this for too long"):
            put(store, "a", "3")
        assert put(store, "b").version == 2
    finally:
        leave.set()
        writer.join()
    assert past(store, "a")[0] == (2, "1")


# Not known


def test_a_connection_that_ends_in_the_commit_leaves_it_open(store, fails):
    fails("", 1, action="PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(5)", deferred=True)
    with pytest.raises(MaybeStored) as caught:
        put(store, "a")
    assert (caught.value.status, caught.value.code) == (503, "maybe-stored")
    assert "If-Match" in caught.value.detail and caught.value.headers["Retry-After"]


@pytest.mark.parametrize("state, error", [("53100", StorageFullError), ("40001", None), ("XX000", StorageError)])
def test_a_commit_that_the_server_refuses_is_not_stored(store, fails, state, error):
    fails(state, 1, deferred=True)
    if error is None:
        assert put(store, "a").version == 1
    else:
        with pytest.raises(error) as caught:
            put(store, "a")
        assert type(caught.value) is error
        assert store.read(THINGS, "a") is None


def test_a_server_that_breaks_off_in_the_commit_leaves_it_open(store, monkeypatch):
    """As where the disk of its log is full: it ends itself, after it has written the commit or before."""
    execute = Connection.execute

    def broken(self, statement, *args, **options):
        if statement == "COMMIT":
            raise psycopg.errors.DiskFull("PANIC: could not write to the log")
        return execute(self, statement, *args, **options)

    monkeypatch.setattr(Connection, "execute", broken)
    with pytest.raises(MaybeStored):
        put(store, "a")


def test_a_cancelled_wait_for_the_standby_is_no_success(store, postgresql, name):
    postgresql.ask(f"ALTER DATABASE {name} SET client_min_messages = error")  # else the server warns of it
    store = open_at(postgresql.url(name))
    put(store, "a")
    cancel = "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    with without_standby(postgresql):
        canceller = threading.Thread(target=wait_for, args=(lambda: postgresql.ask(cancel), "a commit to wait"))
        canceller.start()
        with pytest.raises(MaybeStored) as caught:
            put(store, "a", "2")
        canceller.join()
    assert "canceling wait for synchronous replication" in caught.value.log


def test_an_unconfirmed_commit_ends_with_the_deadline_and_is_not_cancelled(store, postgresql, name):
    for setting in "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout":
        postgresql.ask(f"ALTER DATABASE {name} SET {setting} = '100ms'")  # no reason for the server to end the wait
    store = open_at(postgresql.url(name))
    put(store, "a")
    with without_standby(postgresql):
        with pytest.raises(MaybeStored):
            put(store, "a", "2")
        assert store.read(THINGS, "a").version == 1  # what a failover could take back is not read
        assert put(store, "a", collection=VOLATILE).version == 1  # which waits for no standby
    wait_for(lambda: store.read(THINGS, "a").version == 2, "the commit to end")


def test_writes_that_are_not_confirmed_use_up_nothing(store, postgresql, name):
    before, keys = put(store, "a"), iter("bcdefgh")  # whose parts of the collection are others, too
    with without_standby(postgresql):
        in_threads(connections.UNCONFIRMED, lambda: pytest.raises(MaybeStored, put, store, next(keys)))
        calls, open_now = [], backends(postgresql, name)
        for _ in range(20):
            with pytest.raises(StorageError, match="confirms no writes now") as caught:
                store.write(THINGS, "a", "alice", lambda current, now: calls.append(current))
            assert type(caught.value) is StorageError
            assert store.read(THINGS, "a") == before
        assert not calls and backends(postgresql, name) <= open_now + 1
    wait_for(lambda: len(store.items(THINGS).items) == 1 + connections.UNCONFIRMED, "the commits to end")
    assert put(store, "a").version == 2


def test_while_one_is_not_confirmed_one_thread_tries_and_no_more(store, postgresql, name):
    put(store, "a")
    put(store, "b")
    with without_standby(postgresql):
        with pytest.raises(MaybeStored):
            put(store, "a")
        # The next one waits for the row that the server still has.
        trying = threading.Thread(target=pytest.raises, args=(StorageError, put, store, "a"))
        trying.start()
        locked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        wait_for(lambda: postgresql.ask(locked), "a writer to wait")
        with pytest.raises(StorageError, match="confirms no writes now"):
            put(store, "b")
        assert put(store, "b", collection=VOLATILE).version == 1
        trying.join()


def test_a_frozen_server_holds_up_nobody_for_long(store, postgresql):
    put(store, "a")
    postgresql.freeze()
    try:
        for work in (lambda: store.read(THINGS, "a")), (lambda: put(store, "a")):
            with pytest.raises(StorageError) as caught:
                work()
            assert not isinstance(caught.value, MaybeStored)
    finally:
        postgresql.thaw()
    assert put(store, "a").version == store.read(THINGS, "a").version == 2


def test_the_client_is_told(postgresql, name, tmp_path):
    settings = {"STORAGE": postgresql.url(name), "SECRET_KEY": "0123456789abcdef", "DATABASE_SECONDS": "1"}
    app = create_app(tmp_path / "instance", settings)
    app.extensions["deploymetrics"].accounts.add("alice", Role.MASTER_OPERATOR, "correct horse battery")
    client, auth = app.test_client(), ("alice", "correct horse battery")
    written = client.post("/api/deploymentmetrics/a", data="1", auth=auth)
    with without_standby(postgresql):
        headers = {"If-Match": written.headers["ETag"]}
        answer = client.post("/api/deploymentmetrics/a", data="2", auth=auth, headers=headers)
        assert (answer.status_code, answer.json["code"]) == (503, "maybe-stored")
        assert answer.headers["Retry-After"]
        assert client.get("/api/deploymentmetrics/a", auth=auth).json["metrics"] == 1
    wait_for(lambda: client.get("/api/deploymentmetrics/a", auth=auth).json["metrics"] == 2, "the commit to end")
    assert client.post("/api/deploymentmetrics/a", data="2", auth=auth, headers=headers).status_code == 412


def test_a_request_waits_for_a_frozen_server_once(postgresql, name, tmp_path, monkeypatch):
    """Not with each of the counts of wrong passwords, and the audit log's question; the next request waits anew."""
    settings = {"STORAGE": postgresql.url(name), "SECRET_KEY": "0123456789abcdef", "DATABASE_SECONDS": "1"}
    client = create_app(tmp_path / "instance", settings).test_client()
    assert client.get("/api/login", auth=("alice", "wrong")).status_code == 401
    waits, matches, wait, connect = [], authentication.password_matches, Connection.wait, Connection.connect

    def freeze_and_match(*args):
        postgresql.freeze()
        monkeypatch.setattr(Connection, "wait", lambda *args: waits.append("an answer") or wait(*args))
        monkeypatch.setattr(Connection, "connect", lambda **to: waits.append("a connection") or connect(**to))
        return matches(*args)

    monkeypatch.setattr(authentication, "password_matches", freeze_and_match)
    try:
        assert client.get("/api/login", auth=("bob", "wrong")).status_code in (401, 503)
        assert waits == ["an answer", "a connection"]
        assert client.get("/api/login", auth=("bob", "wrong")).status_code == 503
        assert waits == ["an answer", "a connection", "a connection"]
    finally:
        postgresql.thaw()
    monkeypatch.undo()
    assert client.get("/api/login", auth=("alice", "wrong")).status_code == 401


# Connections


def test_a_server_that_is_not_there_is_passed_over(postgresql, name):
    store = open_at(url_of(f"127.0.0.1:{free_port()},127.0.0.1:{postgresql.port}", name))
    put(store, "a")
    end_backends(postgresql, name)
    assert store.read(THINGS, "a").version == 1


def test_a_child_process_has_connections_of_its_own(store):
    put(store, "n", "1", collection=PLAIN)
    store.items(PLAIN)
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=add_some, args=(store,)) for _ in range(2)]
    for child in children:
        child.start()
    add_some(store)
    for child in children:
        child.join()
        assert child.exitcode == 0
    assert metrics(store.read(PLAIN, "n")) == "31"


def add_some(store):
    for _ in range(10):
        store.write(PLAIN, "n", "alice", increment)


@pytest.mark.parametrize("prepare", [True, False])
def test_statements_are_prepared_where_they_may_be(postgresql, name, prepare):
    one = connections.Connections(Address(postgresql.url(name)), 1, prepare=prepare)
    for _ in range(20):
        one.rows("SELECT 1")
    ((number,),) = one.rows("SELECT count(*) FROM pg_prepared_statements")
    assert (number > 0) == prepare


def test_no_two_statements_have_one_name(postgresql, name):
    """Else a process behind a pool that it does not know of gets what another one asks for."""
    seen = {}
    for order in ("SELECT 1", "SELECT 2"), ("SELECT 2", "SELECT 3"):
        one = connections.Connections(Address(postgresql.url(name)), 1, prepare=True)
        for statement in order:
            one.find(statement, ())
        for key, statement in one.rows("SELECT name, statement FROM pg_prepared_statements"):
            assert seen.setdefault(key, statement) == statement
    assert len(seen) == 3
