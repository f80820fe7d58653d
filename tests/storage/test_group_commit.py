"""Writes of one key that wait at the same time are stored at once, and each ends as it would have by itself."""

import contextvars
import ctypes
import errno
import os
import threading

import pytest
from storekit import (
    PLAIN,
    THINGS,
    VOLATILE,
    listed,
    metrics,
    newest_file,
    open_files,
    past,
    put,
    put_together,
    remove,
    until_it_waits,
    value,
    versions,
)

import deploymetrics.storage.files
from deploymetrics.errors import NotFound, StorageError, StorageFullError
from deploymetrics.storage.files.version_log import FILE_BYTES


@pytest.fixture
def store(folder):
    return open_files(folder)


def add_one(current):
    return value("a", str(int(metrics(current)) + 1 if current else 1))


def refuse(current):
    raise NotFound()


def test_they_take_one_sync(store, folder, monkeypatch):
    put(store, "a", "1")
    syncs, sync = [], os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda fd: syncs.append(fd) or sync(fd))
    items = put_together(store, "a", ["2", "3", "4"])
    assert len(syncs) == 1
    assert [(item.version, metrics(item), item.changed_by) for item in items] == [
        (number + 2, str(number + 2), f"author {number}") for number in range(3)
    ]
    assert newest_file(folder, "things", "a").read_bytes().count(b"\n") == 2


def test_large_ones_are_not_stored_together(store, folder):
    """So a line, and a file, is larger by one document at the most."""
    put(store, "a", "1")
    text = '"%s"' % ("x" * FILE_BYTES)
    items = put_together(store, "a", ["2", text, text, text])
    assert [item.version for item in items] == [2, 3, 4, 5]
    sizes = [path.stat().st_size for path in sorted((folder / "data/things/a").iterdir())]
    assert len(sizes) == 3 and max(sizes) < FILE_BYTES + 1000


def test_each_version_is_there(store, folder):
    put(store, "a", "1")
    put_together(store, "a", ["2", None, "4"])
    items = put_together(store, "a", ["5", add_one])
    for one in store, open_files(folder):
        assert past(one, "a") == [(6, "6"), (5, "5"), (4, "4"), (3, None), (2, "2"), (1, "1")]
        assert past(one, "a", 3, oldest_first=True) == [(1, "1"), (2, "2")]
        assert one.read(THINGS, "a") == items[1] and one.version(THINGS, "a", 5) == items[0]
        assert one.version(THINGS, "a", 3).deleted
        assert listed(one) == {"a": "6"} and list(one.verify(THINGS)) == []
    assert (folder / "things/a.json").read_bytes() == items[1].value


@pytest.mark.parametrize("is_old", [True, False], ids=["as earlier releases wrote them", "as today"])
@pytest.mark.parametrize("purged", [(), (2,), (3,), (2, 3)])
def test_they_are_there_without_the_newline_that_a_crash_took(store, folder, is_old, purged):
    put(store, "a", "1")
    put_together(store, "a", ["2", "3", "4"])
    path = newest_file(folder, "things", "a")
    if is_old:
        path.write_bytes(path.read_bytes().replace(b"\n\r\r", b"\n"))
    for version in purged:
        assert store.purge(THINGS, "a", "alice", version) == 1
    path.write_bytes(path.read_bytes().removesuffix(b"\n"))
    other = open_files(folder)
    assert versions(other, "a") == [number for number in (4, 3, 2, 1) if number not in purged]
    assert put(other, "a", "5").version == 5
    assert versions(store, "a") == [number for number in (5, 4, 3, 2, 1) if number not in purged]


def test_a_list_reads_a_value_that_was_superseded_meanwhile(store):
    put_together(store, "a", ["1", "2"])
    listing = store.items(THINGS)
    put_together(store, "a", ["3", "4"])
    assert list(listing.values()) == [value("a", "2")]


def test_what_one_is_refused_for_is_its_own(store):
    first, refused, last = put_together(store, "a", [add_one, refuse, add_one])
    assert isinstance(refused, NotFound)
    assert past(store, "a") == [(2, "2"), (1, "1")] and (first.version, last.version) == (1, 2)


def test_each_is_asked_in_the_context_of_its_own_thread(store):
    """Such as that of its request, whose precondition it may look at."""
    request = contextvars.ContextVar("request", default="none")
    put(store, "a", "1")

    def write(name, inner=None):
        def change(current, now):
            if inner:
                inner()
            return value("a", f'"{request.get()}"')

        request.set(name)
        store.write(THINGS, "a", "alice", change)

    threads = [threading.Thread(target=write, args=(f"of thread {number}",)) for number in range(3)]

    def start():
        for thread in threads:
            thread.start()
            until_it_waits(thread)

    contextvars.Context().run(write, "of the first", start)
    for thread in threads:
        thread.join()
    expected = ['"of thread 2"', '"of thread 1"', '"of thread 0"', '"of the first"', "1"]
    assert [metrics(item) for item in store.history(THINGS, "a")] == expected


