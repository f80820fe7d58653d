"""Behind Debian's PgBouncer in transaction mode: each transaction may be on another connection to the database."""

import os
import shutil
import subprocess
from contextlib import contextmanager
from itertools import count

import postgres
import pytest
import sqlalchemy
from conftest import missing
from failover import AUTH, DOCS
from storekit import PLAIN, THINGS, VOLATILE, in_threads, increment, metrics, past, put
from waiting import wait_for

from deploymetrics import create_app
from deploymetrics.accounts.service import Role
from deploymetrics.clock import Clock
from deploymetrics.storage import Retention, open_storage
from deploymetrics.storage.sql import schema
from deploymetrics.storage.sql.address import Address
from deploymetrics.storage.sql.failures import MaybeStored

INI = """
[databases]
* = host=127.0.0.1 port={server}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {folder}/users
pool_mode = transaction
default_pool_size = {pool}
"""
POOL = 2
THREADS = 6


@contextmanager
def pgbouncer(cluster, pool):
    """A PgBouncer in front of a server, with so many connections to it; gives its port."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin") or missing("PgBouncer")
    _, who = postgres.account()
    with postgres.folder_for_servers() as folder:
        port = postgres.free_port()
        path = folder / "pgbouncer.ini"
        path.write_text(INI.format(server=cluster.port, port=port, folder=folder, pool=pool))
        (folder / "users").write_text('"deploymetrics" ""\n')
        with open(folder / "log", "wb") as log:
            process = subprocess.Popen([program, path], stdout=log, stderr=log, cwd="/", **who)
        try:
            ready = [postgres.binaries() / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
            wait_for(lambda: subprocess.run(ready).returncode == 0, "PgBouncer to answer")
            yield port
        finally:
            process.terminate()
            process.wait()


@pytest.fixture
def url(database, postgresql):
    """The URL of a database with tables, through PgBouncer."""
    schema.init(Address(database))
    with pgbouncer(postgresql, POOL) as port:
        yield postgres.url_of(f"127.0.0.1:{port}", sqlalchemy.make_url(database).database)


def open_at(url):
    return open_storage(url, "", Clock(), Retention(), seconds=2, prepare=False)


def test_readers_and_writers_share_a_few_connections(url):
    stores, numbers = [open_at(url) for _ in range(2)], count()

    def work():
        for _ in range(10):
            store, other = stores if next(numbers) % 2 else reversed(stores)
            store.write(PLAIN, "n", "alice", increment)
            written = put(store, "a")
            put(store, "s", collection=VOLATILE)
            assert other.read(THINGS, "a").version >= written.version
            assert other.items(THINGS).find("a").version >= written.version

    in_threads(THREADS, work)
    assert metrics(stores[0].read(PLAIN, "n")) == str(10 * THREADS)
    assert len(past(stores[1], "a")) == 10 * THREADS
    assert not list(stores[0].verify(THINGS))


def test_there_is_one_collector(url):
    one, two = (open_at(url).lease("collector") for _ in range(2))
    assert one.acquire() and not two.acquire()
    one.release()
    assert two.acquire()
    two.release()


def test_an_unconfirmed_commit_is_no_success_and_is_not_cancelled(url, postgresql):
    store = open_at(url)
    stored = [put(store, "a")]
    postgresql.set(synchronous_standby_names="'nobody'")
    try:
        with pytest.raises(MaybeStored):
            while len(stored) < 1000:  # the server takes the setting up a moment later
                stored.append(put(store, "a"))
        assert store.read(THINGS, "a").version == stored[-1].version
    finally:
        postgresql.set(synchronous_standby_names="''")
    wait_for(lambda: store.read(THINGS, "a").version == stored[-1].version + 1, "the commit to end")


def test_the_setting_reaches_the_statements(url, tmp_path):
    settings = {"STORAGE": url, "SECRET_KEY": "0123456789abcdef", "DATABASE_PREPARE": "no"}
    apps = [create_app(tmp_path / name, settings) for name in "ab"]
    apps[0].extensions["deploymetrics"].accounts.add(AUTH[0], Role.MASTER_OPERATOR, AUTH[1])
    clients = [app.test_client() for app in apps]

    def work():
        for number in range(10):
            for client in clients:
                assert client.post(f"{DOCS}/a", data=str(number), auth=AUTH).status_code == 200
                for path in f"{DOCS}/a", DOCS, f"{DOCS}/a/history":
                    assert client.get(path, auth=AUTH).status_code == 200

    in_threads(THREADS, work)
