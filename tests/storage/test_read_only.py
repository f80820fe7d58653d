"""Reading goes on where nothing can be written, also in a new process; what cannot be read is not taken for empty."""

import errno
import os
import shutil
from contextlib import contextmanager

import pytest
from crash import check
from crash.record import Failing
from storekit import THINGS, metrics, open_files, past, put, remove

from deploymetrics.errors import DamagedItemError, StorageError

NOBODY = 65534


@pytest.fixture
def root():
    with check.folder() as path:
        yield path


@pytest.fixture
def instance(root):
    """An instance with a, b and the deleted d."""
    store = open_files(root / "instance")
    for text in "12":
        put(store, "a", text)
    put(store, "b")
    put(store, "d")
    remove(store, "d")
    return root / "instance"


def read_only(root, error):
    failing = Failing(root)
    failing.begin(0, error, lasts=True)
    failing.before = lambda name, path, is_change: is_change and Failing.before(failing, name, path, is_change)
    return failing.in_place()


@pytest.mark.parametrize("error", [errno.EROFS, errno.EACCES, errno.ENOSPC], ids=errno.errorcode.get)
def test_reading_goes_on_where_nothing_can_be_written(root, instance, error):
    store = open_files(instance)
    store.items(THINGS)
    with read_only(root, error):
        for one in (store, open_files(instance)):
            assert check.view(one, THINGS, "a") == [(2, "2"), (1, "1")]
            assert check.view(one, THINGS, "d") == [(2, None), (1, "1")]
            assert one.keys(THINGS) == ["a", "b", "d"]
            assert metrics(one.version(THINGS, "a", 1)) == "1"
            assert list(one.verify(THINGS)) == []
            for attempt in (put, remove):
                with pytest.raises(StorageError):
                    attempt(one, "a")
    assert put(store, "a", "3").version == 3


def test_what_a_crash_left_on_a_disk_that_was_read_only_then_keeps_no_writer_off(instance, monkeypatch):
    store, (path,), real = open_files(instance), (instance / "data/things/a").iterdir(), os.open
    with open(path, "r+b") as file:
        file.truncate(path.stat().st_size - 1)

    def refuse(path, flags, *args, **options):
        if flags & (os.O_WRONLY | os.O_RDWR):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return real(path, flags, *args, **options)

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refuse)
        assert metrics(store.read(THINGS, "a")) == "2"
    assert put(store, "a", "3").version == 3


@contextmanager
def as_an_account_that_may_only_read(root, instance):
    """Act as the owner of the instance, who is not root and has taken the permission to write from it."""
    is_root, paths = os.geteuid() == 0, [instance, *instance.rglob("*")]
    for path in paths:
        path.chmod(0o500 if path.is_dir() else 0o400)
        if is_root:
            os.chown(path, NOBODY, NOBODY)
    root.chmod(0o711)
    if is_root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)
        for path in paths:
            path.chmod(0o700)


def test_an_instance_without_permission_to_write(root, instance):
    with as_an_account_that_may_only_read(root, instance):
        store = open_files(instance)
        assert past(store, "a") == [(2, "2"), (1, "1")]
        assert [item.key for item in store.items(THINGS).items] == ["a", "b"]
        for key in ("a", "new"):
            with pytest.raises(StorageError):
                put(store, key)
        assert past(open_files(instance), "a") == [(2, "2"), (1, "1")]
    assert put(open_files(instance), "a", "3").version == 3


class Unreadable(Failing):
    """Nothing below ``part`` can be read."""

    def __init__(self, root, part, error):
        super().__init__(root)
        self.part = part
        self.error = error

    def before(self, name, path, is_change):
        if self.part in path and name in ("open", "pread", "read", "listdir", "scandir"):
            raise OSError(self.error, os.strerror(self.error))


