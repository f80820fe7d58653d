"""The storage in files as people, backups and other programs meet it, and what an operation costs."""

import errno
import fcntl
import json
import os
import re
import shutil
import stat
import threading
import time

import pytest
from crash.record import Killed
from storekit import (
    PLAIN,
    THINGS,
    VOLATILE,
    Thing,
    files_below,
    in_processes,
    listed,
    metrics,
    newest_file,
    open_files,
    past,
    put,
    remove,
    until_it_waits,
    value,
    versions,
)

from deploymetrics.config.settings import BY_NAME
from deploymetrics.errors import SettingError, StorageError, StorageFullError
from deploymetrics.storage import Collection, item_cache, lines
from deploymetrics.storage.files import changes, disk, group_commit, listing, readable_copies, version_log

QUICK = Collection("quick", Thing, history=True, durable=False)


@pytest.fixture
def other(folder, clock):
    """Another storage on the same folder."""
    return open_files(folder, clock)


def findings(store, **options):
    return [sentence for _, sentence in store.verify(THINGS, **options)]


# What is where


def test_the_layout_is_what_the_module_says(store, folder):
    put(store, "Ä", "1")
    put(store, "Ä", "2")
    put(store, "a", collection=PLAIN)
    names = [name for name in files_below(folder) if not name.startswith("locks/")]
    assert re.fullmatch(r"data/plain/a/\d{17}\.jsonl", names.pop(2))
    assert names == [
        "data/format.json",
        "data/plain/.changes",
        "data/things/%C3%84/00000000000000001.jsonl",
        "data/things/.changes",
        "things/%C3%84.json",
    ]


def test_a_version_is_a_line_that_begins_with_the_storages_own(store, folder):
    put(store, "a", "[1.10]", author='"é"')
    put(store, "a", kept=True)
    remove(store, "a", author="bob")
    at = '"changedAt":"2018-01-12T12:00:03.123456Z"'
    assert (folder / "data/things/a/00000000000000001.jsonl").read_text() == (
        f'{{"version":1,{at},"changedBy":"\\"é\\"","tag":"a","metrics":[1.10]}}\n'
        f'{{"version":2,"kept":true,{at},"changedBy":"alice","tag":"a","metrics":1}}\n'
        f'{{"version":3,{at},"changedBy":"bob","deleted":true}}\n'
    )


@pytest.mark.parametrize("length, number", [(1, 64), (100_000, 3), (300_000, 1)])
def test_a_file_has_so_many_versions_or_bytes(store, folder, length, number):
    for _ in range(2 * number + 1):
        put(store, "a", '"%s"' % ("x" * length), collection=QUICK)
    files = [f"{1 + count * number:017d}.jsonl" for count in range(3)]
    assert files_below(folder / "data/quick/a") == files


def test_the_names_of_keys_differ_where_case_does_not(store, folder):
    keys = ["\u0800" * 21 + "a", "😀" * 16, "%" * 64, "a", "A", "aB", "Ab", "%41", "ä", "Ä", ".a", ".", ".."]
    for key in keys:
        put(store, key)
    names = os.listdir(folder / "things")
    assert len({name.lower() for name in names}) == len(keys)
    assert max(map(len, names)) < 255
    assert {name + ".json" for name in os.listdir(folder / "data/things")} - {".changes.json"} == set(names)
    assert sorted(map(readable_copies.key_of, names)) == store.keys(THINGS) == sorted(keys)


@pytest.fixture
def umask():
    before = os.umask(0)
    yield
    os.umask(before)


def test_files_and_folders_are_private(umask, store, folder):
    for key in ["a", "ä"]:
        for collection in (THINGS, PLAIN, VOLATILE):
            for _ in range(70):
                put(store, key, collection=collection)
    store.restore(THINGS, "b", [item._replace(key="b", value=value("b")) for item in store.history(THINGS, "a")][::-1])
    store.purge(THINGS, "a", "alice", 3)
    for at, _, files in os.walk(folder):
        assert stat.S_IMODE(os.stat(at).st_mode) == 0o700, at
        assert {stat.S_IMODE(os.stat(os.path.join(at, name)).st_mode) for name in files} <= {0o600}, at


