"""PostgreSQL for tests: servers of their own on loopback, as an ordinary account, since it refuses root.

Processes that a test starts find the cluster of their test through the environment.
"""

import functools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path

import psycopg
import sqlalchemy
from waiting import SECONDS, is_running, wait_for

from deploymetrics.storage.sql.migrations.versions import v1_first_tables
from deploymetrics.storage.sql.schema import VERSION, VERSION_TABLE

SERVER = "TEST_POSTGRESQL"
#: What is left out where a test is not about what a power loss does.
QUICK = {"fsync": "off", "full_page_writes": "off"}


def binaries():
    """The folder of PostgreSQL's programs, or None."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else (lambda path: path and Path(path).parent)(shutil.which("initdb"))


def missing():
    """What keeps a cluster from being started here; empty if nothing does."""
    return "" if binaries() else "PostgreSQL (Debian: apt-get install postgresql-15)"


def free_port():
    """A port on loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def account():
    """(name, arguments for subprocess) of the account that servers run as: this one, unless it is root."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid()), {}
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            found = pwd.getpwnam(name)
            return found, {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": []}
    raise AssertionError("no ordinary account")


class Cluster:
    """A server with its data in ``folder``; ``base`` is one that it follows as a standby of the name ``name``."""

    def __init__(self, folder, name="primary", base=None, port=None, **settings):
        self.name = name
        self.data = Path(folder, name)
        self.port = port or free_port()
        self.settings = {
            "listen_addresses": "'127.0.0.1'",
            "port": self.port,
            "unix_socket_directories": f"'{folder}'",
            "shared_buffers": "32MB",
            "max_wal_size": "256MB",
            "wal_level": "replica",
            "max_prepared_transactions": 2,
            "autovacuum_naptime": "1h",
            "jit": "off",
            **settings,
        }
        if base is None:
            options = "-A trust -U deploymetrics -E UTF8 --locale C.UTF-8 -N".split()
            run("initdb", "-D", self.data, *options)
        else:
            connection = f"host=127.0.0.1 port={base.port} user=deploymetrics application_name={name}"
            run("pg_basebackup", "-D", self.data, "-d", connection, "-R", "-c", "fast", "--no-sync", "-X", "stream")
        self.write_settings()

    def write_settings(self, **more):
        """Write the settings for the next start or reload."""
        self.settings |= more
        text = "".join(f"{name} = {value}\n" for name, value in self.settings.items())
        path = self.data / "postgresql.conf"
        path.write_text(text)
        owner, _ = account()
        os.chown(path, owner.pw_uid, owner.pw_gid)

    def set(self, **more):
        """Change settings of the running server."""
        self.write_settings(**more)
        os.kill(self.pid, signal.SIGHUP)
        for name, value in more.items():
            wait_for(lambda: self.ask(f"SHOW {name}") == str(value).strip("'"), f"{name} to be {value}")
        if "synchronous_standby_names" in more:
            self.ask("CHECKPOINT")  # commits wait for a standby once the checkpointer, too, has read of it

    def run_single(self, statement):
        """Carry out a statement while no server runs."""
        run("postgres", "--single", "-D", self.data, "postgres", text=statement + "\n")

    def start(self):
        """Start it, and wait until it answers; itself. It ends with this process, however that ends."""
        _, who = account()
        command = ["setpriv", "--pdeathsig", "QUIT", binaries() / "postgres", "-D", self.data]
        with open(self.data.with_suffix(".log"), "ab") as log:
            self.process = subprocess.Popen(list(map(str, command)), stdout=log, stderr=log, cwd="/", **who)
        self.pid = self.process.pid
        wait_for(self.answers, "the server to answer")
        return self

    def answers(self):
        """Return True if it takes connections; fails if it has ended."""
        assert self.process.poll() is None, self.data.with_suffix(".log").read_text()
        command = [binaries() / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(command).returncode == 0

    def ask(self, statement, database="postgres"):
        """The first value that a statement gives."""
        with psycopg.connect(self.conninfo(database), autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchone()[0] if cursor.description else None

    def conninfo(self, database="postgres"):
        return f"host=127.0.0.1 port={self.port} user=deploymetrics dbname={database} connect_timeout=5"

    def url(self, database="postgres", **query):
        """The URL of a database of it, for STORAGE."""
        return url_of(f"127.0.0.1:{self.port}", database, **query)

    def processes(self):
        """The process ids of the server and its children."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return [self.pid, *map(int, children)]

    def signal(self, number):
        """Send a signal to the server and all of its processes."""
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def freeze(self):
        """Stop it and all of its processes where they are."""
        self.signal(signal.SIGSTOP)

    def thaw(self):
        """Let it go on."""
        self.signal(signal.SIGCONT)

    def kill(self):
        """End all of it at once."""
        self.signal(signal.SIGKILL)
        wait_for(lambda: not is_running(self.pid), "the server to end")

    def promote(self):
        """Make a standby the primary, which waits for no standby of its own."""
        self.write_settings(synchronous_standby_names="''")
        run("pg_ctl", "-D", self.data, "-w", "promote")

    def stop(self):
        """End it, whatever it is doing."""
        if hasattr(self, "pid"):
            if is_running(self.pid):
                self.thaw()
                self.process.send_signal(signal.SIGQUIT)
            self.process.wait(SECONDS)


