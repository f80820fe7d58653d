"""A disk that goes and comes back in the same boot: files have again what was synced, and processes their memory.

What is acknowledged is there and is read rightly, without a restart.
"""

import fcntl
import os

import pytest
from crash import check
from crash.record import Calls, Recorder, tree
from storekit import PLAIN, THINGS, metrics, open_files, past, put, remove

from deploymetrics.storage.files import disk


@pytest.fixture
def root():
    with check.folder() as path:
        yield path


@pytest.fixture
def instance(root):
    return root / "instance"


def log_of(instance, key="a", start=1):
    return instance / f"data/things/{key}/{start:017d}.jsonl"


def lose_last_newline(path):
    data = path.read_bytes()
    assert data.endswith(b"\n")
    os.truncate(path, len(data) - 1)


def blank_last_newline(path):
    data = path.read_bytes()
    path.write_bytes(data[:-1] + b"\0")


@pytest.mark.parametrize("lose", [lose_last_newline, blank_last_newline])
@pytest.mark.parametrize("text", ["2", None])
def test_the_last_newline_is_lost(instance, lose, text):
    store, other = open_files(instance), open_files(instance)
    put(store, "a", "1")
    put(store, "a", text) if text else remove(store, "a")
    check.view(other, THINGS, "a")
    lose(log_of(instance))
    for one in (store, other, open_files(instance)):
        assert check.view(one, THINGS, "a") == [(2, text), (1, "1")]
    assert put(store, "a", "3").version == 3
    for one in (store, other, open_files(instance)):
        assert check.view(one, THINGS, "a") == [(3, "3"), (2, text), (1, "1")]


@pytest.mark.parametrize("lose", [lose_last_newline, blank_last_newline])
def test_the_last_newline_of_a_file_is_lost_after_the_next_was_begun(instance, lose):
    """Earlier releases did not sync it; nor did they close a file."""
    store = open_files(instance, versions=8)
    for text in "123":
        put(store, "a", text)
    log_of(instance, start=2).write_bytes(log_of(instance, start=2).read_bytes().rstrip(b" "))
    lose(log_of(instance, start=2))
    for one in (store, open_files(instance)):
        assert check.view(one, THINGS, "a") == [(3, "3"), (2, "2"), (1, "1")]
        assert metrics(one.version(THINGS, "a", 2)) == "2"


def test_the_last_newline_is_lost_while_another_one_writes(instance):
    """Readers meet every state between the look at the log and the next version."""
    store, other = open_files(instance), open_files(instance)
    put(store, "a", "1")
    lose_last_newline(log_of(instance))
    seen = []

    class Looking(Calls):
        is_looking = False

        def after(self, *call):
            if not self.is_looking:  # a reader syncs too
                self.is_looking = True
                seen.extend(check.view(one, THINGS, "a") for one in (other, open_files(instance)))
                self.is_looking = False

    with Looking(instance).in_place():
        put(store, "a", "2")
    versions = [found[0][0] for found in seen]
    assert versions == sorted(versions) and set(versions) >= {1, 2}
    assert past(store, "a") == [(2, "2"), (1, "1")]


def test_a_version_that_is_being_written_is_not_taken_for_left_by_a_crash(instance):
    store = open_files(instance)
    put(store, "a", "1")
    put(store, "a", "2")
    lose_last_newline(log_of(instance))
    with disk.opened(os.fspath(log_of(instance).parent), os.O_DIRECTORY) as folder:
        fcntl.flock(folder, fcntl.LOCK_EX)
        assert check.view(open_files(instance), THINGS, "a") == [(1, "1")]
    assert check.view(open_files(instance), THINGS, "a") == [(2, "2"), (1, "1")]


@pytest.mark.parametrize("collection", [THINGS, PLAIN], ids=["history", "no-history"])
@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_disk_with_what_was_synced_only(root, instance, collection, number):
    """The model of a disk says what is there; open files, and what processes remember, stay."""
    recorder = Recorder(root)
    with recorder.in_place():
        store, other = open_files(instance, versions=16), open_files(instance)
        for text in map(str, range(number)):
            for key in "ab":
                item = put(store, key, text, collection=collection)
                check.view(other, collection, key)
    revert(recorder.disk().synced(), root)
    for one in (other, store, open_files(instance)):
        for key in "ab":
            assert check.view(one, collection, key)[0] == (item.version, text)
    for key in "ab":
        assert put(other, key, "9", collection=collection).version == item.version + 1
        assert check.view(store, collection, key)[0] == (item.version + 1, "9")


def revert(state, root):
    """Let the folder have that state; files keep their place where they are in it."""
    for path, content in tree(root).items():
        if content is not None and path not in state and "locks" not in path:
            os.unlink(root / path)
    for path, content in state.items():
        if content is not None:
            (root / path).write_bytes(content)


def test_a_list_is_right_where_its_changes_went_and_others_came(instance):
    """Of as many bytes, or more."""
    ours, theirs = open_files(instance), open_files(instance)
    for key in "abcd":
        put(theirs, key, "1")
    ours.items(THINGS)
    changes = instance / "data/things/.changes"
    for cut in (0, 3, 6):
        os.truncate(changes, cut)
        for key in "dcba" * 2:
            put(theirs, key, "2")
        assert [item.revision for item in ours.items(THINGS).items] == [
            theirs.read(THINGS, key).revision for key in "abcd"
        ]


def test_a_log_that_is_shorter_than_remembered_is_looked_at_again(instance):
    store = open_files(instance)
    put(store, "a", "1")
    before = log_of(instance).read_bytes()
    put(store, "a", "2")
    log_of(instance).write_bytes(before)
    assert past(store, "a") == past(open_files(instance), "a") == [(1, "1")]
    assert put(store, "a", "3").version == 2