def test_what_an_earlier_release_was_thinning_out_is_there(folder, clock):
    """What it moved together is one line, in a file that is named by the first of them; what it moved from is there."""
    store = open_files(folder, clock, versions=24)
    line = {number: lines.line_of(put(store, "a", str(number))) for number in range(1, 13)}
    log = folder / "data/things/a"
    (log / f"{1:017d}.hourly.jsonl").write_bytes(b"%b\n\r%b\r%b\n" % (line[1], line[4], line[6]))
    (log / f"{8:017d}.hourly.jsonl").write_bytes(line[8] + b"\n")
    (log / f"{4:017d}.daily.jsonl").write_bytes(line[4] + b"\n")
    for expected in [12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1], [12, 11, 10, 9, 8, 7, 6, 5, 4, 1]:
        for one in store, open_files(folder):
            assert versions(one, "a") == [item.version for item in one.history(THINGS, "a", oldest_first=True)][::-1]
            assert versions(one, "a") == expected
        (log / f"{1:017d}.jsonl").unlink(missing_ok=True)
    for _ in range(40):
        put(store, "a")
    assert versions(store, "a")[:24] == list(range(52, 28, -1))
    assert versions(store, "a")[-4:] == [8, 6, 4, 1]


# The format


@pytest.mark.parametrize(
    "text, sentence",
    [
        ('{"format": 3}', "has the format 3; this release reads 2. Use the release that wrote it"),
        ("", "does not say which format"),
        ("{}", "does not say which format"),
        ("3", "does not say which format"),
        ('{"format": "2"}', "this release reads 2"),
    ],
)
def test_a_folder_of_another_format_is_refused(store, folder, clock, text, sentence):
    put(store, "a")
    (folder / "data/format.json").write_text(text)
    before = files_below(folder)
    with pytest.raises(SettingError, match=sentence):
        open_files(folder, clock)
    assert files_below(folder) == before
    assert (folder / "data/format.json").read_text() == text


def test_a_new_folder_says_its_format(store, folder):
    assert json.loads((folder / "data/format.json").read_text()) == {"format": 2}


def test_a_missing_format_file_is_made_again(store, folder, clock):
    put(store, "a")
    (folder / "data/format.json").unlink()
    assert past(open_files(folder, clock), "a") == [(1, "1")]
    test_a_new_folder_says_its_format(store, folder)


def test_a_folder_that_is_gone_is_an_error_and_not_empty(store, folder, other):
    put(store, "a")
    os.rename(folder / "data", folder / "away")
    for attempt in (
        other.check,
        lambda: other.read(THINGS, "a"),
        lambda: other.items(THINGS),
        lambda: other.keys(THINGS),
        lambda: past(other, "a"),
        lambda: other.version(THINGS, "a", 1),
    ):
        with pytest.raises(StorageError):
            attempt()
    os.rename(folder / "away", folder / "data")
    assert past(other, "a") == [(1, "1")]
    assert len(other.items(THINGS).items) == 1


def open_often(folder):
    """The body of a process that finds no folder again and again."""
    for number in range(15):
        put(open_files(folder / str(number)), "n")


def test_processes_that_start_at_once_make_one_folder(folder):
    in_processes(3, open_often, folder)
    assert versions(open_files(folder / "14"), "n") == [3, 2, 1]


# Copies


def test_a_copy_is_exactly_the_document(store, folder):
    for text in ('{"a": 1.10, "ä":[]}'.replace(" ", ""), "1", '"%s"' % ("x" * 5000), "2"):
        put(store, "a", text)
        assert (folder / "things/a.json").read_bytes() == value("a", text)
    remove(store, "a")
    assert os.listdir(folder / "things") == []
    assert findings(store) == []


def test_a_purge_fails_where_the_copy_cannot_be_removed(store, folder, monkeypatch):
    put(store, "a", '"secret"')
    real = os.unlink

    def fail(path, *args, **options):
        if os.fspath(path).endswith("/a.json"):
            raise OSError(errno.EIO, "no")
        return real(path, *args, **options)

    with monkeypatch.context() as patched, pytest.raises(StorageError):
        patched.setattr(os, "unlink", fail)
        store.purge(THINGS, "a", "admin")
    store.purge(THINGS, "a", "admin")
    assert not (folder / "things/a.json").exists()


