"""A process that was stopped with a lock: writers get an error, readers get answers, threads stay free."""

import fcntl
import os
import shutil
import signal
import threading

import pytest
from storekit import SPAWN, THINGS, in_threads, listed, metrics, open_files, past, put, value

from deploymetrics.errors import StorageError
from deploymetrics.storage.files import disk


@pytest.fixture(autouse=True)
def short_limits(monkeypatch):
    monkeypatch.setattr(disk, "LOCK_SECONDS", 0.3)
    monkeypatch.setattr(disk, "STUCK_SECONDS", 0.05)


def hold_key(folder, pipe):
    """The body of a process that stops in the middle of a write of a."""

    def change(current, now):
        pipe.send("held")
        os.kill(os.getpid(), signal.SIGSTOP)
        return value("a", "stopped".join('""'))

    open_files(folder).write(THINGS, "a", "alice", change)


@pytest.fixture
def stopped(folder):
    """A process that was stopped with the lock of a; it is told to go on with ``SIGCONT``."""
    put(open_files(folder), "a", "1")
    ours, theirs = SPAWN.Pipe()
    process = SPAWN.Process(target=hold_key, args=(folder, theirs))
    process.start()
    assert ours.recv() == "held"
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
    yield process
    if process.is_alive():
        os.kill(process.pid, signal.SIGCONT)
    process.join()
    assert process.exitcode == 0


@pytest.fixture
def locked_log(folder):
    """The log of a, locked by somebody who does not go on."""
    put(open_files(folder), "a", "1")
    with open(next((folder / "data/things/a").iterdir())) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file


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
    monkeypatch.setattr(disk, "LOCK_SECONDS", 10**6)
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
                monkeypatch.setattr(disk, "LOCK_SECONDS", 0)  # the last one may end as well

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


# --- Somebody removes the lock files


def test_a_removed_lock_file_makes_nobody_lose_a_write(folder):
    store, other = open_files(folder), open_files(folder)
    put(store, "a", "1")

    def change(current, now):
        shutil.rmtree(folder / "locks")
        put(other, "a", "2")
        return value("a", "3")

    with pytest.raises(StorageError):
        store.write(THINGS, "a", "alice", change)
    assert past(store, "a") == past(open_files(folder), "a") == [(2, "2"), (1, "1")]
    assert put(store, "a", "3").version == 3


def test_a_lock_file_that_was_removed_while_it_was_waited_for_is_none(folder, monkeypatch):
    path, lock = os.fspath(folder / "lock"), fcntl.flock

    def remove_first(fd, how):
        """Another process removes the file at that moment, makes another one and holds that."""
        monkeypatch.setattr(fcntl, "flock", lock)
        os.unlink(path)
        others.append(os.open(path, os.O_RDWR | os.O_CREAT))
        lock(others[0], fcntl.LOCK_EX)
        lock(fd, how)

    others = []
    monkeypatch.setattr(fcntl, "flock", remove_first)
    with pytest.raises(StorageError), disk.Lock(path).held():
        pass
    os.close(others[0])
