"""What a process finishes before it uses a store: writes that were cut short by a kill, and files that a power loss
left behind their histories. Nothing that only a file has is ever replaced."""

import errno
import os
import shutil
import time
from datetime import timedelta

import pytest
from crash.record import Killed, killed_at
from storekit import THINGS, files_below, metrics, open_files, past, put, remove, value

from deploymetrics.clock import Clock
from deploymetrics.errors import StorageError, StorageFull
from deploymetrics.storage import durable, exchange, recovery, segments, superseding


@pytest.fixture(params=["exchange", "rename"])
def how(request, monkeypatch):
    """Both ways in which a new file takes the place of the old one."""
    if request.param == "rename":
        monkeypatch.setattr(exchange, "_renameat2", None)


@pytest.fixture
def path(folder):
    return folder / "things/a.json"


@pytest.fixture
def store(folder):
    """A store with three versions of a. Its clock is the real one, with which the times of files are compared."""
    store = open_files(folder)
    for text in "123":
        put(store, "a", text)
    return store


@pytest.fixture
def boot(monkeypatch):
    """Boot the machine: what is opened from then on is opened for the first time."""
    ids = iter("abcdefgh")

    def boot():
        monkeypatch.setattr(recovery, "boot_id", lambda number=next(ids): number)
        monkeypatch.setattr(recovery, "boot_time", lambda now=time.time(): now)

    boot()
    return boot


def leave(path, data, like):
    """Let ``data`` be in the file, with the times of before: as it was when the power went."""
    path.write_bytes(data)
    os.utime(path, ns=(like.st_atime_ns, like.st_mtime_ns))


def read(folder):
    item = open_files(folder).read(THINGS, "a")
    return item and metrics(item)


@pytest.fixture
def left(boot, store, path):
    """The file of version 2 in the place of that of version 4, in which the history ends."""
    stat, data = path.stat(), path.read_bytes()
    put(store, "a", "4")
    leave(path, data, stat)
    return path


def test_the_first_process_after_a_boot_brings_a_file_up_to_its_history(left, folder, boot):
    assert read(folder) == "3"
    boot()
    assert read(folder) == "4"
    store = open_files(folder)
    assert past(store, "a") == [(4, "4"), (3, "3"), (2, "2"), (1, "1")]
    assert (put(store, "a").version, [metrics(item) for item in store.items(THINGS).items]) == (5, ["1"])


@pytest.mark.parametrize("use", [
    lambda store: store.read(THINGS, "a"),
    lambda store: store.stamp(THINGS, "a"),
    lambda store: store.items(THINGS),
    lambda store: store.keys(THINGS), lambda store: store.history(THINGS, "a"),
    lambda store: list(store.verify(THINGS)),
    lambda store: store.version(THINGS, "a", 1),
    lambda store: put(store, "b"),
    lambda store: store.restore(THINGS, "b", store.history(THINGS, "a")[:1], dry_run=True),
])
def test_whatever_is_asked_first(left, folder, boot, use):
    boot()
    use(open_files(folder))
    assert b'"metrics":4' in left.read_bytes()


def test_where_no_boot_can_be_told_from_another_every_process_looks(left, folder, monkeypatch):
    monkeypatch.setattr(recovery, "boot_id", lambda: None)
    assert read(folder) == "4"


def test_a_copy_is_another_store(left, folder, tmp_path):
    shutil.copytree(folder, tmp_path / "copy")
    assert read(tmp_path / "copy") == "4"
    assert read(folder) == "3"


@pytest.mark.parametrize("keep", [0, 1, 60, 90, -1])
@pytest.mark.parametrize("zeros", [False, True])
def test_a_torn_file_is_made_whole(boot, store, folder, path, keep, zeros):
    stat, data = path.stat(), path.read_bytes()
    put(store, "a", "4")
    leave(path, data[:keep] + bytes(len(data[keep:]) if zeros else 0), stat)
    boot()
    assert read(folder) == "4"


def test_a_deletion_is_finished(boot, store, folder, path):
    stat, data = path.stat(), path.read_bytes()
    remove(store, "a")
    leave(path, data, stat)
    boot()
    assert read(folder) is None
    assert past(open_files(folder), "a")[0] == (4, None)