@pytest.mark.parametrize("version, error", [(1, StorageFullError), (2, StorageError), (None, StorageError)])
def test_a_purge_on_a_full_disk_says_what_was_done(store, folder, monkeypatch, version, error):
    for text in "12":
        put(store, "a", text)
    before = past(store, "a")

    def fail(*args, **options):
        raise OSError(errno.ENOSPC, "no space")

    with monkeypatch.context() as patched, pytest.raises(StorageError) as caught:
        patched.setattr(os, "rename", fail)
        store.purge(THINGS, "a", "admin", version)
    assert type(caught.value) is error
    if error is StorageFullError:
        assert past(store, "a") == before and caught.value.detail.endswith("nothing was stored.")
    else:
        assert past(store, "a")[1:] == before and "is deleted, but not all" in caught.value.detail
    store.purge(THINGS, "a", "admin", version)
    assert store.version(THINGS, "a", version or 2) is None


@pytest.fixture
def beside(other, monkeypatch):
    """Give a function that has another storage write "9" the first time when a function of a module is called.

    The write goes on, in the thread that is returned, until it is done or has to wait; then the function does, or it is
    called before.
    """

    def beside(module, name, *, after=False):
        thread, real = threading.Thread(target=lambda: put(other, "a", "9")), getattr(module, name)

        def call(*args, **options):
            monkeypatch.setattr(module, name, real)
            result = real(*args, **options) if after else None
            thread.start()
            until_it_waits(thread)
            return result if after else real(*args, **options)

        monkeypatch.setattr(module, name, call)
        return thread

    return beside


def test_a_purge_that_broke_off_is_carried_out_by_the_next_one(folder):
    """Its first step is an empty file, where the versions after the purged one begin."""
    store = open_files(folder, versions=24)
    for number in range(1, 8):
        put(store, "a", f'"secret {number}"')
    (folder / f"data/things/a/{3:017d}.jsonl").touch()
    assert store.purge(THINGS, "a", "admin", 3) == 1
    assert store.version(THINGS, "a", 3) is None
    assert not any(b"secret 3" in path.read_bytes() for path in folder.rglob("*.json*"))


@pytest.mark.parametrize("version, left", [(2, [(3, "3"), (1, "1")]), (None, [(4, None)])])
def test_nobody_writes_before_a_purge_is_done(store, beside, version, left):
    """Else the copy would be that of the version before, and thinning might save what was to go."""
    for text in "123":
        put(store, "a", text)
    writing = beside(os, "rename", after=True)
    store.purge(THINGS, "a", "admin", version)
    writing.join()
    assert past(store, "a") == [(left[0][0] + 1, "9"), *left]
    assert findings(store) == []


LONG_WORK = {
    "purge": lambda store, items: store.purge(THINGS, "a", "admin"),
    "purge of one": lambda store, items: store.purge(THINGS, "a", "admin", 50),
    "import of what is there": lambda store, items: store.restore(THINGS, "a", items),
    "trim": lambda store, items: store.trim(THINGS, "a"),
}


@pytest.mark.parametrize("work", LONG_WORK.values(), ids=LONG_WORK)
def test_who_works_on_a_long_history_holds_up_writers_for_a_few_files_only(folder, clock, monkeypatch, work):
    store = open_files(folder, clock, versions=64)
    for number in range(200):
        clock.forward(hours=1)
        put(store, "a", str(number))
    items = [*store.history(THINGS, "a", oldest_first=True)]
    store, locked, read_file = open_files(folder, clock, versions=8, hourly_days=1), [0], disk.read_file
    path = str(folder / "data/things/a")

    def noted(name):
        if name.startswith(path):
            locked[-1] += 1
            if not is_locked(path):
                locked.append(0)
        return read_file(name)

    monkeypatch.setattr(disk, "read_file", noted)
    lock = group_commit.Queue.lock
    monkeypatch.setattr(group_commit.Queue, "lock", lambda *args: locked.append(0) or lock(*args))
    work(store, items)
    assert max(locked) <= 12