def test_each_sees_what_those_before_it_made(store):
    put(store, "a", "7")
    deletion, _, item = put_together(store, "a", [None, None, lambda current: value("a", f'"{current}"')])
    assert deletion is None and metrics(item) == '"None"'
    assert versions(store, "a") == [3, 2, 1]


@pytest.mark.parametrize("error, expected", [(errno.ENOSPC, StorageFullError), (errno.EIO, StorageError)])
def test_all_fail_where_the_disk_does(store, monkeypatch, error, expected):
    """Also one that was refused: what it was refused for is not there."""
    put(store, "a", "1")

    def fail(fd):
        monkeypatch.setattr(os, "fdatasync", sync)
        raise OSError(error, os.strerror(error))

    sync = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", fail)
    outcomes = put_together(store, "a", ["2", refuse, "4"])
    assert [type(outcome) for outcome in outcomes] == [expected] * 3
    assert len(set(map(id, outcomes))) == 3
    assert past(store, "a") == [(1, "1")]
    assert put(store, "a", "5").version == 2


def test_nobody_waits_for_one_that_was_interrupted(store):
    def interrupt(current):
        raise KeyboardInterrupt

    put(store, "a", "1")
    outcomes = put_together(store, "a", ["2", interrupt, "4"])
    assert isinstance(outcomes[0], KeyboardInterrupt)
    assert outcomes[1].status == 503
    assert outcomes[2].version == 2
    assert put(store, "a", "5").version == 3


def test_nobody_waits_behind_one_that_was_interrupted_while_it_waited(store):
    put(store, "a", "1")
    ended = []

    def wait_in_vain():
        try:
            put(store, "a", "2")
        except KeyboardInterrupt:
            ended.append(True)

    def interrupt(current, now):
        thread = threading.Thread(target=wait_in_vain)
        thread.start()
        until_it_waits(thread)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(KeyboardInterrupt))
        thread.join()
        return value("a", "3")

    store.write(THINGS, "a", "alice", interrupt)
    assert ended == [True]
    assert put(store, "a", "4").version == 3


def test_other_keys_that_wait_in_the_same_queue_stay_apart(folder, monkeypatch):
    monkeypatch.setattr(deploymetrics.storage.files, "QUEUES", 1)
    store = open_files(folder)
    threads = [threading.Thread(target=put, args=(store, key, f'"{key}"')) for key in "bac"]

    def start(current, now):
        for thread in threads if current else ():
            thread.start()
            until_it_waits(thread)
        return value("a", "2")

    put(store, "a", "1")
    store.write(THINGS, "a", "alice", start)
    for thread in threads:
        thread.join()
    assert listed(store) == listed(open_files(folder)) == {key: f'"{key}"' for key in "abc"}
    assert [versions(store, key) for key in "abc"] == [[3, 2, 1], [1], [1]]


@pytest.mark.parametrize("collection", [PLAIN, VOLATILE], ids=lambda collection: collection.name)
@pytest.mark.parametrize("steps", ["23", "2x", "x2", "2x4", "x3x", "2x4x"])
def test_without_a_history_the_last_one_counts(store, folder, collection, steps):
    put(store, "a", "1", collection=collection)
    outcomes = put_together(store, "a", [None if text == "x" else text for text in steps], collection)
    assert not any(isinstance(outcome, BaseException) for outcome in outcomes)
    number = 1
    for text in steps:
        number = 0 if text == "x" else number + 1
    for one in store, open_files(folder):
        item = one.read(collection, "a")
        assert (item and (item.version, metrics(item))) == ((number, steps[-1]) if number else None)
        assert listed(one, collection) == ({"a": steps[-1]} if number else {})
    put(store, "a", "9", collection=collection)
    remove(store, "a", collection=collection)
    assert store.read(collection, "a") is None


def test_old_versions_are_thinned_out_as_ever(folder, clock):
    store = open_files(folder, clock, versions=16, hourly_days=1, daily_days=2)
    for _ in range(40):
        put_together(store, "a", ["1", "2", "3", "4", "5"])
        clock.forward(hours=3)
    found = versions(store, "a")
    assert found[:16] == list(range(200, 184, -1))
    assert len(found) < 60
