"""Power loss at every moment: an acknowledged write is there, every other wholly or not at all, nothing to repair."""

import itertools
import os
import tempfile
from pathlib import Path

import pytest
from crash import check
from crash.disk import Disk

from deploymetrics.storage import exchange, segments

LONG = '"%s"' % ("x" * 6000)
#: Creation, updates over the ends of files of the history, long values, trimming, deletions, a second key.
WRITES = [
    ("a", "1"), ("a", "2"), ("a", LONG), ("b", "1"), ("a", "4"), ("a", "5"), ("a", None), ("a", "7"), ("a", LONG),
    ("b", None), ("a", None), ("b", "3"), ("a", "10"), ("a", "11"), ("a", "12"),
]
TRIMS = [("a", str(number)) for number in range(11)]
RESTORED = [("a", [*"1234567"]), ("a", "8"), ("b", [*"12", None]), ("b", "4"), ("c", ["1"]), ("c", None)]
BY_HAND = [
    ("a", "by hand 0"), ("a", "2"), ("a", None), ("b", "by hand 0"), ("b", None), ("b", "3"), ("a", "by hand 4"),
    ("a", "5"), ("a", None),
]

#: Every sync that the storage makes, by the functions that lead to it.
SYNCS = [
    "_write_end<append<supersede",
    "sync_folder<append<supersede",
    "sync_folder<make_folder<append<supersede",
    "sync_folder<make_folder",
    "sync_folder<make_folder<make_folder",
    "write_file<_write_new<write_draft<_write_and_rename<replace_file",
    "sync_folder<replace_file",
]
#: That of the folder of the items, before versions are dropped.
SYNC_BEFORE_TRIMMING = "sync_folder"
#: For what somebody put there without a sync; here they do it with one. See test_storage_by_hand.py.
SYNC_OF_A_FILE_BY_HAND = "sync_file<supersede"
#: Those that matter only after a process was killed, with what it left.
SYNCS_AFTER_A_KILL = [
    "sync_folder<supersede",
    "sync_file<sync<settle",
]
IMPORT_SYNCS = [
    "write_file<_place_history<restore",
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


@pytest.mark.parametrize("writes", [WRITES, TRIMS, BY_HAND, RESTORED], ids=["own", "trims", "by-hand", "restored"])
def test_every_crash_state_is_good(run, writes):
    recorder, states = run(writes)
    assert states > 10 * len(writes)


def test_the_syncs_are_all_known(folder):
    known = {*SYNCS, SYNC_BEFORE_TRIMMING, SYNC_OF_A_FILE_BY_HAND, SYNCS_AFTER_A_KILL[0]}
    assert check.record(folder, WRITES, below="srv/instance").sites == known


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


def test_without_its_sync_trimming_drops_what_a_write_is_found_by(run, monkeypatch):
    monkeypatch.setattr(segments, "SEGMENT_LINES", 1)
    with pytest.raises(check.Violation):
        run(TRIMS, skip=SYNC_BEFORE_TRIMMING)


def test_every_crash_state_is_good_where_files_cannot_be_exchanged(run, monkeypatch):
    monkeypatch.setattr(exchange, "_renameat2", None)
    recorder, _ = run(TRIMS)
    assert not any(operation[0] == "exchange" for operation in recorder.operations)


@pytest.mark.parametrize("sync", SYNCS_AFTER_A_KILL)
def test_without_any_one_sync_a_killed_writer_costs_a_write(folder, run, sync):
    writes = [("a", "0"), ("a", "1"), ("a", "2"), ("b", "1"), ("a", "8")]
    with pytest.raises(check.Violation):
        for number in range(operations(folder, writes)):
            run(writes, kill_at=number, skip=sync)


@pytest.mark.parametrize("lines, before, text", [(1, ["1"], "2"), (4, ["1", "2", None, "4"], "5")])
def test_a_killed_writer_leaves_the_line_of_the_version_before_at_the_end_of_a_file(
    folder, run, monkeypatch, lines, before, text
):
    monkeypatch.setattr(segments, "SEGMENT_LINES", lines)
    writes = [("a", one) for one in before]
    start, end = operations(folder, writes), operations(folder, [*writes, ("a", text)])
    for number in range(start, end + 1):
        run([*writes, ("a", text), ("b", "1"), ("a", "8")], kill_at=number)


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