def is_locked(folder):
    """Return True if a writer holds the folder of a key."""
    with disk.opened(folder, os.O_DIRECTORY) as fd:
        return not disk.try_lock(fd, fcntl.LOCK_EX)


@pytest.fixture
def exported(store):
    """Two versions of "a", to be restored."""
    items = [put(store, "b", text) for text in "123456"]
    return [item._replace(key="a", value=value("a", metrics(item))) for item in items[-2:]]


def test_a_copy_is_right_where_others_write_what_was_just_restored(store, exported, beside):
    writing = beside(readable_copies, "update")
    assert store.restore(THINGS, "a", exported)
    writing.join()
    assert past(store, "a") == [(7, "9"), (6, "6"), (5, "5")]
    assert findings(store) == []


def test_nobody_begins_a_log_where_one_is_about_to_be_restored(store, other, exported, monkeypatch):
    """What was written there would count for nothing."""
    writing, is_about_to_begin = threading.Thread(target=lambda: put(other, "a", "9")), threading.Event()
    rename, open_file = os.rename, os.open

    def rename_meanwhile(old, new):
        writing.start()
        is_about_to_begin.wait(0.1)
        rename(old, new)
        is_about_to_begin.clear()

    def open_later(path, *args, **options):
        if threading.current_thread() is writing and os.fspath(path).endswith("/a/00000000000000001.jsonl"):
            is_about_to_begin.set()
            while is_about_to_begin.is_set():
                time.sleep(0.001)
        return open_file(path, *args, **options)

    monkeypatch.setattr(os, "rename", rename_meanwhile)
    monkeypatch.setattr(os, "open", open_later)
    assert store.restore(THINGS, "a", exported)
    writing.join()
    assert past(store, "a") == [(7, "9"), (6, "6"), (5, "5")]


def test_a_file_with_the_largest_document_can_be_read():
    """Beside what may stand before it in the same file, in the same line, or in the file that it is thinned out to."""
    assert BY_NAME["MAX_BODY_BYTES"].field.validate.max + 3 * version_log.FILE_BYTES < disk.FILE_LIMIT


def test_a_copy_is_written_after_the_version_counts(store, other, monkeypatch):
    seen, update = [], readable_copies.update

    def look(*args):
        seen.append(other.read(THINGS, "a"))
        update(*args)

    monkeypatch.setattr(readable_copies, "update", look)
    first = put(store, "a")
    remove(store, "a")
    assert seen == [first, None]


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_bytes(value("a", "3")),
        lambda path: path.write_bytes(b""),
        lambda path: path.unlink(),
        lambda path: path.write_bytes(path.read_bytes()[:-3]),
        lambda path: path.write_bytes(path.read_bytes() + b"\n"),
        lambda path: path.write_bytes(b"\xff" * 5000),
    ],
    ids=["edited", "emptied", "removed", "cut", "longer", "garbage"],
)
@pytest.mark.parametrize("mend", ["write", "repair"])
def test_a_copy_that_is_not_right_answers_nothing_and_is_written_again(store, folder, clock, change, mend):
    item = put(store, "a", "2")
    change(folder / "things/a.json")
    for reader in store, open_files(folder, clock):
        assert reader.read(THINGS, "a") == item
        assert [one.revision for one in reader.items(THINGS).items] == [item.revision]
        assert past(reader, "a") == [(1, "2")]
        assert findings(reader) == ["the copy things/a.json is not that of the current version"]
    if mend == "write":
        item = put(store, "a", "4")
    else:
        assert findings(store, repair=True) == ["the copy things/a.json was put right"]
    assert (folder / "things/a.json").read_bytes() == item.value
    assert findings(store) == []


def test_a_copy_of_what_is_not_there_is_no_item(store, folder):
    put(store, "a")
    remove(store, "a")
    for key in "ab":
        (folder / f"things/{key}.json").write_bytes(value(key))
    assert store.read(THINGS, "a") is store.read(THINGS, "b") is None
    assert store.items(THINGS).items == ()
    assert store.keys(THINGS) == ["a"]
    assert len(findings(store)) == len(findings(store, repair=True)) == 2
    assert os.listdir(folder / "things") == []
    assert put(store, "b").version == 1


