"""Files that a person, an editor or a backup put there: they cost no version of others and no number comes twice."""

import fcntl
import os
import threading
from datetime import timedelta

import pytest
from storekit import THINGS, metrics, past, put, remove, value

from deploymetrics.errors import DamagedItem, StorageError
from deploymetrics.storage import VERSION_LIMIT, durable


def fill(store, clock, number):
    for one in range(number):
        put(store, "a", str(one + 1))
        clock.forward(seconds=1)


@pytest.mark.parametrize("text", [
    value("a", "0"),
    b'{"version":1,"changedAt":"2016-01-12T12:00:03.000000Z",%b' % value("a", "0")[1:],
])
def test_an_old_file_put_back_does_not_make_the_others_old(store, things, clock, text):
    """Neither where it is the first in a file of the history, by which the age of all before it is told."""
    fill(store, clock, 64)
    (things / "a.json").write_bytes(text)
    os.utime(things / "a.json", ((clock.at - timedelta(days=800)).timestamp(),) * 2)
    put(store, "a", "66")
    assert [version for version, _ in past(store, "a")] == list(range(66, 0, -1))
    times = [item.changed_at for item in store.history(THINGS, "a")]
    assert times == sorted(times, reverse=True)


def test_a_deleted_item_put_back_keeps_its_deletion(store, things):
    put(store, "a", "1")
    put(store, "a", "2")
    copy = (things / "a.json").read_bytes()
    remove(store, "a", by="eve")
    (things / "a.json").write_bytes(copy)
    put(store, "a", "5")
    assert past(store, "a") == [(5, "5"), (4, "2"), (3, None), (2, "2"), (1, "1")]


@pytest.mark.parametrize("last", ["2", None])
def test_an_editor_that_leaves_out_the_last_newline_costs_nothing(store, folder, last):
    put(store, "a", "1")
    put(store, "a", "2")
    if last is None:
        remove(store, "a")
    before = past(store, "a")
    path = folder / "history/things/a/000000000001.jsonl"
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    assert past(store, "a") == before
    for text in "78":
        before.insert(0, (before[0][0] + 1, text))
        put(store, "a", text)
        assert past(store, "a") == before


def test_a_damaged_version_is_named_by_its_number_too(store, folder, clock):
    fill(store, clock, 5)
    path = folder / "history/things/a/000000000001.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"version":3,', b'"versXon":3,'))
    with pytest.raises(DamagedItem):
        store.version(THINGS, "a", 3)


@pytest.mark.parametrize("old, new", [
    (b'"version":1,', b'"version":999999999999999999,'),
    (b"2018-01-12T12:00:03.123456Z", b"9999-12-31T23:59:59.999999Z"),
    (b"2018-01-12T12:00:03.123456Z", b"0001-01-01T00:00:00.000000Z"),
])
def test_what_cannot_be_gone_on_from_is_damaged(store, things, old, new):
    put(store, "a")
    (things / "a.json").write_bytes((things / "a.json").read_bytes().replace(old, new))
    for attempt in (lambda: put(store, "a", "2"), lambda: store.read(THINGS, "a")):
        with pytest.raises(DamagedItem):
            attempt()


def test_the_last_number_there_is_cannot_be_gone_on_from(store, things):
    put(store, "a")
    last = VERSION_LIMIT - 1
    (things / "a.json").write_bytes((things / "a.json").read_bytes().replace(b'"version":1,', b'"version":%d,' % last))
    for attempt in put, remove:
        with pytest.raises(DamagedItem):
            attempt(store, "a")
    assert past(store, "a") == [(last, "1")]


def test_a_pipe_is_not_waited_for(store, things):
    put(store, "b")
    os.mkfifo(things / "a.json")
    found = []
    thread = threading.Thread(target=lambda: found.append(store.items(THINGS).damaged), daemon=True)
    thread.start()
    thread.join(20)
    assert found == [("a",)]


def test_a_file_of_absurd_size_is_damaged_and_the_others_are_served(store, things):
    put(store, "b")
    (things / "a.json").touch()
    os.truncate(things / "a.json", 2**40)
    assert (store.items(THINGS).damaged, len(store.items(THINGS).items)) == (("a",), 1)


def test_unlocking_that_fails_takes_nothing_back(store, monkeypatch):
    def flock(fd, how, flock=fcntl.flock):
        if how == fcntl.LOCK_UN:
            raise OSError
        return flock(fd, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    assert put(store, "a").version == 1
    assert metrics(store.read(THINGS, "a")) == "1"


def test_a_file_put_there_is_synced_before_its_line_is(store, things, monkeypatch):
    """Else a power loss could leave less of it than recovery can tell from what somebody damaged."""
    put(store, "a")
    put(store, "a")
    (things / "a.json").write_bytes(value("a", "3"))
    synced = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.path.basename(os.readlink(f"/proc/self/fd/{fd}"))))
    put(store, "a", "4")
    assert synced == ["a.json", "things", "things", "000000000001.jsonl", "000000000001.jsonl"]


def test_a_write_that_fails_changes_nothing_of_a_file_put_there(store, things, monkeypatch):
    (things / "a.json").write_bytes(value("a"))
    os.utime(things / "a.json", (1_500_000_000, 1_500_000_000))
    before = store.history(THINGS, "a")

    def sync(path, sync=durable.sync_folder):
        if path == str(things):
            raise OSError
        sync(path)

    monkeypatch.setattr(durable, "sync_folder", sync)
    with pytest.raises(StorageError):
        put(store, "a", "2")
    assert store.history(THINGS, "a") == before
