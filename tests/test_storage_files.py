"""The JSON files as a person meets them: put there by hand, edited, damaged, copied, and private."""

import errno
import os
import shutil
import stat
import subprocess
import threading
from types import SimpleNamespace

import pytest
from storekit import PLAIN, THINGS, files_below, metrics, open_files, past, put, remove, value

from deploymetrics.errors import DamagedItem, StorageError
from deploymetrics.storage import durable, entries, exchange, jsonfiles, listing, segments, superseding

HEAD = b'{"version":3,"changedAt":"2018-01-12T12:00:03.123456Z","changedBy":"alice",\n'
DEEP = b"[" * 100_000 + b"]" * 100_000
DAMAGE = {
    "empty": b"",
    "white": b" \n",
    "half": HEAD[:70],
    "half-value": HEAD + b'"tag":"a","metr',
    "zeros": bytes(100),
    "zeros-after-our-head": HEAD + bytes(100),
    "not-utf-8": b'{"tag":"a","metrics":"\xff"}',
    "not-utf-8-after-our-head": HEAD + b'"tag":"a","metrics":"\xe9"}\n',
    "utf-16": '{"tag":"a","metrics":1}'.encode("utf-16"),
    "wrong-tag": b'{"tag":"b","metrics":1}',
    "wrong-tag-after-our-head": HEAD + b'"tag":"b","metrics":1}\n',
    "no-tag": b'{"metrics":1}',
    "version-without-end": b'{"version":100000000000000000,"tag":"a","metrics":1}',
    "not-an-object": b'["a"]',
    "not-json": b"tag = a",
    "two-objects": b'{"tag":"a","metrics":1}{"tag":"a","metrics":1}',
    "too-deep": b'{"tag":"a","metrics":%b}' % DEEP,
    "too-deep-after-our-head": HEAD + b'"tag":"a","metrics":%b}\n' % DEEP,
    "version-0": b'{"version":0,"tag":"a","metrics":1}',
    "version-0-after-our-head": HEAD.replace(b"3", b"0", 1) + b'"tag":"a","metrics":1}\n',
    "version-text": b'{"version":"3","tag":"a","metrics":1}',
    "bad-time": b'{"version":3,"changedAt":"yesterday","changedBy":"a",\n"tag":"a","metrics":1}\n',
    "no-zone": b'{"version":3,"changedAt":"2018-01-12T12:00:03","tag":"a","metrics":1}',
    "a-deletion": b'{"version":3,"changedAt":"2018-01-12T12:00:03Z","changedBy":"a","deleted":true}\n',
}
BY_HAND = {
    "minimal": '{"tag":"a","metrics":[1.10]}',
    "pretty": '{\n    "tag": "a",\n    "metrics": [\n        1.10\n    ]\n}\n',
    "version": '{"version": 1, "tag": "a", "metrics": [1.10]}',
    "any-order": '{"tag": "a", "metrics": [1.10], "changedAt": "2018-01-12T14:00:00+02:00", "version": 1}\r\n',
    "edited": HEAD.decode().replace("3", "1", 1) + '"tag":"a",\n"metrics": [1.10]\n}\n',
    "one-line": HEAD.decode().replace("3", "1", 1).strip() + '"tag":"a","metrics":[1.10]}',
}


# By hand


@pytest.mark.parametrize("name", BY_HAND)
def test_a_file_put_there_is_served_and_goes_on(store, things, name):
    (things / "a.json").write_text(BY_HAND[name])
    item = store.read(THINGS, "a")
    assert (item.value, item.version) == (value("a", "[1.10]"), 1)
    assert store.items(THINGS).pieces == (b"[%b]" % value("a", "[1.10]"),)
    assert past(store, "a") == [(1, "[1.10]")]
    assert put(store, "a", "2").version == 2
    assert past(store, "a") == [(2, "2"), (1, "[1.10]")]
    assert [one.changed_at for one in store.history(THINGS, "a")][1] == item.changed_at