@pytest.mark.parametrize("name", ["A.json", "%61.json", "a.json~", "a.txt", "%FF.json", "README"])
def test_files_with_other_names_are_told_and_left_alone(store, folder, name):
    put(store, "a")
    (folder / "things" / name).write_bytes(value("a"))
    (folder / "data/things" / name).mkdir()
    told = [f"copies in things/{name}"] + ([] if name in ("a.json~", "a.txt") else [f"things/{name}"])
    assert all(any(sentence.startswith(f"{one} ") for sentence in findings(store, repair=True)) for one in told)
    assert (folder / "things" / name).read_bytes() == value("a")


def test_a_write_whose_folders_are_removed_leaves_nothing_open(store, folder, monkeypatch):
    put(store, "other")
    before = os.listdir("/proc/self/fd")
    monkeypatch.setattr(group_commit.Queue, "lock", lambda self, fd, path: shutil.rmtree(folder / "data"))
    with pytest.raises(StorageError):
        put(store, "a")
    assert os.listdir("/proc/self/fd") == before


def test_a_copy_that_cannot_be_written_fails_no_write(store, folder, caplog):
    put(store, "a")
    (folder / "things/a.json").unlink()
    (folder / "things/a.json").mkdir()
    assert put(store, "a", "2") == store.read(THINGS, "a")
    remove(store, "a")
    assert caplog.text.count("a.json was not written") == 2


# What is remembered


@pytest.fixture
def only_size(monkeypatch):
    """File systems whose times stand still and which use the number of a removed file again."""
    monkeypatch.setattr(version_log, "signature_of", lambda stat: stat.st_size)


@pytest.mark.parametrize("collection", [THINGS, PLAIN, VOLATILE], ids=lambda collection: collection.name)
def test_memory_relies_on_no_time_and_no_inode(only_size, store, other, collection):
    for number in range(1000, 1150):
        item = put(store, "a", str(number), collection=collection)
        assert other.read(collection, "a") == item
        assert [one.revision for one in other.items(collection).items] == [item.revision]
        if number % 9 < 3:
            remove(store, "a", collection=collection)
            if number % 2:
                assert other.read(collection, "a") is None


@pytest.mark.parametrize("collection", [PLAIN, VOLATILE], ids=lambda collection: collection.name)
@pytest.mark.parametrize("length", [1, 100_000])
def test_without_history_nothing_stays_of_what_is_superseded(folder, monkeypatch, collection, length):
    """Such as the hash of a password; what a killed process left goes with the next write."""
    write = os.pwrite

    def kill(*args):
        if not isinstance(args[0], int) or (len(args[1]) > 1 and args[1].isspace()):
            raise Killed
        return write(*args)

    for number in range(12):
        text = '"%s"' % (f"{number:02d}" * length)
        if number % 4 == 2:  # before anything is removed
            with monkeypatch.context() as patched, pytest.raises(Killed):
                patched.setattr(os, "pwrite", kill)
                patched.setattr(os, "unlink", kill)
                put(open_files(folder), "a", text, collection=collection)
            continue
        put(open_files(folder), "a", text, collection=collection)
        there = b"".join((folder / path).read_bytes() for path in files_below(folder))
        assert [old for old in range(12) if f'"{old:02d}'.encode() in there] == [number]
        assert metrics(open_files(folder).read(collection, "a")) == text


@pytest.mark.parametrize("collection", [PLAIN, VOLATILE], ids=lambda collection: collection.name)
@pytest.mark.parametrize("is_restored", [False, True])
def test_without_history_a_file_stays_small_and_few_are_begun(folder, store, collection, is_restored):
    item = put(store, "a", collection=collection)
    if is_restored:
        remove(store, "a", collection=collection)
        assert store.restore(collection, "a", [item])
    names, sizes = set(), set()
    for number in range(300):
        put(store, "a", f"{number:01000d}".replace("0", "1"), collection=collection)
        path = newest_file(folder, collection.name, "a")
        names.add(path.name)
        sizes.add(path.stat().st_size)
    assert max(sizes) < 2**13 + 2000
    assert len(names) < 300 / 6


