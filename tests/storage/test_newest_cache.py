"""What a process keeps of what it read: nothing is stale, and what a list knows costs one open file."""

import os

import pytest
from storekit import COLLECTIONS, THINGS, listed, metrics, open_files, put, remove, value

from deploymetrics.storage import item_cache
from deploymetrics.storage.files import listing


@pytest.fixture(autouse=True)
def kept_values(monkeypatch):
    """Keep two values."""
    monkeypatch.setattr(item_cache, "ALL_BYTES", 3500)


@pytest.fixture
def store(folder, clock):
    """A store that begins a file with every second version."""
    return open_files(folder, clock, versions=16)


@pytest.fixture
def other(folder, clock):
    return open_files(folder, clock, versions=16)


@pytest.fixture
def looks(monkeypatch):
    """What is opened or listed from now on."""
    found = []
    for name in ("open", "listdir"):
        real = getattr(os, name)

        def look(path, *args, real=real, name=name, **options):
            found.append((name, os.path.basename(path) if isinstance(path, str) else path))
            return real(path, *args, **options)

        monkeypatch.setattr(os, name, look)
    return found


def read_all(store, keys):
    return {key: metrics(store.read(THINGS, key)) for key in keys}


def test_what_was_read_last_opens_nothing(store, other, looks):
    put(store, "a")
    put(store, "b")
    read_all(other, "ab")
    looks.clear()
    assert read_all(other, "ab") == {"a": "1", "b": "1"}
    assert looks == []


def test_what_was_read_longest_ago_costs_a_folder_and_a_file(store, other, looks):
    keys = "abcdefgh"
    for key in keys:
        put(store, key)
    read_all(other, keys)
    looks.clear()
    assert read_all(other, keys) == dict.fromkeys(keys, "1")
    assert [name for what, name in looks if what == "open"] == [
        name for key in keys for name in (key, "00000000000000001.jsonl")
    ]


def test_what_a_list_knows_costs_one_open_file(store, other, looks):
    keys = "abcdefgh"
    for key in keys:
        put(store, key)
    other.items(THINGS)
    read_all(other, keys)
    looks.clear()
    assert read_all(other, keys) == dict.fromkeys(keys, "1")
    assert len(looks) <= len(keys) and {what for what, _ in looks} == {"open"}


@pytest.fixture
def saving(monkeypatch):
    """Lists that are saved at once, and taken over by who reads the third key that it does not know."""
    monkeypatch.setattr(listing, "SAVED_KEYS", 1)
    monkeypatch.setattr(listing, "UNKNOWN_KEYS", 3)


def test_who_reads_many_takes_over_what_another_process_knows(store, other, saving, looks):
    keys = "abcdefgh"
    for key in keys:
        put(store, key)
    store.items(THINGS)
    looks.clear()
    assert read_all(other, keys) == dict.fromkeys(keys, "1")
    assert [name for what, name in looks if what == "open" and not name.endswith(".jsonl")] == ["a", "b", ".list"]


def test_what_was_saved_before_a_write_harms_nothing(store, folder, saving):
    for key in "abcde":
        put(store, key)
    store.items(THINGS)
    remove(store, "a")
    for number in range(2, 20):
        put(store, "b", str(number))
    late = open_files(folder)
    assert [late.read(THINGS, key) for key in "abcde"] == [store.read(THINGS, key) for key in "abcde"]
    assert listed(late) == {"b": "19", "c": "1", "d": "1", "e": "1"}


def test_what_was_written_over_the_line_that_a_list_saw_is_read_with_its_own_revision(store, other, folder):
    put(store, "a")
    other.items(THINGS)
    (path,) = (folder / "data/things/a").iterdir()
    line = path.read_bytes()
    with open(path, "r+b") as file:
        file.write(line.replace(value("a", "1")[1:], value("a", "2")[1:]))
    item = other.read(THINGS, "a")
    assert metrics(item) == "2" and item == open_files(folder).read(THINGS, "a")


@pytest.mark.parametrize("is_listed", [False, True], ids=["alone", "listed"])
@pytest.mark.parametrize("collection", COLLECTIONS.values(), ids=COLLECTIONS)
def test_nothing_that_is_read_again_is_stale(store, other, collection, is_listed):
    keys = "abcdef"
    for number in range(100, 240):  # all of the same length
        key = keys[number % 6]
        if is_listed and number % 10 == 0:
            other.items(collection)
        if number % 7 == 0:
            remove(store, key, collection=collection)
        else:
            written = put(store, key, str(number), collection=collection, author=f"of {key}")
            assert other.read(collection, key) == written
        for one in keys:
            assert other.read(collection, one) == store.read(collection, one)
        if collection.history:
            assert [item for item in [other.read(collection, key)] if item] == [
                item for item in list(open_files(other.root).history(collection, key))[:1] if not item.deleted
            ]


def test_what_a_person_wrote_is_so_too_when_it_is_read_again(store, other):
    written = [put(store, key, kept=True) for key in "abcdef"]
    for _ in range(3):
        assert [other.read(THINGS, item.key) for item in written] == written