def test_the_time_of_a_file_put_there_is_that_of_the_file(store, things):
    (things / "a.json").write_bytes(value("a"))
    os.utime(things / "a.json", (1_515_758_403, 1_515_758_403))
    item = store.read(THINGS, "a")
    assert (item.changed_at, item.changed_by) == ("2018-01-12T12:00:03.000000Z", "")


def test_a_file_put_in_the_place_of_a_deleted_item_goes_on_counting(store, things):
    put(store, "a")
    remove(store, "a")
    (things / "a.json").write_bytes(value("a", "3"))
    assert store.read(THINGS, "a").version == 3
    put(store, "a", "4")
    assert past(store, "a") == [(4, "4"), (3, "3"), (2, None), (1, "1")]


def test_an_older_file_put_back_costs_no_history(store, things, monkeypatch):
    monkeypatch.setattr(segments, "SEGMENT_LINES", 3)
    put(store, "a", "1")
    old = (things / "a.json").read_bytes()
    for number in range(2, 9):
        put(store, "a", str(number))
    (things / "a.json").write_bytes(old)
    assert store.read(THINGS, "a").value == value("a", "1")
    assert put(store, "a", "9").version == 10
    assert past(store, "a") == [(10, "9"), (9, "1")] + [(number, str(number)) for number in range(8, 0, -1)]


def test_a_file_for_a_kind_without_history(store, folder):
    store.items(PLAIN)
    (folder / "plain" / "a.json").write_bytes(value("a"))
    assert store.read(PLAIN, "a").version == 1
    assert put(store, "a", kind=PLAIN).version == 2


def test_removing_a_file_removes_the_item(store, things):
    put(store, "a")
    (things / "a.json").unlink()
    assert store.read(THINGS, "a") is None
    assert store.items(THINGS).items == ()


@pytest.mark.parametrize("name", ["A.json", "%61.json", "a.json~", ".a.json", "a.txt", "%FF.json", ".json", "README"])
def test_other_files_are_left_alone(store, things, name):
    put(store, "b")
    (things / name).write_bytes(value("a"))
    assert [item.key for item in store.items(THINGS).items] == ["b"]
    assert store.items(THINGS).damaged == ()
    put(store, "a", "2")
    assert (things / name).read_bytes() == value("a")


def test_an_edit_in_place_is_listed_after_the_recheck(store, things, monkeypatch):
    put(store, "a", "1")
    wait_until_old(things, things / "a.json")
    before = store.items(THINGS)
    assert store.read(THINGS, "a").value == value("a", "1")
    with open(things / "a.json", "r+b") as file:
        file.write(file.read().replace(b'"metrics":1', b'"metrics":2'))
        file.seek(0)
        file.write(b'{"tag":"a","metrics":2}')
        file.truncate()
    assert store.read(THINGS, "a").value == value("a", "2")
    monkeypatch.setattr(listing, "RECHECK_SECONDS", 0)
    assert store.items(THINGS).items[0].value == value("a", "2")
    assert store.items(THINGS).etag != before.etag


# A clock that ticks


@pytest.fixture
def coarse(monkeypatch):
    """File times as slow as a kernel may have them, on a file system that takes the number of a removed file again."""
    tick = 10_000_000

    def signature(stat):
        return stat.st_mtime_ns // tick, stat.st_ctime_ns // tick, stat.st_size

    monkeypatch.setattr(durable, "signature", signature)


def test_two_writes_in_one_tick_are_both_seen(coarse, store, folder, clock):
    other = open_files(folder, clock)
    stamps = set()
    for number in range(100, 300):
        item = put(store, "a", str(number))
        assert [one.etag for one in other.items(THINGS).items] == [item.etag]
        assert other.read(THINGS, "a").etag == item.etag
        stamps.add(other.stamp(THINGS, "a"))
    assert len(stamps) == 200


def test_a_deletion_in_the_tick_of_the_creation_is_seen(coarse, store, folder, clock):
    other = open_files(folder, clock)
    for number in range(100):
        put(store, "a")
        assert len(other.items(THINGS).items) == 1
        assert other.read(THINGS, "a") is not None
        remove(store, "a")
        assert other.items(THINGS).items == ()
        assert other.read(THINGS, "a") is None