BY_HAND = {
    "edited": lambda data, path: path.write_bytes(data.replace(b"3}", b"33}")),
    "damaged": lambda data, path: path.write_bytes(data.replace(b"3}", b"3")),
    "damaged-in-the-middle": lambda data, path: path.write_bytes(data[:30] + b"oops" + data[34:]),
    "put-back-in-a-copy": lambda data, path: (
        path.write_bytes(data), os.utime(path, (2**31, 2**31)), shutil.rmtree(path.parents[1] / "locks")
    ),
    "made": lambda data, path: path.write_bytes(value("a", "7")),
    "removed": lambda data, path: path.unlink(),
}


@pytest.mark.parametrize("change", BY_HAND.values(), ids=BY_HAND)
def test_what_a_person_did_stays(boot, store, folder, path, change):
    data = path.read_bytes()
    put(store, "a", "4")
    change(data, path)
    after = path.exists() and path.read_bytes()
    boot()
    open_files(folder).items(THINGS)
    assert (path.exists() and path.read_bytes()) == after


def test_a_damaged_history_keeps_no_other_item_back(left, store, folder, boot):
    put(store, "b")
    (folder / "history/things/a/000000000001.jsonl").write_bytes(b"oops\n")
    boot()
    again = open_files(folder)
    assert metrics(again.read(THINGS, "b")) == "1" and put(again, "b").version == 2
    assert metrics(again.read(THINGS, "a")) == "3"


@pytest.mark.parametrize("text, after", [("4", "4"), (None, None)])
@pytest.mark.parametrize("finish", ["the next process", "the next writer"])
def test_a_write_whose_line_is_there_is_finished(how, store, folder, path, monkeypatch, text, after, finish):
    killed_at(monkeypatch, superseding, "_put", lambda: put(store, "a", text) if text else remove(store, "a"))
    assert metrics(store.read(THINGS, "a")) == "3"
    assert list(store.verify(THINGS)) == []
    if finish == "the next process":
        assert read(folder) == after
    expected = [(5, "5"), (4, after), (3, "3"), (2, "2"), (1, "1")]
    put(store, "a", "5")
    assert past(store, "a") == expected
    assert files_below(folder / "things") == ["a.json"]


def test_a_write_whose_line_is_not_there_is_none(store, folder, monkeypatch):
    killed_at(monkeypatch, segments.Segments, "append", lambda: put(store, "a", "4"))
    assert read(folder) == "3"
    assert files_below(folder / "things") == ["a.json"]
    assert put(store, "a", "4").version == 4


def test_what_a_draft_tells_is_not_lost_where_its_line_cannot_be_synced(store, path, monkeypatch):
    killed_at(monkeypatch, segments.Segments, "append", lambda: put(store, "a", "4"))
    synced = []
    with monkeypatch.context() as patched, pytest.raises(StorageError):
        patched.setattr(durable, "sync_file", lambda path: os.close(-1))
        put(store, "a", "4")
    assert os.path.exists(durable.draft_path(path))
    monkeypatch.setattr(durable, "sync_file", lambda path: synced.append(os.path.basename(path)))
    assert put(store, "a", "4").version == 4
    assert synced == ["000000000001.jsonl"]


def test_what_a_killed_process_left_is_finished_on_a_full_disk(store, folder, monkeypatch):
    killed_at(monkeypatch, superseding, "_put", lambda: put(store, "a", "4"))

    def full(*args, **options):
        raise StorageFull

    monkeypatch.setattr(durable, "write_draft", full)
    assert read(folder) == "4"


def test_change_sees_what_a_killed_writer_began(store, monkeypatch):
    killed_at(monkeypatch, superseding, "_put", lambda: put(store, "a", "4"))
    seen = []
    store.write(THINGS, "a", "bob", lambda current, at: seen.append(metrics(current)) or value("a", "5"))
    assert seen == ["4"]


class Shifted(Clock):
    """The real clock, but for what a test makes of it."""

    shift = timedelta()

    def now(self):
        return super().now() + self.shift


@pytest.fixture
def yesterday(folder):
    """A store with two versions of a, and the clock that is still of yesterday."""
    clock = Shifted()
    clock.shift = -timedelta(days=1)
    store = open_files(folder, clock)
    put(store, "a", "1")
    put(store, "a", "2")
    return store


