"""verify names whatever is damaged, missing or not where it is looked for, and nothing that is well."""

import os
import shutil

import pytest
from storekit import THINGS, open_files, put, remove


@pytest.fixture
def store(folder, clock):
    """A store with 70 versions of a, in two files, and d, which is deleted."""
    store = open_files(folder, clock)
    for number in range(1, 71):
        put(store, "a", str(number))
    put(store, "d")
    remove(store, "d")
    assert found(store) == {}
    return store


def found(store, **options):
    return dict(store.verify(THINGS, **options))


def change(path, old, new):
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new, 1))


FIRST, LAST = "data/things/a/00000000000000001.jsonl", "data/things/a/00000000000000065.jsonl"
FAULTS = {
    "torn": ("a", "things/a", lambda root: change(root / FIRST, b'"metrics":9}', b"")),
    "blank": ("a", "without a version", lambda root: change(root / FIRST, b'{"version":9,', b"\0" * 13)),
    "a number": ("a", "after version", lambda root: change(root / FIRST, b'"version":1,', b'"version":9,')),
    "the value of another": (
        "a",
        "says",
        lambda root: change(root / LAST, b'"tag":"a","metrics":70', b'"tag":"b","metrics":70'),
    ),
    "the copy edited": ("a", "the copy", lambda root: change(root / "things/a.json", b"70", b"71")),
    "the copy gone": ("a", "the copy", lambda root: (root / "things/a.json").unlink()),
    "a copy of what is deleted": ("d", "the copy", lambda root: (root / "things/d.json").write_bytes(b"{}")),
    "a copy of nothing": ("e", "the copy", lambda root: (root / "things/e.json").write_bytes(b"{}")),
    "a stranger": ("A", "not the name", lambda root: (root / "data/things/A").mkdir()),
    "a file for a folder": ("e", "things/e", lambda root: (root / "data/things/e").touch()),
    "a pipe": (
        "e",
        "not a file",
        lambda root: ((root / "data/things/e").mkdir(), os.mkfifo(root / "data/things/e/00000000000000001.jsonl")),
    ),
    "too large": ("a", "too large", lambda root: os.truncate(root / LAST, 2**40)),
}


@pytest.mark.parametrize("what, sentence, damage", FAULTS.values(), ids=FAULTS)
def test_a_fault_is_named_and_those_behind_it_too(store, folder, what, sentence, damage):
    put(store, "z")
    damage(folder)
    (folder / "things/z.json").unlink()
    again = found(open_files(folder))
    assert sentence in again.pop(what)
    assert set(again) == {"z"}


def test_copies_are_written_again_on_demand(store, folder):
    before = (folder / "things/a.json").read_bytes()
    (folder / "things/a.json").write_bytes(b"{")
    (folder / "things/d.json").write_bytes(b"{}")
    done = found(store, repair=True)
    assert set(done) == {"a", "d"} and "written" not in done["d"]  # it is removed
    assert found(store) == {}
    assert (folder / "things/a.json").read_bytes() == before
    assert not (folder / "things/d.json").exists()


def test_all_copies_can_be_made_again(store, folder):
    shutil.rmtree(folder / "things")
    assert set(found(store, repair=True)) == {"a"}
    assert found(store) == {}


@pytest.mark.parametrize("left", [b"", b"{", b"\0" * 30, b"x" * 10_000])
def test_a_copy_that_a_crash_left_is_right_after_the_next_write(store, folder, left):
    (folder / "things/a.json").write_bytes(left)
    item = put(store, "a", "71")
    assert (folder / "things/a.json").read_bytes() == item.value