@pytest.mark.parametrize("collection", [THINGS, PLAIN, VOLATILE], ids=lambda collection: collection.name)
@pytest.mark.parametrize("length", [1, 2**18])
@pytest.mark.parametrize("call", ["open", "fstat", "pread", "stat", "close"])
@pytest.mark.parametrize("number", range(4))
def test_a_read_during_which_a_version_is_added_has_that_or_the_one_before(
    folder, store, monkeypatch, collection, length, call, number
):
    items = [put(store, "a", '"%s"' % ("x" * length), collection=collection)]
    real, numbers = getattr(os, call), iter(range(100))

    def write_first(*args, **options):
        if next(numbers) == number:
            with monkeypatch.context() as patched:
                patched.setattr(os, call, real)
                items.append(put(store, "a", "2", collection=collection))
        return real(*args, **options)

    other = open_files(folder)
    with monkeypatch.context() as patched:
        patched.setattr(os, call, write_first)
        assert other.read(collection, "a") in items
    assert other.read(collection, "a") == items[-1]


@pytest.mark.parametrize("limit", [8, 16, 1000])
def test_memory_relies_on_no_inode_where_versions_are_purged(only_size, folder, limit):
    store, other = open_files(folder, versions=limit), open_files(folder, versions=limit)
    for last in range(10, 90, 5):
        while put(store, "a").version < last:
            pass
        assert other.read(THINGS, "a").version == last
        put(store, "a")
        put(store, "a")
        size = newest_file(folder, "things", "a").stat().st_size
        for version in last - 1, last, last + 1:
            assert store.purge(THINGS, "a", "admin", version) == 1
        assert newest_file(folder, "things", "a").stat().st_size == size  # no size comes again
        assert other.read(THINGS, "a").version == last + 2
        assert put(other, "a").version == last + 3


@pytest.fixture
def looks(monkeypatch):
    """The paths that are opened or listed from now on."""
    paths = []

    def patch(name):
        real = getattr(os, name)

        def look(path, *args, **options):
            if isinstance(path, str):  # not what is open already
                paths.append(path.removesuffix("/."))
            return real(path, *args, **options)

        monkeypatch.setattr(os, name, look)

    for name in ("open", "listdir"):
        patch(name)
    return paths


def test_a_read_of_what_is_as_it_was_opens_nothing(store, other, looks):
    item = put(store, "a")
    assert other.read(THINGS, "a") == item
    looks.clear()
    assert store.read(THINGS, "a") == other.read(THINGS, "a") == item
    assert looks == []


def test_the_first_read_of_a_key_does_not_look_at_the_others(store, folder, clock, looks):
    for number in range(30):
        put(store, f"k{number:02d}")
    looks.clear()
    reader = open_files(folder, clock)
    assert reader.read(THINGS, "k07").key == "k07"
    assert list(reader.history(THINGS, "k07"))
    assert put(reader, "k07").version == 2
    assert reader.read(THINGS, "new") is None
    known = ("/k07", "/k07.json", "/new", "/format.json", "/.changes", "/00000000000000001.jsonl")
    assert all(path.endswith(known) or "/locks/" in path for path in looks)
    assert not any("/k0" in path and "/k07" not in path for path in looks)


def test_a_list_looks_only_at_what_changed(store, other, folder, looks):
    for number in range(30):
        put(store, f"k{number:02d}")
    for reader in store, other:
        reader.items(THINGS)
    looks.clear()
    assert len(store.items(THINGS).items) == len(other.items(THINGS).items) == 30
    assert looks == []
    item = put(store, "k03", "2")
    looks.clear()
    assert other.items(THINGS).items[3].revision == item.revision
    assert [os.path.relpath(path, folder) for path in looks] == [
        "data/things/.changes",
        "data/things/k03",
        "data/things/k03/00000000000000001.jsonl",
    ]


def test_what_is_remembered_is_bounded(store, other, monkeypatch):
    monkeypatch.setattr(item_cache, "ITEM_BYTES", 1000)
    monkeypatch.setattr(item_cache, "ALL_BYTES", 5000)
    put(store, "large", '"%s"' % ("x" * 1000))
    for number in range(20):
        put(store, f"k{number}")
        assert other.read(THINGS, f"k{number}").key == f"k{number}"
        assert other.read(THINGS, "large").key == "large"
        assert 1 <= len(other._remembered) <= 4