@pytest.mark.parametrize("bug", ["tick", "folder"])
def test_a_list_that_trusts_the_tick_is_caught(coarse, store, folder, clock, monkeypatch, bug):
    """The test above is worth something: with the care taken away it fails."""
    if bug == "tick":
        monkeypatch.setattr(durable, "TICK_NS", 0)
    else:
        monkeypatch.setattr(durable, "is_young", lambda stat, now: False)
    with pytest.raises(AssertionError):
        test_two_writes_in_one_tick_are_both_seen(None, store, folder, clock)


def wait_until_old(*paths):
    """Until the times of the files are such as are relied on."""
    while any(durable.is_young(path.stat(), listing.time.time_ns()) for path in paths):
        pass


@pytest.mark.parametrize("in_place", [False, True], ids=["renamed", "in-place"])
def test_a_file_of_the_same_size_and_time_is_seen(store, things, monkeypatch, in_place):
    put(store, "a", "1")
    path, other = things / "a.json", things / "other"
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    wait_until_old(things, path)
    before, stamp = store.items(THINGS), store.stamp(THINGS, "a")
    assert metrics(store.read(THINGS, "a")) == "1"
    target = path if in_place else other
    target.write_bytes(path.read_bytes().replace(b'"metrics":1', b'"metrics":2'))
    os.utime(target, ns=times)
    if not in_place:
        other.rename(path)
    wait_until_old(things, path)
    monkeypatch.setattr(listing, "RECHECK_SECONDS", 0)
    assert store.items(THINGS).items[0].value == value("a", "2")
    assert store.items(THINGS).etag != before.etag
    assert store.read(THINGS, "a").value == value("a", "2")
    assert store.stamp(THINGS, "a") != stamp


@pytest.mark.parametrize("age, ctime, young", [
    (0.04, 10.5, True), (0.06, 10.5, False), (0.06, 10, True), (1.04, 10, True), (1.06, 10, False), (-5, 10.5, True),
])
def test_a_time_in_whole_seconds_is_young_for_longer(age, ctime, young):
    stat = SimpleNamespace(st_ctime_ns=int(ctime * 10**9))
    assert durable.is_young(stat, int((ctime + age) * 10**9)) is young


@pytest.mark.parametrize("name", ["99.jsonl", "99", "000000000099", "0000000000099.jsonl", "\u0669" * 12 + ".jsonl"])
def test_other_files_in_a_history_are_left_alone(store, folder, name):
    put(store, "a", "1")
    put(store, "a", "2")
    (folder / "history/things/a" / name).write_bytes(b"a note")
    assert put(store, "a", "3").version == 3
    assert past(store, "a") == [(3, "3"), (2, "2"), (1, "1")]


def test_a_write_goes_on_in_a_history_that_another_process_went_on_with(coarse, folder, clock, monkeypatch):
    monkeypatch.setattr(segments, "SEGMENT_LINES", 3)
    stores = open_files(folder, clock), open_files(folder, clock)
    for number in range(1, 120):
        put(stores[number % 2], "a", str(number))
    assert past(open_files(folder, clock), "a", limit=200) == [(number, str(number)) for number in range(119, 0, -1)]
    assert len(files_below(folder / "history/things/a")) == 40


def test_a_write_to_a_history_that_is_as_it_was_lists_nothing(store, folder, monkeypatch):
    for _ in range(3):
        put(store, "a")
    wait_until_old(folder / "history/things/a")
    put(store, "a")
    monkeypatch.setattr(segments.Segments, "starts", None)
    assert put(store, "a").version == 5


def test_a_read_of_a_file_that_is_as_it_was_opens_nothing(store, things, monkeypatch):
    item = put(store, "a")
    wait_until_old(things / "a.json")
    assert store.read(THINGS, "a") == item
    monkeypatch.setattr(durable, "read_file", None)
    assert store.read(THINGS, "a") == item


