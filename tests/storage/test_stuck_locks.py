"""A process that was stopped with a lock: writers get an error, readers get answers, threads stay free."""

import fcntl
import os
import signal
import threading
import time
from multiprocessing import Pipe

import pytest
from launching import forked
from storekit import (
    PLAIN,
    THINGS,
    VOLATILE,
    in_threads,
    listed,
    metrics,
    open_files,
    past,
    put,
    put_together,
    remove,
    until_it_waits,
    value,
)
from waiting import state_of, wait_for

from deploymetrics.errors import StorageError
from deploymetrics.storage.files import group_commit


@pytest.fixture
def short_limits(monkeypatch):
    """Let writers give up soon; only for tests in which others have a lock, since a busy machine takes long as well."""
    monkeypatch.setattr(group_commit, "LOCK_SECONDS", 0.3)
    monkeypatch.setattr(group_commit, "STUCK_SECONDS", 0.05)


def hold_key(folder, pipe):
    """The body of a process that stops in the middle of a write of a."""

    def change(current, now):
        pipe.send("held")
        os.kill(os.getpid(), signal.SIGSTOP)
        return value("a", "stopped".join('""'))

    open_files(folder).write(THINGS, "a", "alice", change)


@pytest.fixture
def stopped(folder, short_limits):
    """A process that was stopped with the lock of a; it is told to go on with ``SIGCONT``."""
    put(open_files(folder), "a", "1")
    ours, theirs = Pipe()
    process = forked(hold_key, folder, theirs)
    process.start()
    assert ours.recv() == "held"
    wait_for(lambda: state_of(process.pid) == "T", "it to stop")
    yield process
    if process.is_alive():
        os.kill(process.pid, signal.SIGCONT)
    process.join()
    assert process.exitcode == 0