def look_at_all(store, other, number, *keys):
    for turn in range(number):
        key = keys[turn % len(keys)]
        item = put(store, key, str(turn))
        assert {one.key: one.revision for one in other.items(THINGS).items}[key] == item.revision


@pytest.mark.parametrize("limit", [1, 20, 50, 1000])
def test_a_list_misses_nothing_when_the_file_of_changes_begins_anew(store, other, folder, monkeypatch, limit):
    monkeypatch.setattr(changes, "CHANGES_BYTES", limit)
    assert other.items(THINGS).items == ()
    look_at_all(store, other, 60, "a", "b", "c")
    for turn in range(60):  # begun anew more than once since the last look
        items = [put(store, key, str(turn)) for key in "abcab"[turn % 3 :]]
        newest = {item.key: item.revision for item in items}
        assert newest.items() <= {one.key: one.revision for one in other.items(THINGS).items}.items()
        assert listed(other) == listed(store) == listed(open_files(folder))
    path = folder / "data/things/.changes"
    assert not path.exists() or path.stat().st_size <= limit + 20


def test_a_list_has_the_value_of_an_author_with_a_very_long_name(store):
    """Nothing finds it but a look at the whole file."""
    for collection in (THINGS, PLAIN):
        store.write(collection, "a", "x" * 700, lambda current, now: value("a", "1"))
        assert [*store.items(collection).values()] == [value("a", "1")]


def test_two_writers_begin_the_file_of_changes_anew_at_once(store, other, monkeypatch):
    monkeypatch.setattr(changes, "CHANGES_BYTES", 1)
    put(store, "a", "1")
    unlink = os.unlink

    def after_another_one(path, **options):
        if str(path).endswith("/.changes"):
            unlink(path, **options)
        unlink(path, **options)

    monkeypatch.setattr(os, "unlink", after_another_one)
    assert put(store, "a", "2").version == 2
    monkeypatch.undo()
    assert listed(other) == listed(store)


def rotate_and_look(folder, number, keys):
    """The body of a process; keys of its own that it must see in the list at once."""
    changes.CHANGES_BYTES = 100
    store = open_files(folder)
    look_at_all(store, store, number, *(f"{os.getpid()}-{key}" for key in keys))


def test_processes_that_begin_the_file_of_changes_anew_miss_nothing(store, folder):
    in_processes(3, rotate_and_look, folder, 40, "ab")
    assert len(store.items(THINGS).items) == 6


@pytest.mark.parametrize(
    "harm",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"%FF\n%zz 3\n\xff\n"),
        lambda path: path.write_bytes(path.read_bytes()[:-4]),
        lambda path: path.write_bytes(path.read_bytes() + b"b"),
        lambda path: path.write_bytes(b"x" * len(path.read_bytes())),
        lambda path: os.truncate(path, 3),
    ],
    ids=["removed", "emptied", "garbage", "half-line", "begun-line", "other-bytes", "cut"],
)
def test_a_harmed_file_of_changes_costs_nothing(store, other, folder, clock, harm):
    look_at_all(store, other, 9, "a", "b", "c")
    harm(folder / "data/things/.changes")
    look_at_all(store, other, 9, "a", "b", "c")
    harm(folder / "data/things/.changes")
    assert listed(other) == listed(open_files(folder, clock))
    look_at_all(open_files(folder, clock), other, 9, "a", "b", "d")


def test_a_list_that_broke_off_is_right_afterwards(store, other, folder, monkeypatch):
    keys = [f"{number:02d}" for number in range(8)]
    items = [put(store, key) for key in keys]
    other.items(THINGS)
    for count in range(1, 9):
        items = [put(store, keys[0], str(count)), *items[1:]]
        for key in keys:
            changes.add(f"{folder}/data/things/{key}", 1)  # as writers that then broke off
        left, opened = [count], os.open

        def fail_later(path, *args, left=left, opened=opened):
            if path.endswith(".jsonl"):
                left[0] -= 1
                if left[0] <= 0:
                    raise OSError(errno.EMFILE, "no")
            return opened(path, *args)

        with monkeypatch.context() as patched, pytest.raises(StorageError):
            patched.setattr(os, "open", fail_later)
            other.items(THINGS)
        assert [one.revision for one in other.items(THINGS).items] == [item.revision for item in items]