@pytest.mark.parametrize("newest", ["3", None])
def test_an_old_version_put_back_with_its_times_stays_in_a_folder_that_was_here_before(
    yesterday, folder, path, boot, newest, tmp_path
):
    read(folder)
    os.utime(path, (1_500_000_000, 1_500_000_000))
    shutil.copy2(path, tmp_path / "copy")
    put(yesterday, "a", newest) if newest else remove(yesterday, "a")
    shutil.copy2(tmp_path / "copy", path)
    boot()
    assert read(folder) == "2"


@pytest.mark.parametrize("newest", ["3", None])
def test_the_draft_of_another_write_is_no_reason_to_replace_what_was_put_back(yesterday, folder, path, newest):
    data = path.read_bytes()
    put(yesterday, "a", newest) if newest else remove(yesterday, "a")
    durable.write_draft(path, b"of a write that was killed before it was in the history")
    path.write_bytes(data)
    assert read(folder) == "2"
    assert files_below(folder / "things") == ["a.json"]


@pytest.mark.parametrize("part", [0, 60])
def test_what_was_torn_twice_is_made_whole_twice(yesterday, folder, path, boot, part):
    for _ in range(2):
        path.write_bytes(path.read_bytes()[:part])
        boot()
        assert read(folder) == "2"


def test_what_is_brought_up_to_date_is_not_taken_for_put_back_later(yesterday, folder, path, boot):
    data = path.read_bytes()
    put(yesterday, "a", "3")
    path.write_bytes(data)
    os.utime(path, (1_500_000_000, 1_500_000_000))
    shutil.rmtree(folder / "locks")  # as if it were another folder, in which only the times that files keep tell
    assert read(folder) == "3"
    whole, stat = path.read_bytes(), path.stat()
    assert abs(stat.st_mtime - yesterday.clock.timestamp()) < 60
    put(open_files(folder, yesterday.clock), "a", "4")
    leave(path, whole, stat)
    shutil.rmtree(folder / "locks")
    assert read(folder) == "4"


@pytest.mark.parametrize("how", ["history is a file", "segment is a folder"])
def test_a_history_that_cannot_be_opened_keeps_no_other_item_back(store, folder, boot, how):
    put(store, "b")
    history = folder / "history/things/a"
    shutil.rmtree(history)
    if how == "history is a file":
        history.touch()
    else:
        (history / "000000000001.jsonl").mkdir(parents=True)
    boot()
    assert metrics(open_files(folder).read(THINGS, "b")) == "1"


def test_a_file_behind_its_history_on_a_full_disk_waits_and_keeps_no_other_back(
    left, store, folder, boot, monkeypatch
):
    put(store, "b")
    boot()
    again = open_files(folder)

    def full(*args, **options):
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patched:
        patched.setattr(durable, "write_draft", full)
        assert metrics(again.read(THINGS, "b")) == "1"
        assert (again.items(THINGS).damaged, len(again.items(THINGS).items)) == (("a",), 1)
        for attempt in (lambda: again.read(THINGS, "a"), lambda: put(again, "a"), lambda: remove(again, "a")):
            with pytest.raises(StorageFull):
                attempt()
    assert put(again, "a", "5").version == 5
    assert again.items(THINGS).damaged == ()


def test_a_name_that_is_no_text_keeps_no_item_back(store, folder, boot):
    (folder / "things").joinpath(os.fsdecode(b"\xff.json")).write_bytes(b"{}")
    boot()
    again = open_files(folder)
    assert (metrics(again.read(THINGS, "a")), again.keys(THINGS)) == ("3", ["a"])


def test_what_cannot_be_written_can_be_read(left, folder, boot, monkeypatch):
    def open_(name, flags, *args, open_=os.open, **more):
        if flags & (os.O_CREAT | os.O_WRONLY | os.O_RDWR):
            raise OSError(errno.EROFS, "Read-only file system")
        return open_(name, flags, *args, **more)

    boot()
    monkeypatch.setattr(os, "open", open_)
    again = open_files(folder)
    assert (metrics(again.read(THINGS, "a")), len(again.items(THINGS).items)) == ("3", 1)
    assert [what for what, _ in again.verify(THINGS)] == ["a"]
    with pytest.raises(StorageError):
        put(again, "a")


