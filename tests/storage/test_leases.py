"""A lease, on every backend: one holder at a time, whose writes count only while it is one."""

import os
import signal
from multiprocessing import Pipe

import pytest
from launching import forked
from postgres import schema_name
from storekit import BACKENDS, past, put
from waiting import wait_for

from deploymetrics.collector.process import collect_forever
from deploymetrics.collector.signals import Stop
from deploymetrics.errors import StorageError


@pytest.fixture
def two(reopen):
    """Two storages, and the lease of each."""
    stores = reopen(), reopen()
    yield [(store, store.lease("collector")) for store in stores]


def test_one_has_it(two):
    (_, first), (_, second) = two
    assert first.holder() == second.holder() == ""
    assert first.acquire() and not second.acquire()
    assert (first.is_held(), second.is_held()) == (True, False)
    assert second.holder().split()[0] == str(os.getpid())
    first.release()
    assert not first.is_held() and second.holder() == ""
    assert second.acquire()
    second.release()


def test_it_says_what_was_done_when_its_holder_ended(two):
    (_, first), (_, second) = two
    assert first.acquire() and first.unfinished == ""
    first.note("bigfix")
    first.release()
    assert second.acquire() and second.unfinished == "bigfix"
    second.note("server")
    second.note()
    second.release()
    assert first.acquire() and first.unfinished == ""
    first.release()


def test_leases_of_other_names_are_others(two):
    (_, first), (other, _) = two
    lease = other.lease("another")
    assert first.acquire() and lease.acquire()
    first.release()
    lease.release()


def test_its_holder_writes_and_so_does_who_never_had_it(two):
    (holder, lease), (other, _) = two
    assert lease.acquire()
    assert put(holder, "a").version == 1
    assert put(other, "a").version == 2
    lease.release()
    assert put(holder, "a").version == 3


# On a database


@pytest.fixture
def expire(postgresql, folder):
    """Let the lease of the folder's storage end, as if its holder had given no sign of life."""
    return lambda: postgresql.ask(f"UPDATE {schema_name(folder)}.leases SET expires = now() - interval '1 second'")


only_sql = pytest.mark.parametrize("backend", ["postgresql:"], indirect=True)


def hold(backend, folder, pipe):
    """The body of a process that acquires the lease and writes each time it is told to."""
    store = BACKENDS[backend](folder)
    lease = store.lease("collector")
    pipe.send(lease.acquire())
    for text in iter(pipe.recv, None):
        try:
            pipe.send(put(store, "a", text).version)
        except StorageError as error:
            pipe.send(error.detail)


@pytest.fixture
def holder(backend, folder):
    """A process that has the lease, and the pipe to it."""
    ours, theirs = Pipe()
    process = forked(hold, backend, folder, theirs)
    process.start()
    assert ours.recv()
    yield process, ours
    process.kill()
    process.join()
    ours.close()


@only_sql
def test_a_holder_that_slept_and_woke_writes_nothing(holder, reopen, expire):
    process, pipe = holder
    pipe.send("1")
    assert pipe.recv() == 1
    store = reopen()
    lease = store.lease("collector")
    assert not lease.acquire()
    os.kill(process.pid, signal.SIGSTOP)
    wait_for(lambda: expire() or lease.acquire(), "the lease")  # a renewal may have been on its way
    pipe.send("2")
    os.kill(process.pid, signal.SIGCONT)
    assert pipe.recv() == "Another process has taken over; nothing of this was stored."
    assert put(store, "a", "3").version == 2
    assert past(store, "a") == [(2, "3"), (1, "1")]
    lease.release()


@only_sql
def test_a_holder_that_was_killed_loses_it(holder, reopen, expire):
    process, _ = holder
    lease = reopen().lease("collector")
    process.kill()
    process.join()
    assert not lease.acquire()
    expire()
    assert lease.acquire()
    lease.release()


class Task:
    """A collector's task that notes its rounds, and loses its lease in the second."""

    def __init__(self, store, steal, stop):
        self.store, self.steal, self.stop = store, steal, stop
        self.sources, self.rounds, self.documents = {}, [], self

    def note_crash(self, name):
        pass

    def trim(self, is_stopped, now):
        pass

    def heard_at(self):
        return None

    def due(self, first):
        return ["server"]

    def run(self, names, stop, note):
        self.rounds.append(first := len(self.rounds))
        if first == 1:
            self.steal()
        put(self.store, "platform")
        self.stop.is_set = len(self.rounds) == 4

    def delay(self):
        return 0


@only_sql
def test_a_collector_that_lost_it_stands_by_until_it_is_free(two, reopen, expire, monkeypatch):
    (store, lease), (_, other) = two
    waits = []

    class Never(Stop):
        def wait(self, seconds):
            if seconds == 1:
                waits.append(seconds)
                other.release()
            return self.is_set

    def steal():
        wait_for(lambda: expire() or other.acquire(), "the lease")

    stop = Never()
    task = Task(store, steal, stop)
    collect_forever(task, lease, stop)
    assert len(task.rounds) == 4 and waits == [1]
    assert [version for version, _ in past(store, "platform")] == [3, 2, 1]
    assert lease.holder() == ""