def test_what_is_remembered_of_reading_is_bounded(store, things, monkeypatch):
    monkeypatch.setattr(jsonfiles, "ITEM_BYTES", 1000)
    store._items.most = 3
    put(store, "large", '"%s"' % ("x" * 1000))
    for key in "abcdefg":
        put(store, key)
    wait_until_old(things / "g.json")
    for key in [*"abcdefg", "large"]:
        assert store.read(THINGS, key).key == key
    assert 0 < len(store._items._kept) <= 3
    assert str(things / "large.json") not in store._items._kept


def test_a_name_that_the_folder_leaves_out_for_a_moment_is_listed(store, monkeypatch):
    """Some file systems do, while the file is replaced."""
    for key in "abc":
        put(store, key)
    assert len(store.items(THINGS).items) == 3
    put(store, "b", "2")
    real = os.listdir
    monkeypatch.setattr(listing.os, "listdir", lambda path: [name for name in real(path) if name != "b.json"])
    assert [metrics(item) for item in store.items(THINGS).items] == ["1", "2", "1"]


def test_a_reader_that_has_the_old_file_open_does_not_see_the_next_draft(store, things, monkeypatch):
    """Where the old file has the name of a draft, since a writer was killed before it could remove it."""
    put(store, "a", "1")
    put(store, "a", "2")
    fd = os.open(things / "a.json", os.O_RDONLY)
    with monkeypatch.context() as patched:
        patched.setattr(durable, "remove_quietly", lambda path: None)
        patched.setattr(exchange.os, "unlink", lambda path: None)
        put(store, "a", "3")
    assert (things / ".a.json.tmp").exists()
    put(store, "a", "4")
    assert b'"metrics":2' in os.read(fd, 1000)
    os.close(fd)
    assert files_below(things) == ["a.json"]


# Damage


@pytest.fixture(params=DAMAGE)
def damaged(request, store, things):
    """The path of a damaged file of a, beside a good b."""
    put(store, "b")
    (things / "a.json").write_bytes(DAMAGE[request.param])
    yield things / "a.json"
    assert (things / "a.json").read_bytes() == DAMAGE[request.param]
    assert files_below(things) == ["a.json", "b.json"]


def test_a_damaged_file_is_named_and_never_overwritten(store, damaged):
    for attempt in (store.read, put, remove, store.history, lambda *args: store.version(THINGS, "a", 1), store.stamp):
        with pytest.raises(DamagedItem, match="'a' of things") as caught:
            attempt(store, "a") if attempt in (put, remove) else attempt(THINGS, "a")
        assert "things/a.json" in caught.value.log
        assert caught.value.status == 503
        assert str(damaged.parent) not in caught.value.detail


def test_the_others_go_on_beside_a_damaged_file(store, damaged):
    found = store.items(THINGS)
    assert ([item.key for item in found.items], found.damaged) == (["b"], ("a",))
    assert found.pieces == (b"[%b]" % value("b"),)
    assert put(store, "b", "2").version == 2
    assert metrics(store.items(THINGS).items[0]) == "2"


@pytest.mark.parametrize("make", [os.mkdir, lambda path: os.symlink(path.name, path)], ids=["folder", "loop"])
def test_what_is_no_file_is_a_damaged_item(store, things, make):
    put(store, "b")
    make(things / "a.json")
    for attempt in (store.read, store.history):
        with pytest.raises(DamagedItem):
            attempt(THINGS, "a")
    with pytest.raises(DamagedItem):
        put(store, "a")
    assert store.items(THINGS).damaged == ("a",)
    assert len(store.items(THINGS).items) == 1


def test_mending_a_damaged_file_is_all_there_is_to_do(store, things):
    put(store, "a")
    good = (things / "a.json").read_bytes()
    (things / "a.json").write_bytes(good[:50])
    assert store.items(THINGS).damaged == ("a",)
    (things / "a.json").write_bytes(good)
    assert store.items(THINGS).damaged == ()
    assert put(store, "a").version == 2


