"""verify names whatever is damaged, missing or not where it is looked for, and nothing that is well."""

import os
import shutil

import pytest
from storekit import THINGS, open_files, put, remove, value

from deploymetrics.storage import durable, segments


@pytest.fixture
def store(folder, clock):
    """A store with 70 versions of a, in two files of its history, and d, which is deleted."""
    store = open_files(folder, clock)
    for number in range(1, 71):
        put(store, "a", str(number))
    put(store, "d")
    remove(store, "d")
    assert found(store) == {}
    return store


def found(store):
    return dict(store.verify(THINGS))


def change(path, old, new):
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new, 1))


def last_line_blank(path):
    *lines, last = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines) + bytes(len(last) - 1) + b"\n")


FIRST, LAST, GONE = "history/things/a/000000000001.jsonl", "history/things/a/000000000065.jsonl", "history/things/d"
FAULTS = {
    "no-history": ("a", "before 70", lambda root: shutil.rmtree(root / "history/things/a")),
    "a-file-of-the-history-misnamed": ("a", "1.jsonl", lambda root: (root / FIRST).rename(
        root / "history/things/a/1.jsonl")),
    "the-newest-file-of-the-history-gone": ("a", "64 and 70", lambda root: (root / LAST).unlink()),
    "torn-where-no-crash-can": ("a", "torn", lambda root: os.truncate(root / FIRST, 40)),
    "blank-where-no-crash-can": ("a", "without a version", lambda root: last_line_blank(root / FIRST)),
    "a-number-of-the-history": ("a", "version 9", lambda root: change(root / FIRST, b'"version":1,', b'"version":9,')),
    "a-time-of-the-history": ("a", "earlier", lambda root: change(root / LAST, b'"2018-', b'"2017-')),
    "the-number-of-the-file": ("a", "on to 70", lambda root: change(
        root / "things/a.json", b'"version":70', b'"version":3')),
    "the-file-gone": ("a", "missing", lambda root: (root / "things/a.json").unlink()),
    "a-link-to-nothing": ("e", "cannot be read", lambda root: (root / "things/e.json").symlink_to(root / "no")),
    "a-deletion-with-more": ("d", "things/d", lambda root: change(
        root / GONE / "000000000001.jsonl", b"true}", b"true}x")),
    "a-deletion-blank": ("d", "missing", lambda root: last_line_blank(root / GONE / "000000000001.jsonl")),
    "the-history-of-a-deletion-empty": ("d", "empty", lambda root: os.truncate(root / GONE / "000000000001.jsonl", 0)),
    "a-mark-that-is-none": ("d", "mark", lambda root: (root / GONE / "unfinished").write_bytes(b"x")),
    "a-stranger": ("A.json", "not the name", lambda root: (root / "things/A.json").write_bytes(value("A"))),
    "a-pipe": ("e", "not a file", lambda root: os.mkfifo(root / "things/e.json")),
    "too-large": ("e", "too large", lambda root: os.close(os.open(root / "things/e.json", os.O_CREAT))
                  or os.truncate(root / "things/e.json", 2**40)),
}


@pytest.mark.parametrize("what, sentence, damage", FAULTS.values(), ids=FAULTS)
def test_a_fault_is_named_and_those_behind_it_too(store, folder, what, sentence, damage):
    damage(folder)
    (folder / "things/z.json").write_bytes(b"{")
    again = found(store)
    assert sentence in again.pop(what)
    assert set(again) == {"z"}


def test_an_import_that_was_not_finished_is_named(store, clock, tmp_path, monkeypatch):
    other = open_files(tmp_path / "other", clock)

    def fail(*args):
        raise OSError

    monkeypatch.setattr(durable, "replace_file", fail)
    with pytest.raises(Exception, match="cannot answer"):
        other.restore(THINGS, "a", store.history(THINGS, "a")[::-1])
    assert "not finished" in found(other)["a"]


def test_nothing_is_wrong_while_others_write(store, folder, monkeypatch):
    """A version is in the history a moment before its file is in place."""
    other = open_files(folder)
    last = segments.Segments.last

    def write_first(self):
        monkeypatch.setattr(segments.Segments, "last", last)
        put(other, "a")
        return last(self)

    monkeypatch.setattr(segments.Segments, "last", write_first)
    assert found(store) == {}
    assert store.read(THINGS, "a").version == 71


def test_what_a_person_put_there_is_well_after_the_next_write(store, folder):
    old = value("a", "1")
    for text in (b'{"version":1,"changedAt":"2018-01-12T12:00:03Z","changedBy":"x",\n' + old[1:], old):
        (folder / "things/a.json").write_bytes(text)
        put(store, "a")
    (folder / "things/d.json").write_bytes(value("d"))
    put(store, "d")
    assert found(store) == {}
