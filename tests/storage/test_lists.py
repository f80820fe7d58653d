"""What a list costs: files that are opened, values that are read and joined, memory that is kept."""

import errno
import os
import random
import shutil
from collections import Counter

import pytest
from storekit import PLAIN, THINGS, VOLATILE, listed, open_files, put, remove, value

from deploymetrics.errors import StorageError
from deploymetrics.storage import list_blocks
from deploymetrics.storage.files import disk, listing, locations
from deploymetrics.storage.files.locations import Location
from deploymetrics.storage.list_blocks import Blocks

KEYS = [f"k{number:04d}" for number in range(1200)]


@pytest.fixture
def filled(store, monkeypatch):
    """A store with many items, made without a sync."""
    with monkeypatch.context() as patched:
        for name in ("fsync", "fdatasync"):
            patched.setattr(os, name, lambda fd: None)
        for key in KEYS:
            put(store, key)
    return store


@pytest.fixture
def opened(monkeypatch):
    """The paths of the files that are opened from now on."""
    paths, real = [], os.open

    def look(path, *args, **options):
        paths.append(path)
        return real(path, *args, **options)

    monkeypatch.setattr(os, "open", look)
    return paths


def logs(paths):
    """The keys whose files are among the paths."""
    return [path.split("/")[-2] for path in paths if path.endswith(".jsonl")]


def array(store):
    return b"".join(store.items(THINGS).array())


# The values


def test_a_list_without_its_values_reads_none(filled, folder, opened):
    reader = open_files(folder)
    assert len(reader.items(THINGS).items) == len(KEYS)
    assert sorted(logs(opened)) == KEYS  # once each, for what there is
    opened.clear()
    put(filled, KEYS[7], "2")
    opened.clear()
    for _ in range(3):
        reader.items(THINGS)
    assert logs(opened) == [KEYS[7]]


def test_values_are_read_once_and_then_those_that_changed(filled, opened):
    before = array(filled)
    opened.clear()
    assert array(filled) == before and opened == []
    for key in KEYS[3], KEYS[900]:
        put(filled, key, "2")
    filled.items(THINGS)
    opened.clear()
    assert array(filled) == b"[%b]" % b",".join(value(key, "2" if key in (KEYS[3], KEYS[900]) else "1") for key in KEYS)
    assert sorted(logs(opened)) == [KEYS[3], KEYS[900]]


def test_only_blocks_in_which_something_changed_are_joined(filled):
    before = list(filled.items(THINGS).read(0, len(KEYS)))
    put(filled, KEYS[600], "2")
    after = list(filled.items(THINGS).read(0, len(KEYS)))
    assert len(before) == len(after) > 3
    assert sum(one is not two for one, two in zip(before, after)) == 1


def test_a_page_reads_no_more_than_its_blocks(filled, opened):
    array_of = filled.items(THINGS)
    opened.clear()
    assert b"".join(array_of.read(100, 103)) == b"".join(b",%b" % value(key) for key in KEYS[100:103])
    read = logs(opened)
    assert 3 <= len(read) < len(KEYS) / 2
    opened.clear()
    assert b"".join(array_of.read(101, 104)) == b"".join(b",%b" % value(key) for key in KEYS[101:104])
    assert not set(read) & set(logs(opened))