def test_a_damaged_history_is_named_and_kept(store, things, folder):
    for number in range(3):
        put(store, "a", str(number))
    path = folder / "history/things/a/000000000001.jsonl"
    path.write_bytes(path.read_bytes() + b"oops\n")
    with pytest.raises(DamagedItem, match="'a' of things"):
        store.history(THINGS, "a")
    with pytest.raises(DamagedItem, match="'a' of things"):
        put(store, "a")
    assert path.read_bytes().endswith(b"oops\n")
    assert metrics(store.read(THINGS, "a")) == "2"
    assert put(store, "b").version == 1


def test_a_deletion_that_is_not_done_does_not_show(store, folder, clock, monkeypatch):
    """A reader that found nothing reads the history while somebody else creates the item, and fails to delete it."""
    put(store, "a", "1")
    remove(store, "a")
    real = segments.Segments.starts

    def fail(*args, **options):
        raise OSError(errno.EIO, "no")

    def starts(self):
        monkeypatch.setattr(segments.Segments, "starts", real)
        put(store, "a", "3")
        with monkeypatch.context() as patched, pytest.raises(StorageError):
            patched.setattr(superseding, "_put", fail)
            remove(store, "a")
        return real(self)

    monkeypatch.setattr(segments.Segments, "starts", starts)
    assert past(open_files(folder, clock), "a") == [(3, "3"), (2, None), (1, "1")]


# Privacy, tidiness


@pytest.fixture
def umask():
    before = os.umask(0)
    yield
    os.umask(before)


def test_files_and_folders_are_private(umask, store, folder):
    for key in ["a", "ä"]:
        put(store, key)
        put(store, key)
        put(store, key, kind=PLAIN)
    for at, folders, files in os.walk(folder):
        assert stat.S_IMODE(os.stat(at).st_mode) == 0o700, at
        assert {stat.S_IMODE(os.stat(os.path.join(at, name)).st_mode) for name in files} <= {0o600}, at


def test_what_a_killed_writer_left_is_removed(folder, things, clock):
    for name in [".a.json.tmp", ".%C3%A4.json.tmp"]:
        (things / name).write_bytes(b"half")
    (things / ".mine.tmp").touch()
    put(open_files(folder, clock), "b")
    assert sorted(files_below(things)) == [".mine.tmp", "b.json"]


def test_a_writer_at_work_keeps_its_temporary_file(folder, store, clock):
    def change(current, at):
        (folder / "things" / ".a.json.tmp").write_bytes(b"half")
        open_files(folder, clock).items(THINGS)
        assert (folder / "things" / ".a.json.tmp").exists()
        return value("a")

    store.write(THINGS, "a", "alice", change)
    assert files_below(folder / "things") == ["a.json"]


def test_names_fit_and_lead_back(store, things):
    keys = ["\u0800" * 21 + "a", "😀" * 16, "%" * 64, "a", "A", "%41", "ä", "Ä", ".a"]
    for key in keys:
        put(store, key)
    names = files_below(things)
    assert max(map(len, names)) <= 255 - len(".tmp") - 1
    assert {entries.key_of(name) for name in names} == {item.key for item in store.items(THINGS).items}
    assert len({name.lower() for name in names}) == len(keys)


# Cost


class Counting:
    """Counts the calls that open or list something, in the place of the module os."""

    def __init__(self):
        self.opened = 0

    def __getattr__(self, name):
        if name in ("open", "listdir", "stat", "scandir", "unlink"):
            self.opened += 1
        return getattr(os, name)


def opened_by(monkeypatch, work):
    counting = Counting()
    for module in durable, segments:
        monkeypatch.setattr(module, "os", counting)
    work()
    monkeypatch.undo()
    return counting.opened


