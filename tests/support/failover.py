"""Two servers on a database with a standby, clients that change documents on condition, and faults meanwhile.

The clients note what they saw. Afterwards the history in the database says what was stored: an acknowledged write that
is not in it is lost, and so is the order if the checker of linearizability finds something.
"""

import itertools
import os
import random
import signal
import threading
import time
from contextlib import contextmanager, suppress
from typing import NamedTuple

import psycopg
import requests
from linearizability import Seen, violations
from postgres import Cluster, url_of
from serving import Served
from waiting import wait_for

from deploymetrics import create_app
from deploymetrics.accounts.service import Role
from deploymetrics.clock import Clock
from deploymetrics.documents.service import DOCUMENTS
from deploymetrics.errors import StorageError
from deploymetrics.storage import Item, Retention, open_storage
from deploymetrics.storage.sql import schema
from deploymetrics.storage.sql.address import Address
from deploymetrics.storage.sql.failures import MaybeStored

DOCS = "/api/deploymentmetrics"
AUTH = ("alice", "correct horse battery")
KEYS = "abc"
NEVER = 10.0**12
#: How many versions an imported document has.
IMPORTED = 50
CLIENTS = 4
#: How long a server waits for the database here.
DEADLINE = 2


class Pair:
    """A primary and a synchronous standby, on fixed ports, whichever of the two is which."""

    def __init__(self, folder):
        self.folder = folder
        self._numbers = itertools.count()
        self.primary = Cluster(folder, "first").start()
        self.ports = [self.primary.port]
        self.old = None
        self.add_standby()
        self.hosts = ",".join(f"127.0.0.1:{port}" for port in self.ports)

    def add_standby(self):
        """Make a standby of the primary, on the port of the one that is gone, and let commits wait for it."""
        port = self.old.port if self.old else None
        if self.old:
            self.old.stop()
        name = f"standby{next(self._numbers)}"
        self.standby = Cluster(self.folder, name, self.primary, port, primary_conninfo="''")
        (self.standby.data / "postgresql.auto.conf").write_text(
            f"primary_conninfo = 'host=127.0.0.1 port={self.primary.port} user=deploymetrics application_name={name}'\n"
        )
        self.standby.write_settings()
        self.standby.settings.pop("primary_conninfo")
        self.standby.write_settings()
        self.standby.start()
        self.ports = sorted({*self.ports, self.standby.port})
        self.primary.set(synchronous_standby_names="'*'")
        state = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
        wait_for(lambda: self.primary.ask(state), "the standby to be a synchronous one")

    def fail_over(self):
        """Promote the standby; the primary is of the past."""
        self.standby.promote()
        self.old, self.primary, self.standby = self.primary, self.standby, None

    def url(self):
        """The URL of both for STORAGE."""
        return url_of(self.hosts)

    def stop(self):
        for cluster in (self.old, self.standby, self.primary):
            if cluster:
                cluster.stop()


class Outcome(NamedTuple):
    """A write: what was sent when and on top of which value, and the status and code of its answer."""

    key: str
    value: str
    base: str | None
    called: float
    returned: float
    status: int
    code: str


class Clients:
    """Clients of some URLs, with a pause of some seconds after each change.

    What they saw is in ``writes`` and ``reads``, to which threads only add.
    """

    def __init__(self, urls, pause=0.0):
        self.urls, self.pause = urls, pause
        self.writes, self.reads = [], []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(CLIENTS)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def acknowledged(self):
        """How many writes were acknowledged so far."""
        return sum(one.status == 200 for one in self.writes)

    def go_on(self, number=30):
        """Wait until so many more writes were acknowledged; the seconds until the first of them."""
        began, before = time.monotonic(), self.acknowledged()
        wait_for(lambda: self.acknowledged() > before, "the service to go on", 60)
        seconds = time.monotonic() - began
        wait_for(lambda: self.acknowledged() >= before + number, "writes to be acknowledged", 60)
        return seconds

    def _run(self, number):
        with requests.Session() as session:
            session.auth = AUTH
            for count in itertools.count():
                if self._stop.wait(self.pause):
                    return
                with suppress(requests.RequestException):
                    self._step(session, random.choice(self.urls()), random.choice(KEYS), f"{number}-{count}")

    def _step(self, session, url, key, value):
        called = time.monotonic()
        answer = session.get(f"{url}{DOCS}/{key}", timeout=30)
        if answer.status_code not in (200, 404):
            time.sleep(0.02)
            return
        base = answer.json()["metrics"] if answer.status_code == 200 else None
        self.reads.append((key, base, called, time.monotonic()))
        headers = {"If-Match": answer.headers["ETag"]} if base else {"If-None-Match": "*"}
        called, status, code, returned = time.monotonic(), 0, "", NEVER
        try:
            answer = session.post(f"{url}{DOCS}/{key}", json=value, headers=headers, timeout=30)
            status, returned = answer.status_code, time.monotonic()
            code = answer.json().get("code", "")
        finally:
            self.writes.append(Outcome(key, value, base, called, returned, status, code))