@pytest.mark.parametrize("limit", ["KEPT_BYTES", "BLOCK_BYTES"])
def test_what_is_beyond_the_limit_is_read_each_time_and_not_kept(filled, folder, monkeypatch, opened, limit):
    sizes = sorted(map(len, open_files(folder).items(THINGS).read(0, len(KEYS))))
    monkeypatch.setattr(list_blocks, limit, sum(sizes) // 2 if limit == "KEPT_BYTES" else sizes[-1] - 1)
    monkeypatch.setattr(list_blocks, "PIECE_BYTES", 1000)
    expected = b"[%b]" % b",".join(map(value, KEYS))
    for _ in range(2):
        opened.clear()
        pieces = list(filled.items(THINGS).array())
        assert b"".join(pieces) == expected
        assert max(map(len, pieces)) < sizes[-1] or limit == "KEPT_BYTES"
    assert 100 < len(logs(opened)) < len(KEYS)  # of the others it keeps the values
    for number in range(5):
        put(filled, KEYS[number * 200], str(number))
        assert listed(filled)[KEYS[number * 200]] == str(number)


def test_values_of_a_block_that_is_gone_take_no_room(filled, monkeypatch, opened):
    everything = filled.items(THINGS)
    last = next(number for number in range(len(KEYS)) if list(everything.read(number, len(KEYS)))[1:] == [])
    first_block, *_, last_block = everything.read(0, len(KEYS))
    reader = open_files(filled.root)
    monkeypatch.setattr(list_blocks, "KEPT_BYTES", max(len(first_block), len(last_block)))
    list(reader.items(THINGS).read(last, len(KEYS)))
    remove(filled, KEYS[last])
    now = reader.items(THINGS)
    list(now.read(0, 1))
    opened.clear()
    assert list(now.read(0, 1)) == [b",%b" % value(KEYS[0])] and not logs(opened)


def test_a_large_collection_leaves_little_in_memory(store, monkeypatch):
    import tracemalloc

    monkeypatch.setattr(list_blocks, "KEPT_BYTES", 2**20)
    text = '"%s"' % ("x" * 2**18)
    for number in range(100):
        put(store, f"{number:03d}", text)
    store.items(THINGS)
    tracemalloc.start()
    assert sum(map(len, store.items(THINGS).array())) > 100 * 2**18
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 2**21 and peak < 2**22


def test_a_version_that_is_gone_is_an_error_and_the_next_list_is_right(store):
    for key in "abc":
        put(store, key)
    before = store.items(THINGS)
    remove(store, "b")
    store.purge(THINGS, "b", "alice")
    with pytest.raises(StorageError):
        list(before.values())
    assert listed(store) == {"a": "1", "c": "1"}


def test_a_superseded_value_is_not_taken_for_its_successor(store):
    """Where a file was written anew, without an older version, another line stands in the same place."""
    for number in range(1, 5):
        put(store, "a", str(number))
    before = store.items(THINGS)
    put(store, "a", "5")
    store.purge(THINGS, "a", "alice", 2)
    assert list(before.values()) == [value("a", "4")]


def test_a_value_that_cannot_be_read_any_more_is_out_of_the_next_list(store, monkeypatch):
    for key in "abc":
        put(store, key)
    before, real = store.items(THINGS), os.open

    def fail(path, *args):
        if "/b/" in path:
            raise OSError(errno.EIO, "no")
        return real(path, *args)

    monkeypatch.setattr(os, "open", fail)
    with pytest.raises(StorageError):
        list(before.values())
    after = store.items(THINGS)
    assert (listed(store), after.damaged) == ({"a": "1", "c": "1"}, ("b",))
    assert after.revision != before.revision


# What is saved for processes that begin later


@pytest.fixture
def saving(monkeypatch):
    monkeypatch.setattr(listing, "SAVED_KEYS", 10)


@pytest.mark.parametrize("collection", [THINGS, PLAIN], ids=lambda collection: collection.name)
def test_another_process_opens_only_what_changed(store, folder, saving, opened, collection):
    for number in range(40):
        put(store, f"{number:02d}", collection=collection)
    remove(store, "07", collection=collection)
    store.items(collection)
    put(store, "03", "2", collection=collection)
    remove(store, "04", collection=collection)
    put(store, "new", collection=collection)
    opened.clear()
    reader = open_files(folder)
    found = reader.items(collection)
    assert set(logs(opened)) <= {"03", "04", "new"}
    assert found.revision == store.items(collection).revision
    if collection.history:
        assert listed(reader) == listed(store)


def test_what_is_not_durable_is_not_saved(store, folder, saving):
    for number in range(20):
        put(store, str(number), collection=VOLATILE)
    store.items(VOLATILE)
    assert not (folder / "data/volatile/.list").exists()


@pytest.mark.parametrize(
    "harm",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(path.read_bytes().replace(b"alice", b"carol")),
        lambda path: path.write_bytes(b"another form\n" + path.read_bytes()),
        lambda path: (path.unlink(), path.mkdir()),
        lambda path: path.unlink(),
    ],
    ids=["empty", "cut", "changed", "other-form", "folder", "gone"],
)
def test_a_harmed_saved_list_costs_nothing_but_time(store, folder, saving, harm):
    for number in range(20):
        put(store, str(number))
    expected = store.items(THINGS)
    harm(folder / "data/things/.list")
    reader = open_files(folder)
    assert reader.items(THINGS)[:4] == expected[:4]
    assert listed(reader) == listed(store)