@pytest.fixture
def locked_log(folder, short_limits):
    """The log of a, locked by somebody who does not go on."""
    put(open_files(folder), "a", "1")
    fd = os.open(folder / "data/things/a", os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    yield
    os.close(fd)


@pytest.fixture(params=["key", "log"])
def stuck(request):
    return request.getfixturevalue("stopped" if request.param == "key" else "locked_log")


def test_writers_get_an_error_and_readers_an_answer(stuck, folder):
    store = open_files(folder)
    for _ in range(2):
        with pytest.raises(StorageError) as caught:
            put(store, "a", "2")
        assert caught.value.status == 503 and "Retry-After" in caught.value.headers
        assert metrics(store.read(THINGS, "a")) == "1"
        assert past(store, "a") == [(1, "1")]
        assert listed(store) == {"a": "1"}
        assert store.version(THINGS, "a", 1).version == 1
        assert store.keys(THINGS) == ["a"]


def test_one_thread_keeps_waiting_and_the_others_give_up(stuck, folder, monkeypatch):
    """After the time in which a lock counts as stuck, far below the limit."""
    monkeypatch.setattr(group_commit, "LOCK_SECONDS", 10**6)
    store, waiting, outcomes, most = open_files(folder), [], [], 5
    done = threading.Event()

    def work():
        waiting.append(1)
        try:
            put(store, "a", "2")
        except StorageError:
            outcomes.append("error")
            if len(outcomes) == most - 1:
                done.set()
                monkeypatch.setattr(group_commit, "LOCK_SECONDS", 0)  # the last one may end as well

    in_threads(most, work)
    assert done.is_set() and outcomes == ["error"] * most


def test_when_the_process_goes_on_so_do_the_others(stopped, folder):
    store = open_files(folder)
    with pytest.raises(StorageError):
        put(store, "a", "2")
    os.kill(stopped.pid, signal.SIGCONT)
    stopped.join()
    assert put(store, "a", "3").version == 3
    assert past(store, "a") == [(3, "3"), (2, '"stopped"'), (1, "1")]


def test_unlocking_that_fails_takes_nothing_back(folder, monkeypatch):
    def flock(fd, how, flock=fcntl.flock):
        if how == fcntl.LOCK_UN:
            raise OSError
        return flock(fd, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    store = open_files(folder)
    assert put(store, "a").version == 1
    assert metrics(store.read(THINGS, "a")) == "1"


@pytest.fixture
def write_during_sync(folder, monkeypatch):
    """Write a, and let others write it while that is synced, for so many seconds; return what became of those.

    Meanwhile a writer waits no longer than a ``limit``, and no time at all for a lock of another process.
    """
    store, outcomes, sync = open_files(folder), [], os.fdatasync
    put(store, "a", "1")

    def write():
        try:
            outcomes.append(put(store, "a", "3").version)
        except StorageError as error:
            outcomes.append(error.status)

    def run(number, seconds, limit=10**6):
        threads = [threading.Thread(target=write, daemon=True) for _ in range(number)]

        def sync_slowly(fd):
            monkeypatch.setattr(os, "fdatasync", sync)
            with monkeypatch.context() as meanwhile:
                meanwhile.setattr(group_commit, "LOCK_SECONDS", limit)
                meanwhile.setattr(group_commit, "STUCK_SECONDS", 0)
                for thread in threads:
                    thread.start()
                    until_it_waits(thread)
                for thread in threads:
                    thread.join(seconds / number)
            sync(fd)

        monkeypatch.setattr(os, "fdatasync", sync_slowly)
        put(store, "a", "2")
        for thread in threads:
            thread.join()
        return sorted(outcomes)

    return run


def test_nobody_gives_up_because_a_disk_is_slow(write_during_sync):
    assert write_during_sync(3, 0.3) == [3, 4, 5]


def test_a_disk_that_is_too_slow_is_given_up(write_during_sync, folder):
    assert write_during_sync(2, 10, limit=0.3) == [503, 503]
    assert past(open_files(folder), "a") == [(2, "2"), (1, "1")]


def test_nobody_gives_up_who_is_being_stored(folder, monkeypatch):
    monkeypatch.setattr(group_commit, "LOCK_SECONDS", 1)
    store, sync = open_files(folder), os.fdatasync
    put(store, "a", "1")
    monkeypatch.setattr(os, "fdatasync", lambda fd: time.sleep(1.3) or sync(fd))
    assert [item.version for item in put_together(store, "a", ["2", "3", "4"])] == [2, 3, 4]


def test_whatever_is_raised_where_a_lock_is_given_back_the_next_write_goes_on(folder, short_limits, monkeypatch):
    """Else no thread of the process, and no other one, would write the key again."""

    def without_memory(fd, how):
        if how == fcntl.LOCK_UN:
            raise MemoryError
        lock(fd, how)

    store, lock = open_files(folder), fcntl.flock
    put(store, "a")
    with monkeypatch.context() as patch, pytest.raises(MemoryError):
        patch.setattr(fcntl, "flock", without_memory)
        put(store, "a")
    assert put(store, "a").version == put(open_files(folder), "a").version - 1 == 3


# --- What is locked is another file once it is


@pytest.mark.parametrize("collection", [THINGS, PLAIN, VOLATILE], ids=lambda collection: collection.name)
@pytest.mark.parametrize("before", ["", "1", "12", "1x"])
@pytest.mark.parametrize("meanwhile", ["3", "345", "x", "3x", "x3", "x3x", "p", "3p", "xp3"])
def test_what_others_did_while_a_lock_was_waited_for_counts(folder, monkeypatch, collection, before, meanwhile):
    """Also where the file that was waited for is replaced, removed or followed by another one, and its folder too."""
    store, other = (open_files(folder, versions=8) for _ in range(2))
    carry_out(other, collection, before)
    store.read(collection, "a")
    lock, seen = fcntl.flock, []

    def write_first(fd, how):
        monkeypatch.setattr(fcntl, "flock", lock)
        carry_out(other, collection, meanwhile)
        return lock(fd, how)

    def change(current, now):
        seen.append(current and metrics(current))
        return value("a", "7")

    monkeypatch.setattr(fcntl, "flock", write_first)
    item = store.write(collection, "a", "alice", change)
    last = f"x{before}{meanwhile}".replace("p", "")[-1]
    assert seen[-1] == (None if last == "x" or meanwhile[-1] == "p" else last)
    assert open_files(folder).read(collection, "a") == other.read(collection, "a") == item
    assert [one.version for one in store.history(collection, "a")][0] == item.version


def carry_out(store, collection, steps):
    """Write each digit; x deletes, and p purges all."""
    for step in steps:
        if step == "x":
            remove(store, "a", collection=collection)
        elif step == "p":
            store.purge(collection, "a", "alice")
        else:
            put(store, "a", step, collection=collection)