class Importer:
    """Imports documents with a history, and purges some of them, from the beginning to the end of the context.

    There is a pause of some seconds after each.
    """

    def __init__(self, url, pause=0.0):
        self.pause = pause
        self._store = open_storage(url, "", Clock(), Retention(), seconds=DEADLINE)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        #: What is known of each tag: that it is wholly there, that it is gone, that it is not, or all of that.
        self.outcomes = {}

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._stop.set()
        self._thread.join()

    def _run(self):
        for number in itertools.count():
            if self._stop.wait(self.pause):
                return
            tag = f"imported{number}"
            items = (imported(tag, version) for version in range(1, IMPORTED + 1))
            self._do(tag, {"absent"}, "whole", lambda: self._store.restore(DOCUMENTS, tag, items))
            if number % 3 == 0 and self.outcomes[tag] == {"whole"}:
                self._do(tag, {"whole"}, "purged", lambda: self._store.purge(DOCUMENTS, tag, "alice"))

    def _do(self, tag, before, after, work):
        try:
            work()
            self.outcomes[tag] = {after}
        except MaybeStored:
            self.outcomes[tag] = before | {after}
        except StorageError:
            self.outcomes[tag] = before

    def wrong(self):
        """Yield the tags that are not as the importer was told, with how they are."""
        for tag, expected in self.outcomes.items():
            found = list(self._store.history(DOCUMENTS, tag))
            kinds = {0: "absent", IMPORTED: "whole", 1: "purged" if found and found[0].deleted else "torn"}
            if (kind := kinds.get(len(found), "torn")) not in expected:
                yield tag, expected, kind
        yield from self._store.verify(DOCUMENTS)


def imported(tag, version):
    """A version of a document of some kilobytes."""
    value = b'{"tag":"%b","metrics":"%b","lastChanged":"12 Jan 2018 12:00"}' % (tag.encode(), b"x" * 4000)
    return Item(tag, value, None, version, "2018-01-12T12:00:00.000000Z", "alice", "")


class Report(NamedTuple):
    """What became of the writes."""

    acknowledged: int
    lost: int
    failed: int
    failed_but_stored: int
    refused_but_stored: int
    violations: list[str]

    def line(self, name, seconds=""):
        """A row of the table."""
        numbers = f"{self.acknowledged:>8}{self.lost:>6}{self.failed:>8}{self.failed_but_stored:>8}"
        return f"{name:<40}{numbers}{seconds:>10}"


HEAD = f"{'':<40}{'acked':>8}{'lost':>6}{'failed':>8}{'stored':>8}{'goes on':>10}"


def report(url, clients):
    """Compare what clients saw with the history in the database."""
    writes, reads = list(clients.writes), list(clients.reads)  # before it is read what was stored
    store = open_storage(url, "", Clock(), Retention())
    histories = {key: list(store.history(DOCUMENTS, key)) for key in KEYS}
    versions = {
        key: {bytes(item.record.metrics).decode().strip('"'): item.version for item in found}
        for key, found in histories.items()
    }
    stored = [one for one in writes if one.value in versions[one.key]]
    acknowledged = [one for one in writes if one.status == 200]
    failed = [one for one in writes if one.status not in (200, 412)]
    # A server that says that nothing was stored has to be right; only these two leave it open.
    is_open = {one for one in failed if one.code == "maybe-stored" or not one.status}
    return Report(
        len(acknowledged),
        len(set(acknowledged) - set(stored)),
        len(failed),
        len(set(failed) & set(stored)),
        len({one for one in stored if one.status != 200} - is_open),
        [text for key in KEYS for text in violations(list(operations(key, versions[key], writes, reads)))],
    )