@pytest.mark.parametrize("collection", [THINGS, PLAIN, VOLATILE], ids=lambda collection: collection.name)
@pytest.mark.parametrize("step", ["pwrite", "fdatasync", "rename", "write"])
def test_a_list_that_looks_during_a_write_looks_again(store, other, monkeypatch, collection, step):
    """At each system call of the writer, before and after it."""
    put(store, "a", "1", collection=collection)
    other.items(collection)
    real = getattr(os, step)

    def look(*args):
        other.items(collection)
        result = real(*args)
        other.items(collection)
        return result

    for write in (
        lambda: put(store, "a", "2", collection=collection),
        lambda: remove(store, "a", collection=collection),
        lambda: put(store, "a", "3", collection=collection),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(os, step, look)
            item = write()
        assert [one.revision for one in other.items(collection).items] == ([item.revision] if item else [])


def test_a_version_whose_writer_was_killed_is_in_the_list_once_it_was_read(store, other, monkeypatch):
    put(store, "a", "1")
    other.items(THINGS)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(changes, "add", lambda *args: (_ for _ in ()).throw(KeyboardInterrupt))
        put(store, "a", "2")
    read = other.read(THINGS, "a")
    assert [item.revision for item in other.items(THINGS).items] == [read.revision]
    assert put(other, "a", "3").version == read.version + 1
    assert listed(store) == {"a": "3"}


# What an operation costs


@pytest.fixture
def calls(monkeypatch):
    """How often each system call was made from now on, and how many bytes were read and written."""
    counts = dict.fromkeys(["open", "fsync", "fdatasync", "pread", "pwrite"], 0)

    def patch(name):
        real = getattr(os, name)

        def counted(*args, **options):
            result = real(*args, **options)
            counts[name] += {"pread": lambda: len(result), "pwrite": lambda: result}.get(name, lambda: 1)()
            return result

        monkeypatch.setattr(os, name, counted)

    for name in counts:
        patch(name)
    return counts


def test_a_write_is_one_sync_and_without_durability_none(store, calls):
    for collection, syncs in ((THINGS, 1), (PLAIN, 1), (VOLATILE, 0)):
        for _ in range(10):
            put(store, "a", collection=collection)
        calls.update(fsync=0, fdatasync=0)
        put(store, "a", collection=collection)
        assert calls["fsync"] + calls["fdatasync"] == syncs, collection.name
    for key in "ab":
        calls.update(fsync=0, fdatasync=0)
        put(store, key, collection=VOLATILE)
        remove(store, key, collection=VOLATILE)
        assert calls["fsync"] + calls["fdatasync"] == 0


@pytest.mark.parametrize("length", [10, 100_000], ids=["small", "large"])
def test_no_write_is_dear_however_long_the_history(folder, clock, calls, length):
    store = open_files(folder, clock, versions=16 if length > 10 else 128, hourly_days=2, daily_days=30)
    text, costs = '"%s"' % ("x" * length), []
    for _ in range(30 * 24 if length > 10 else 90 * 24):
        clock.forward(hours=1)
        calls.update(dict.fromkeys(calls, 0))
        put(store, "a", text, collection=QUICK)
        costs.append(dict(calls))
    assert max(cost["open"] for cost in costs) <= 26  # files and folders
    assert max(cost["pwrite"] for cost in costs) <= 6 * 2**18
    assert max(cost["pread"] for cost in costs) <= 16 * 2**18
    # On average a version is written three times: here, and to the hourly and to the daily tier.
    assert sum(cost["pwrite"] for cost in costs) <= 3 * len(costs) * (length + 120)
    assert len(versions(store, "a", QUICK)) < 250


def test_a_look_that_takes_long_is_in_the_log(folder, monkeypatch, caplog):
    put(open_files(folder), "a")
    monkeypatch.setattr(listing, "LONG_SECONDS", 0)
    open_files(folder).items(THINGS)
    assert "items of things took" in caplog.text  # as a warning: nothing less is logged