def run(program, *arguments, check=True, text=""):
    """Run one of PostgreSQL's programs as the ordinary account; ``text`` is its standard input."""
    _, who = account()
    command = [binaries() / program, *map(str, arguments)]
    with tempfile.TemporaryFile() as said:  # not a pipe, which a server that is started keeps open
        done = subprocess.run(command, cwd="/", input=text.encode(), stdout=said, stderr=said, **who)
        said.seek(0)
        assert not check or done.returncode == 0, said.read().decode()


@contextmanager
def folder_for_servers():
    """A folder that the ordinary account has, where tests have theirs; it is removed with what is in it."""
    folder = Path(tempfile.mkdtemp(prefix="postgresql-", dir=os.environ.get("PYTEST_DEBUG_TEMPROOT")))
    owner, _ = account()
    os.chown(folder, owner.pw_uid, owner.pw_gid)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running(**settings):
    """A server on an empty cluster."""
    with folder_for_servers() as folder:
        cluster = Cluster(folder, **settings)
        try:
            yield cluster.start()
        finally:
            cluster.stop()


def url_of(hosts, database="postgres", **query):
    """A URL for STORAGE; ``hosts`` are HOST:PORT, with commas between."""
    url = sqlalchemy.URL.create(
        "postgresql+psycopg", "deploymetrics", database=database, query={"host": hosts.split(","), **query}
    )
    return url.render_as_string()


TABLES = f"{v1_first_tables.TABLES}; CREATE TABLE {VERSION_TABLE} AS SELECT '{VERSION}' AS version_num"


_one_at_a_time = threading.Lock()


def socket_of(cluster):
    """How processes that a test starts find a cluster: by its socket, which takes a third less time than loopback."""
    return f"{cluster.data.parent}:{cluster.port}"


def connection():
    """The connection to the cluster that this process keeps: opening one takes longer than what is done with it."""
    try:
        _connection(os.environ[SERVER], os.getpid()).execute("SELECT")
    except psycopg.OperationalError:  # a test ended the server
        _connection.cache_clear()
    return _connection(os.environ[SERVER], os.getpid())


@functools.cache
def _connection(server, pid):
    host, _, port = server.rpartition(":")
    return psycopg.connect(f"host={host} port={port} user=deploymetrics dbname=postgres", autocommit=True)


def end_connections():
    """End those of all storages: one that is dropped keeps its own until it is collected as garbage."""
    others = "backend_type = 'client backend' AND pid <> pg_backend_pid()"
    connection().execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")


def schema_name(folder):
    return "t" + blake2b(os.fsencode(folder), digest_size=12).hexdigest()


def schema_of(folder):
    """The URL of a schema of its own for an instance folder, with empty tables where it is new.

    Making them so takes less time than the migrations do, and a test compares what comes of both.
    """
    name = schema_name(folder)
    with _one_at_a_time, (ours := connection()).transaction():
        ours.execute("SELECT pg_advisory_xact_lock(1)")
        if not ours.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", [name]).fetchone():
            ours.execute(f"CREATE SCHEMA {name}; SET LOCAL search_path TO {name}; {TABLES}")
    host, _, port = os.environ[SERVER].rpartition(":")
    return url_of(host, port=port, options=f"-csearch_path={name}")