def test_a_write_costs_no_more_with_a_full_history(monkeypatch, folder, clock):
    store = open_files(folder, clock, versions=640)

    def write():
        monkeypatch.setattr(durable, "TICK_NS", 10**18)  # nothing is remembered: each time the same work
        for _ in range(128):
            put(store, "a")

    costs = [opened_by(monkeypatch, write) for _ in range(8)]
    assert max(costs[1:]) <= min(costs[1:]) + 12
    assert len(files_below(folder / "history/things/a")) <= 640 / segments.SEGMENT_LINES + 2


def test_the_history_of_large_values_is_in_many_files(store, folder):
    text = '"%s"' % ("x" * 100_000)
    for _ in range(10):
        put(store, "a", text)
    sizes = [path.stat().st_size for path in (folder / "history/things/a").iterdir()]
    assert len(sizes) == 5
    assert max(sizes) <= segments.SEGMENT_BYTES


def test_reading_one_is_one_file_and_an_unchanged_list_none(monkeypatch, store, things):
    for key in "abc":
        put(store, key)
    wait_until_old(things, *things.iterdir())
    store.items(THINGS)
    assert opened_by(monkeypatch, lambda: store.read(THINGS, "a")) == 1
    assert opened_by(monkeypatch, lambda: store.items(THINGS)) == 0


# Backup


def copy_with_cp(source, target):
    # Files that go while it copies make it complain; what it has copied is good all the same.
    subprocess.run(["cp", "-r", source, target], stderr=subprocess.DEVNULL)


def copy_with_python(source, target, **options):
    try:
        shutil.copytree(source, target, **options)
    except shutil.Error:
        pass


def copy_history_last(source, target):
    copy_with_python(source, target, ignore=shutil.ignore_patterns("history"))
    copy_with_python(source / "history", target / "history")


@pytest.fixture
def busy(folder, monkeypatch):
    """Threads that write three keys; ``start`` gives the dict of the versions that are certain."""
    monkeypatch.setattr(segments, "SEGMENT_LINES", 3)
    done, certain, writers = threading.Event(), {"a": 0, "b": 0, "c": 0}, []

    def write(store, key, with_deletions):
        while not done.is_set():
            certain[key] = put(store, key, '"%s"' % (key * 3000)).version
            if with_deletions and certain[key] % 5 == 0:
                remove(store, key)

    def start(*, with_deletions, versions):
        store = open_files(folder, versions=versions)
        store.keys(THINGS)  # makes the folders, so that there is something to copy
        writers.extend(threading.Thread(target=write, args=(store, key, with_deletions)) for key in certain)
        for writer in writers:
            writer.start()
        return certain

    yield start
    done.set()
    for writer in writers:
        writer.join()


@pytest.mark.parametrize("copy", [copy_with_cp, copy_with_python])
def test_a_copy_taken_while_writers_run_has_every_item(folder, tmp_path, busy, copy):
    certain = busy(with_deletions=False, versions=20)
    for number in range(12):
        least = dict(certain)
        copy(folder, tmp_path / f"copy{number}")
        list(check_backup(tmp_path / f"copy{number}", least))


def test_a_copy_with_the_history_last_has_deletions_and_every_version(folder, tmp_path, busy):
    certain = busy(with_deletions=True, versions=10**6)  # one that is trimmed during the copy may be missing from it
    for number in range(12):
        least = dict(certain)
        copy_history_last(folder, tmp_path / f"copy{number}")
        for versions in check_backup(tmp_path / f"copy{number}", least):
            assert versions == list(range(versions[0], versions[0] - len(versions), -1)) if versions else True


def check_backup(folder, least):
    """Everything of before the copy is in it, each version once, and it goes on; the versions of each key."""
    store = open_files(folder, versions=10**6)
    assert store.items(THINGS).damaged == ()
    for key, version in least.items():
        found = store.history(THINGS, key)
        versions = [item.version for item in found]
        assert version == 0 or versions[0] >= version
        assert versions == sorted(set(versions), reverse=True)
        assert all(item.deleted or item.value == value(key, '"%s"' % (key * 3000)) for item in found)
        yield versions
        following = put(store, key, "1")
        assert not versions or following.version > versions[0]
        assert past(store, key, limit=1) == [(following.version, "1")]
