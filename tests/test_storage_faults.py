"""A disk that fails or is full, at every step: an error that says so, nothing lost, nothing left, no restart."""

import errno
import resource
import subprocess
import sys

import pytest
from crash.record import CHANGES, Failing
from storekit import THINGS, files_below, open_files, past, put, remove

from deploymetrics.errors import DamagedItem, StorageError, StorageFull
from deploymetrics.storage import durable, segments

FULL = [errno.ENOSPC, errno.EDQUOT]
ERRORS = [errno.EIO, *FULL]
LONG = '"%s"' % ("x" * 20_000)


@pytest.fixture(autouse=True)
def short_files(monkeypatch):
    monkeypatch.setattr(segments, "SEGMENT_LINES", 3)


def no_store(folder):
    """The first write of all makes the folders."""


def one_version(folder):
    put(open_files(folder), "a", "1")


def full_segment(folder):
    """The next write begins a file of the history and drops one."""
    for number in range(1, 8):
        put(open_files(folder, versions=3), "a", str(number))


def deleted(folder):
    one_version(folder)
    remove(open_files(folder), "a")


BEFORE = [no_store, one_version, full_segment, deleted]
CASES = [
    *((before, LONG) for before in BEFORE),
    (one_version, None),
    (full_segment, None),
]
IDS = [f"{before.__name__}-{'delete' if text is None else 'put'}" for before, text in CASES]


def write(store, text):
    return remove(store, "a") if text is None else put(store, "a", text)


def steps(folder, text):
    """The names of the calls that change something, of one write; the write is done afterwards."""
    store = open_files(folder, versions=3)
    with Failing().in_place() as failing:
        write(store, text)
    return failing.seen


def prepared(tmp_path, before, number):
    folder = tmp_path / f"instance{number}"
    before(folder)
    return folder


@pytest.mark.parametrize("often", [False, True], ids=["once", "lasting"])
@pytest.mark.parametrize("error", ERRORS, ids=errno.errorcode.get)
@pytest.mark.parametrize("before, text", CASES, ids=IDS)
def test_a_step_that_fails(tmp_path, before, text, error, often):
    calls = steps(prepared(tmp_path, before, "-whole"), text)
    assert {"open", "write", "fsync"} <= set(calls) <= set(CHANGES)
    for number in range(len(calls)):
        folder = prepared(tmp_path, before, number)
        expected = past(open_files(folder, versions=3), "a")
        check_failure(open_files(folder, versions=3), folder, text, Failing(number, error, often=often), expected)


def check_failure(store, folder, text, failing, expected):
    with failing.in_place():
        try:
            write(store, text)
        except StorageError as error:
            assert isinstance(error, StorageFull) == (failing.error in FULL)
            assert error.status == (507 if failing.error in FULL else 503)
            assert isinstance(error.__cause__, OSError)
        else:
            # Only dropping old versions and drafts may fail unnoticed: it is done after the write, and again later.
            assert {"exchange", "rename"} & {*failing.seen[:failing.at]} or not text and "unlink" in failing.seen
            expected = after(expected, text)
    found = past(store, "a")
    if found != expected:
        # The undoing failed as well: then the write is there as a whole.
        assert failing.often and found == after(expected, text)
    for following in ("8", None, "9"):
        if following or found[0][1] is not None:
            write(store, following)
            found = after(found, following)
            assert not any(name.endswith(durable.DRAFT_SUFFIX) for name in files_below(folder))
    assert past(store, "a") == found


def after(history, text):
    """What a write makes of a history with a limit of 3."""
    version = history[0][0] + 1 if history else 1
    return [item for item in [(version, text), *history] if item[0] >= version - 3]


@pytest.mark.parametrize("before, text", CASES, ids=IDS)
def test_writes_that_take_only_a_part_are_gone_on_with(folder, before, text):
    before(folder)
    store = open_files(folder, versions=3)
    expected = after(past(store, "a"), text)
    with Failing(short=True).in_place() as failing:
        write(store, text)
    assert past(open_files(folder, versions=3), "a") == expected
    assert failing.seen.count("write") >= 2