def test_a_saved_list_of_another_past_does_no_harm(store, folder, tmp_path, saving):
    """A backup is put back and written on; the list that was saved is of what was written before that."""
    for number in range(20):
        put(store, str(number), "1")
    shutil.copytree(folder, tmp_path / "backup")
    for number in range(20):
        put(store, str(number), "2")
    store.items(THINGS)
    shutil.copy2(folder / "data/things/.list", tmp_path / "backup/data/things/.list")
    other = open_files(tmp_path / "backup")
    for number in range(20):
        put(other, str(number), "3")  # lines of the same length
    assert set(listed(open_files(tmp_path / "backup")).values()) == {"3"}


def test_where_nothing_can_be_saved_a_list_is_right(store, folder, saving, monkeypatch):
    def fail(path, data, **options):
        raise OSError(errno.EROFS, "no")

    for number in range(20):
        put(store, str(number))
    monkeypatch.setattr(disk, "replace_file", fail)
    assert len(open_files(folder).items(THINGS).items) == 20
    assert locations.load(f"{folder}/data/things") == []


# Looking whether all is as it was


def test_a_list_looks_at_few_keys_for_that(filled, folder, monkeypatch):
    reader, looked, real = open_files(folder), [], os.stat
    reader.items(THINGS)
    monkeypatch.setattr(listing, "RECHECK_SECONDS", 0)
    monkeypatch.setattr(listing, "RECHECKED_KEYS", 100)
    monkeypatch.setattr(os, "stat", lambda path, **options: looked.append(path) or real(path, **options))
    for _ in range(len(KEYS) // 100):
        looked.clear()
        reader.items(THINGS)
        looks = Counter(os.path.dirname(path) for path in looked if path.endswith(".jsonl"))
        assert len(looks) == 100 and set(looks.values()) == {1}
    shutil.rmtree(folder / "data/things" / KEYS[5])
    for _ in range(len(KEYS) // 100 + 1):
        found = reader.items(THINGS)
    assert [item.key for item in found.items] == [key for key in KEYS if key != KEYS[5]]


# Blocks


def place(key, version):
    return Location(key, version, f"{version:04d}", "alice", f"{key}-{version}", 9, 1, 100, 7, False)


@pytest.mark.parametrize("seed", range(5))
def test_blocks_are_those_of_the_entries_whatever_happened_before(monkeypatch, seed):
    monkeypatch.setattr(list_blocks, "BLOCK_ITEMS", 4)
    chance, ours, expected = random.Random(seed), Blocks(None), {}
    keys = [str(number) for number in range(60)]
    for version in range(1, 200):
        some = {key: place(key, version) if chance.random() < 0.6 else None for key in chance.choices(keys, k=seed + 1)}
        ours.apply(some)
        expected = {key: entry for key, entry in (expected | some).items() if entry}
        again = Blocks(None)
        again.apply(expected)
        assert [block.entries for block in ours.blocks] == [block.entries for block in again.blocks]
        ours_now, again_now = ours.listing(()), again.listing(())
        assert ours_now[:4] == again_now[:4]
        assert ours_now.items == tuple(expected[key] for key in sorted(expected))


def test_a_list_that_is_still_being_sent_keeps_no_values_of_blocks_that_changed():
    """So many slow clients cost no memory beyond the limit."""
    ours = Blocks(lambda entries: [b"123456789"] * len(entries))
    ours.apply({key: place(key, 1) for key in KEYS})
    before, being_sent = list(ours.blocks), ours.listing(())
    whole = list(being_sent.read(0, len(KEYS)))
    ours.apply({KEYS[500]: place(KEYS[500], 2)})
    (changed,) = (block for block in before if block not in ours.blocks)
    assert all(block.kept[1] for block in ours.blocks)
    for _ in range(2):
        assert changed.kept[1] == b""
        assert list(being_sent.read(0, len(KEYS))) == whole


def test_a_change_makes_one_block_anew():
    ours = Blocks(None)
    ours.apply({key: place(key, 1) for key in KEYS})
    before = list(ours.blocks)
    ours.apply({KEYS[500]: place(KEYS[500], 2)})
    assert len(before) == len(ours.blocks) > 3
    assert sum(one is not two for one, two in zip(before, ours.blocks)) == 1