def test_what_root_finishes_belongs_to_the_account_of_the_service(left, folder, boot, monkeypatch):
    shutil.rmtree(folder / "locks")
    given = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "chown", lambda path, *owner: given.append((os.path.basename(path), owner)))
    boot()
    assert read(folder) == "4"
    owner = os.stat(folder).st_uid, os.stat(folder).st_gid
    lock = os.path.basename(open_files(folder)._lock_path(THINGS, "a"))
    assert {*given} == {(name, owner) for name in ("locks", "things.boot", lock, ".a.json.tmp")}


@pytest.mark.parametrize("error", [errno.EROFS, errno.EACCES, errno.EIO])
def test_no_write_goes_on_from_a_file_that_could_not_be_brought_up_to_date(left, folder, boot, monkeypatch, error):
    boot()
    again = open_files(folder)

    def fail(*args, **options):
        raise OSError(error, "no")

    with monkeypatch.context() as patched:
        patched.setattr(durable, "write_draft", fail)
        assert metrics(again.read(THINGS, "a")) == "3"
        for attempt in (put, remove, lambda *args: again.restore(THINGS, "a", again.history(THINGS, "a")[::-1])):
            with pytest.raises(StorageError):
                attempt(again, "a")
    with again.locked(THINGS, "a"):  # a reader does not wait for that
        assert len(again.items(THINGS).items) == 1
    seen = []
    again.write(THINGS, "a", "alice", lambda current, at: seen.append(metrics(current)) or value("a", "5"))
    assert (seen, past(again, "a")[:2]) == (["4"], [(5, "5"), (4, "4")])


def test_an_import_of_what_is_behind_its_history_catches_up_first(left, folder, boot, monkeypatch):
    boot()
    again = open_files(folder)
    with monkeypatch.context() as patched:
        patched.setattr(durable, "write_draft", lambda *args, **options: os.open("/dev/full/no", os.O_RDONLY))
        again.keys(THINGS)
    assert again.restore(THINGS, "a", again.history(THINGS, "a")[::-1]) is False
    assert b'"metrics":4' in left.read_bytes()


def test_the_time_of_a_change_after_the_boot_tells_nothing(yesterday, folder, path, boot, monkeypatch):
    """``chown -R`` before the first start gives all files the same one."""
    stat, data = path.stat(), path.read_bytes()
    put(yesterday, "a", "3")
    path.write_bytes(data)
    old = yesterday.clock.timestamp() - 10
    boot()
    monkeypatch.setattr(recovery, "boot_time", lambda: stat.st_ctime - 60)
    os.utime(path, (old, old))
    assert read(folder) == "3"


def test_the_draft_of_a_deletion_is_its_line(store, path, monkeypatch):
    """An empty one is what a kill leaves of any write."""
    data = path.read_bytes()
    remove(store, "a")
    path.write_bytes(data)
    with open(durable.draft_path(path), "wb"):
        pass
    assert metrics(open_files(path.parents[1]).read(THINGS, "a")) == "3"


@pytest.mark.parametrize("next_one", ["the next process", "the next writer"])
def test_a_line_that_a_killed_writer_did_not_sync_is_synced_by(folder, path, boot, monkeypatch, next_one):
    """That of the version before, which is so large that the next one is in another file of the history."""
    store = open_files(folder)
    put(store, "a", '"%s"' % ("x" * 200_000))
    synced = {}

    def fsync(fd, fsync=os.fsync):
        fsync(fd)
        synced[os.path.basename(os.readlink(f"/proc/self/fd/{fd}"))] = os.fstat(fd).st_size

    def kill(*args, **options):
        raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(segments, "_write_end", lambda end, line: os.write(end.fd, line) and kill())
        put(store, "a", "2")
    monkeypatch.setattr(os, "fsync", fsync)
    data, stat = path.read_bytes(), path.stat()
    assert put(open_files(folder) if next_one == "the next process" else store, "a", "3").version == 2
    for part in (folder / "history/things/a").iterdir():
        whole, size = part.read_bytes(), synced.get(part.name, 0)
        part.write_bytes(whole[:size] + bytes(len(whole) - size))
    leave(path, data, stat)
    boot()
    assert [number for number, _ in past(open_files(folder), "a")] == [2, 1]
    assert read(folder) == "3"