def test_reading_goes_on_while_nothing_can_be_written(folder):
    full_segment(folder)
    store = open_files(folder, versions=3)
    for number in range(5):
        with Failing(0, errno.ENOSPC, often=True).in_place(), pytest.raises(StorageFull):
            put(store, "a", LONG)
        assert past(store, "a", limit=1) == [(7, "7")]
        assert len(store.items(THINGS).items) == 1


@pytest.mark.parametrize("at", range(4))
def test_a_folder_that_cannot_be_tidied_up_is_told_once_more(folder, at):
    one_version(folder)
    store = open_files(folder)
    with Failing(at, errno.EIO).in_place(), pytest.raises(StorageError):
        store.items(THINGS)
        put(store, "a")
    assert len(store.items(THINGS).items) == 1
    assert put(store, "a").version == 2


FILL_UP = """
import resource, signal, sys
from storekit import open_files, past, put
from deploymetrics.errors import StorageFull

store = open_files(sys.argv[1])
put(store, "a", "1")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
for limit in range(0, 3000, 37):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    history = past(store, "a")
    try:
        put(store, "a", '"%s"' % ("x" * 2000))
    except StorageFull:
        assert past(store, "a") == history
    else:
        assert len(past(store, "a")) == len(history) + 1
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
version = past(store, "a")[0][0]
assert put(store, "a").version == version + 1
assert [item[0] for item in past(store, "a")] == list(range(version + 1, 0, -1))
"""


def test_files_that_may_not_grow(folder):
    """The limit of the process for files is the full disk that everybody can have."""
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    run_script(FILL_UP, folder)
    assert not any(name.endswith(durable.DRAFT_SUFFIX) for name in files_below(folder))


def run_script(script, *args):
    paths = [path for path in sys.path if path]
    command = [sys.executable, "-c", f"import sys; sys.path[:0] = {paths!r}\n{script}", *map(str, args)]
    subprocess.run(command, check=True, timeout=120)


@pytest.fixture
def small_disk(tmp_path):
    """A disk of its own of half a MiB, where one may be mounted."""
    path = tmp_path / "disk"
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", path]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting a small disk is not allowed")
    yield path
    subprocess.run(["umount", path], check=True)


def test_a_disk_that_is_really_full(small_disk):
    store = open_files(small_disk / "instance")
    history = []
    with pytest.raises(StorageFull):
        while True:
            put(store, "a", LONG)
            history = past(store, "a")
    for number in range(10):
        with pytest.raises(StorageFull):
            put(store, "a", LONG)
        assert past(store, "a") == history
    assert not any(name.endswith(durable.DRAFT_SUFFIX) for name in files_below(small_disk))
    sorted((small_disk / "instance/history/things/a").iterdir())[0].unlink()
    assert put(store, "a", LONG).version == history[0][0] + 1


class FailingReads(Failing):
    """Fails to read files."""

    def __getattr__(self, name):
        if name == "read":
            return self.read
        return super().__getattr__(name)

    def read(self, *args):
        raise OSError(self.error, "no")


@pytest.mark.parametrize("error, raised", [(errno.EIO, DamagedItem), (errno.ENOMEM, StorageError)])
def test_a_file_that_cannot_be_read_is_not_taken_for_none(folder, error, raised):
    one_version(folder)
    store = open_files(folder)
    for attempt in (store.read, store.history):
        with FailingReads(error=error).in_place(), pytest.raises(StorageError) as caught:
            attempt(THINGS, "a")
        assert type(caught.value) is raised
    with FailingReads(error=error).in_place(), pytest.raises(StorageError):
        put(store, "a", "2")
    assert past(store, "a") == [(1, "1")]