def operations(key, versions, writes, reads):
    """What the clients saw of a document, as the checker takes it."""
    for one in writes:
        if one.key == key and (one.status == 200 or one.code == "maybe-stored" or not one.status):
            is_acknowledged = one.status == 200
            version = versions.get(one.value, 0) if is_acknowledged else None
            base = None if one.base is None else versions.get(one.base, -1)
            yield Seen(one.called, one.returned if is_acknowledged else NEVER, "write", version, one.value, base)
    for other, value, called, returned in reads:
        if other == key:
            yield Seen(called, returned, "read", 0 if value is None else versions.get(value, -1), value)


@contextmanager
def served(folder, url, number=2):
    """So many servers on a database, with a master operator; gives them as a list, in which one may be replaced."""
    settings = {
        "STORAGE": url,
        "SECRET_KEY": "0123456789abcdef",
        "DATABASE_SECONDS": str(DEADLINE),
        "HISTORY_VERSIONS": "1000000",
        "CREDENTIAL_CACHE_SECONDS": "3600",
    }
    with suppress(psycopg.Error):
        schema.init(Address(url))
    create_app(folder / "made", settings).extensions["deploymetrics"].accounts.add(
        AUTH[0], Role.MASTER_OPERATOR, AUTH[1]
    )
    environment = {f"DEPLOYMETRICS_{name}": value for name, value in settings.items()}
    numbers = itertools.count()

    def start():
        home = folder / f"server{next(numbers)}"
        home.mkdir()
        return Served(("deploymetrics", "serve", "--bind", "127.0.0.1:0"), home, home / "instance", **environment)

    servers = [start() for _ in range(number)]
    servers = Servers([one.started() for one in servers], start)
    try:
        yield servers
    finally:
        for one in servers:
            one.end()


class Servers(list):
    """The servers that run; ``start()`` starts another one."""

    def __init__(self, servers, start):
        super().__init__(servers)
        self.start = start

    def urls(self):
        return [one.url for one in self]


# What goes wrong meanwhile. Each waits until writes are acknowledged again, and gives the seconds until the first.


def a_server_is_killed(pair, servers, clients):
    """Both processes of one and its master, at once; another one is started."""
    victim = servers[0]
    for pid in [victim.process.pid, *map(int, victim.workers())]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    victim.process.wait()
    del servers[0]
    seconds = clients.go_on()
    servers.append(servers.start().started())
    clients.go_on()
    return seconds


def the_standby_is_frozen(pair, servers, clients):
    """Commits wait, and reads go on."""
    pair.standby.freeze()
    wait_for(lambda: any(one.code == "maybe-stored" for one in clients.writes), "a write that is not confirmed")
    before = len(clients.reads)
    wait_for(lambda: len(clients.reads) > before + 20, "reads to go on")
    pair.standby.thaw()
    return clients.go_on()


def waits_are_cancelled(pair, servers, clients):
    """Somebody cancels commits that wait for the standby: none of them is acknowledged."""
    cancel = "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    pair.standby.freeze()
    before = clients.acknowledged()
    wait_for(lambda: pair.primary.ask(cancel), "a commit to cancel")
    wait_for(lambda: pair.primary.ask(cancel), "another one")
    assert clients.acknowledged() <= before + CLIENTS  # those that were on their way
    pair.standby.thaw()
    return clients.go_on()


def the_primary_is_killed(pair, servers, clients):
    """The standby is promoted."""
    pair.primary.kill()
    pair.fail_over()
    return clients.go_on()


def the_primary_is_frozen(pair, servers, clients):
    """The standby is promoted, and the old primary wakes only to end, as where a watchdog restarts its machine.

    Without that it would answer those who had no reason yet to leave it.
    """
    pair.primary.freeze()
    time.sleep(0.5)
    pair.fail_over()
    seconds = clients.go_on()
    pair.old.signal(signal.SIGQUIT)
    pair.old.thaw()
    clients.go_on()
    return seconds


FAULTS = [
    a_server_is_killed,
    the_standby_is_frozen,
    waits_are_cancelled,
    the_primary_is_killed,
    the_primary_is_frozen,
]