@pytest.mark.parametrize("error", [errno.EIO, errno.EACCES], ids=errno.errorcode.get)
@pytest.mark.parametrize("part", ["/a/0", "/things/a"], ids=["file", "folder"])
@pytest.mark.parametrize("is_new", [False, True], ids=["used", "new"])
def test_what_cannot_be_read_is_an_error_until_it_can(root, instance, part, error, is_new):
    store = open_files(instance)
    if not is_new:
        store.items(THINGS)
    put(open_files(instance), "a", "3")
    with Unreadable(root, part, error).in_place():
        for attempt in (
            lambda: store.read(THINGS, "a"),
            lambda: past(store, "a"),
            lambda: store.version(THINGS, "a", 1),
            lambda: put(store, "a", "4"),
            lambda: remove(store, "a"),
            lambda: store.purge(THINGS, "a", "alice"),
        ):
            with pytest.raises(DamagedItemError):
                attempt()
        assert metrics(store.read(THINGS, "b")) == "1"
        assert (store.items(THINGS).damaged, [item.key for item in store.items(THINGS).items]) == (("a",), ["b"])
        assert "a" in dict(store.verify(THINGS))
    assert check.view(store, THINGS, "a") == [(3, "3"), (2, "2"), (1, "1")]
    assert put(store, "a", "4").version == 4


@pytest.mark.parametrize("what", ["file", "folder"])
def test_symbolic_links_are_not_followed(root, instance, what):
    """Else an account that may write in the folder reads and writes with the rights of whoever starts a command."""
    elsewhere = root / "elsewhere"
    put(open_files(instance), "c", "7")
    path = instance / "data/things/c"
    if what == "file":
        path /= f"{1:017d}.jsonl"
    os.rename(path, elsewhere)
    os.symlink(elsewhere, path)
    store = open_files(instance)
    for attempt in (lambda: store.read(THINGS, "c"), lambda: put(store, "c"), lambda: remove(store, "c")):
        with pytest.raises(DamagedItemError):
            attempt()
    assert store.items(THINGS).damaged == ("c",)
    assert metrics(store.read(THINGS, "a")) == "2"


def test_a_copy_is_not_written_through_a_link(root, instance):
    (root / "elsewhere").write_text("precious")
    (instance / "things/a.json").unlink()
    os.symlink(root / "elsewhere", instance / "things/a.json")
    assert put(open_files(instance), "a", "3").version == 3
    assert (root / "elsewhere").read_text() == "precious"


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["pipe", "folder"])
def test_what_is_no_file_is_damaged_and_not_waited_for(instance, make):
    store = open_files(instance)
    make(instance / f"data/things/a/{3:017d}.jsonl")
    for attempt in (lambda: store.read(THINGS, "a"), lambda: put(store, "a")):
        with pytest.raises(DamagedItemError):
            attempt()
    assert store.items(THINGS).damaged == ("a",)


def test_a_file_in_the_place_of_a_folder_is_damaged(instance):
    shutil.rmtree(instance / "data/things/a")
    (instance / "data/things/a").touch()
    store = open_files(instance)
    for attempt in (lambda: store.read(THINGS, "a"), lambda: put(store, "a")):
        with pytest.raises(DamagedItemError):
            attempt()
    assert store.items(THINGS).damaged == ("a",)


def test_an_instance_that_was_moved_away_is_not_made_anew(root, instance):
    store, fresh = open_files(instance), open_files(instance)
    put(store, "a", "3")
    os.rename(instance, root / "away")
    for one in (store, fresh):
        for attempt in (
            lambda: one.read(THINGS, "a"),
            lambda: one.items(THINGS),
            lambda: past(one, "a"),
            lambda: put(one, "a"),
            lambda: put(one, "new"),
            lambda: remove(one, "a"),
            one.check,
            lambda: one.keys(THINGS),
        ):
            with pytest.raises(StorageError):
                attempt()
    assert os.listdir(root) == ["away"]
    os.rename(root / "away", instance)
    assert put(fresh, "a", "4").version == 4
    assert check.view(store, THINGS, "a")[0] == (4, "4")
