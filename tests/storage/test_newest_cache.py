"""What a process keeps of what it read: nothing is stale, and what was read longest ago costs one open file."""

import os

import pytest
from storekit import COLLECTIONS, THINGS, metrics, open_files, put, remove

from deploymetrics.storage.files import newest_cache


@pytest.fixture(autouse=True)
def kept_values(monkeypatch):
    """Keep two values, and places of all else."""
    monkeypatch.setattr(newest_cache, "ALL_BYTES", 2500)


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


def test_what_was_read_longest_ago_costs_one_open_file(store, other, looks):
    keys = "abcdefgh"
    for key in keys:
        put(store, key)
    read_all(other, keys)
    looks.clear()
    assert read_all(other, keys) == dict.fromkeys(keys, "1")
    assert len(looks) <= len(keys) and {what for what, _ in looks} == {"open"}


def test_what_a_list_knows_costs_one_open_file_too(store, other, looks):
    keys = "abcdefgh"
    for key in keys:
        put(store, key)
    other.items(THINGS)
    looks.clear()
    assert read_all(other, keys) == dict.fromkeys(keys, "1")
    assert len(looks) == len(keys) and {what for what, _ in looks} == {"open"}


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


def test_the_number_of_locations_is_bounded(store, other, monkeypatch, looks):
    monkeypatch.setattr(newest_cache, "LOCATIONS", 5)
    keys = [f"{number:02d}" for number in range(20)]
    for key in keys:
        put(store, key)
    read_all(other, keys)
    for key, is_known in ((keys[0], False), (keys[-4], True)):
        looks.clear()
        assert metrics(other.read(THINGS, key)) == "1"
        assert ("listdir" not in dict(looks)) == is_known
