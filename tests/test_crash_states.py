"""Power loss at every moment: an acknowledged write is there, every other wholly or not at all, nothing to repair."""

import itertools
import os
import tempfile
from pathlib import Path

import pytest
from crash import check
from crash.disk import Disk

from deploymetrics.storage import segments

LONG = '"%s"' % ("x" * 6000)
#: Creation, updates over the ends of files of the history, long values, trimming, deletions, a second key.
WRITES = [
    ("a", "1"), ("a", "2"), ("a", LONG), ("b", "1"), ("a", "4"), ("a", "5"), ("a", None), ("a", "7"), ("a", LONG),
    ("b", None), ("a", None), ("b", "3"), ("a", "10"), ("a", "11"), ("a", "12"), ("a", "13"), ("a", "14"), ("a", "15"),
]
RESTORED = [("a", [*"1234567"]), ("a", "8"), ("b", [*"12", None]), ("b", "4"), ("c", ["1"]), ("c", None)]
BY_HAND = [("a", "by hand"), ("a", "2"), ("a", None), ("b", "by hand"), ("b", None), ("b", "3")]

#: Every sync that the storage makes, by the functions that lead to it.
SYNCS = [
    "_write_and_rename<replace_file",
    "_write_end<append",
    "sync_folder<append",
    "sync_folder<make_folder<append",
    "sync_folder<make_folder",
    "sync_folder<make_folder<make_folder",
    "sync_folder<remove_file",
    "sync_folder<replace_file",
]
IMPORT_SYNCS = [
    "_write<_place_history<restore",
    "sync_folder<_place_history<restore",
]


@pytest.fixture(autouse=True)
def short_files(monkeypatch):
    """Few lines in a file of the history, so that its end comes often."""
    monkeypatch.setattr(segments, "SEGMENT_LINES", 3)


@pytest.fixture
def folder():
    """An empty folder, in memory where there is such a place: nothing in here needs a real disk."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as path:
        yield Path(path)


@pytest.fixture
def run(folder):
    """Record writes and check all their crash states; (the Recorder, how many states there were until now)."""
    numbers, seen = itertools.count(), set()

    def record_and_check(writes, **options):
        recorded, state = folder / f"recorded{next(numbers)}", folder / "state"
        recorded.mkdir()
        state.mkdir(exist_ok=True)
        recorder = check.record(recorded, writes, **options)
        check.check(recorder, state, seen)
        return recorder, len(seen)

    return record_and_check


@pytest.mark.parametrize("writes", [WRITES, BY_HAND, RESTORED], ids=["own", "by-hand", "restored"])
def test_every_crash_state_is_good(run, writes):
    recorder, states = run(writes)
    assert states > 10 * len(writes)


def test_the_syncs_are_all_known(folder):
    assert check.record(folder, WRITES, below="srv/instance").sites == set(SYNCS)


@pytest.mark.parametrize("sync", SYNCS)
def test_without_any_one_sync_a_write_gets_lost(run, sync):
    with pytest.raises(check.Violation):
        run(WRITES, skip=sync, below="srv/instance")


@pytest.mark.parametrize("before, text", [(0, "2"), (1, "2"), (1, None), (4, "2"), (4, None)])
def test_a_kill_before_the_power_loss_changes_nothing(folder, run, before, text):
    """What a killed writer had not synced is the burden of the next one."""
    first = [("a", str(number)) for number in range(before)]
    start = operations(folder, first)
    end = operations(folder, [*first, ("a", text)])
    assert end - start > 5
    for number in range(start, end + 1):
        run([*first, ("a", text), ("b", "1"), ("a", "8")], kill_at=number)


def test_an_import_that_is_killed_can_be_repeated_and_need_not(folder, run):
    versions = [*"12345"]
    end = operations(folder, [("a", versions)])
    for number in range(end + 1):
        run([("a", versions), ("a", versions), ("b", "1")], kill_at=number)
        run([("a", versions), ("b", "1"), ("a", "8")], kill_at=number)


@pytest.mark.parametrize("sync", IMPORT_SYNCS)
def test_without_any_one_sync_an_import_gets_lost(run, sync):
    with pytest.raises(check.Violation):
        run(RESTORED, skip=sync)


def operations(folder, writes):
    """How many operations the writes take."""
    with tempfile.TemporaryDirectory(dir=folder) as recorded:
        return check.record(Path(recorded), writes, kill_at=10**9).counted


def test_the_disk_knows_what_a_power_loss_does():
    disk = Disk()
    for operation in [("create", 0, "a", 1), ("write", 1, 0, b"one\n"), ("sync", 1), ("write", 1, 4, b"two\n")]:
        disk.apply(*operation)
    found = [state.get("a") for state in disk.states()]
    assert set(found) == {None, b"one\n", b"one\ntwo\n", b"one\nt", b"one\ntw", b"one\ntwo", b"one\n\0\0\0\0"}
    disk.apply("sync", 0)
    disk.apply("sync", 1)
    disk.apply("rename", 0, "a", "b", 1)
    assert list(disk.states()) == [{"a": b"one\ntwo\n"}, {"b": b"one\ntwo\n"}]
    disk.apply("mkdir", 0, "c", 2)
    disk.apply("create", 2, "d", 3)
    disk.apply("sync", 2)
    assert {"b": b"one\ntwo\n", "c": None, "c/d": b""} in list(disk.states())
    assert {"a": b"one\ntwo\n", "c": None, "c/d": b""} in list(disk.states())
    assert {"a": b"one\ntwo\n"} in list(disk.states())
