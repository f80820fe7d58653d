"""System calls that fail, at every step of every operation: an error that says so, nothing lost, no restart."""

import errno
import logging
import os
import re

import pytest
from conftest import HeldClock
from storekit import PLAIN, THINGS, VOLATILE, newest_file, open_files, past, put, put_together

from deploymetrics.errors import StorageError, StorageFullError

from . import check
from .check import Work, carry_out, intended, view
from .record import Failing, FailingRecorder, Filling

LONG = '"%s"' % ("x" * 20_000)
#: Errors, and whether they last.
FAULTS = [
    (errno.ENOSPC, False),
    (errno.EIO, False),
    (errno.ENOSPC, True),
    (errno.EIO, True),
    (errno.EROFS, True),
    (errno.EMFILE, True),
    (errno.EACCES, True),
]
IDS = [f"{errno.errorcode[error]}-{'lasting' if lasts else 'once'}" for error, lasts in FAULTS]
MANY = [("a", str(number)) for number in range(1, 5)]
#: What is there before, and the operation that meets the fault, which is the last step.
CASES = {
    "creation": Work([("b", "1"), ("a", "1")]),
    "the first of all": Work([("a", "1")]),
    "write": Work([("a", "1"), ("a", LONG)]),
    "writes together": Work([("a", "1"), ("a", ("2", LONG))]),
    "write that thins out": Work(MANY, limits={"versions": 1}),
    "deletion": Work([("a", "1"), ("a", None)]),
    "creation after a deletion": Work([("a", "1"), ("a", None), ("a", "3")]),
    "deletion without history": Work([("a", "1"), ("a", None)], PLAIN),
    "write without history": Work([("a", "1"), ("a", "2")], PLAIN),
    "write without history that begins a file": Work([("a", '"%s"' % ("x" * 2**18)), ("a", "2")], PLAIN),
    "write that is not durable": Work([("a", "1"), ("a", "2")], VOLATILE),
    "restore": Work([("b", "1"), ("a", ["1", None, "3"])]),
    "purge of one version": Work([*MANY, ("a", 2)]),
    "purge": Work([*MANY, ("a", 0)]),
}


@pytest.fixture(scope="module")
def seen():
    """The states that were checked and are good."""
    return check.Seen()


@pytest.fixture
def root():
    with check.folder() as path:
        yield path


class Met:
    """An instance on which the last step of a Work meets a fault, and what comes of it."""

    def __init__(self, work, root, failing):
        self.work, self.failing = work, failing
        self.instance = root / work.below
        self.store = open_files(self.instance, HeldClock(), **work.limits)
        for key, what in work.steps[:-1]:
            carry_out(self.store, work.collection, key, what)
        self.key, self.what = work.steps[-1]
        self.before = view(self.store, work.collection, self.key)
        self.after = intended(self.before, self.what, work.collection)

    def attempt(self):
        """Return what may be there when the step was carried out under the fault."""
        try:
            carry_out(self.store, self.work.collection, self.key, self.what)
        except StorageFullError as error:
            assert self.failing.error == errno.ENOSPC and error.status == 507
            return [self.before]
        except StorageError as error:
            assert error.status == 503
            # Some writes are more than one step; and where the fault lasts, undoing one fails as well.
            is_known = not self.failing.lasts and not isinstance(self.what, (int, list))
            return [self.before] if is_known else [self.before, self.after]
        return [self.after]

    def read_meanwhile(self, allowed):
        """See that a reader gets what may be there, or an error that says so."""
        try:
            assert self.is_one_of(view(self.store, self.work.collection, self.key), allowed)
        except (StorageError, check.Violation):
            pass  # some are about what cannot be read now

    def see(self, allowed):
        """See what is there when the fault is over, here and in another process, and go on."""
        found = check.history(self.store, self.work.collection, self.key)
        assert self.is_one_of(found, allowed), (found, allowed)
        if len(allowed) > 1 and found != self.before:
            # Undoing failed as well, so a list may not have been told; the next write of the key tells it.
            carry_out(self.store, self.work.collection, self.key, "0")
        found = view(self.store, self.work.collection, self.key)
        other = open_files(self.instance, HeldClock(), **self.work.limits)
        assert view(other, self.work.collection, self.key) == found
        check.go_on(self.store, self.work.collection, self.key, self.instance, found)
        assert list(self.store.verify(self.work.collection)) == []

    def is_one_of(self, found, allowed):
        """Return True if that may be there; where old ones are removed, some of them may be."""
        is_partial = self.work.limits != check.LIMITS or isinstance(self.what, int)
        return any(found[:1] == one[:1] and (found == one or is_partial) for one in allowed)


def open_files_below(root):
    found = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            path = os.readlink(f"/proc/self/fd/{fd}")
        except OSError:
            continue
        if path.startswith(f"{root}/") and "/.changes" not in path:
            found.append(path)
    return found


@pytest.mark.parametrize("error, lasts", FAULTS, ids=IDS)
@pytest.mark.parametrize("name", CASES)
def test_a_step_that_fails(name, error, lasts, caplog):
    caplog.set_level(logging.INFO)
    number = 0
    while number >= 0:
        with check.folder() as root:
            failing = Failing(root)
            met = Met(CASES[name], root, failing)
            caplog.clear()
            failing.begin(number, error, lasts=lasts)
            with failing.in_place():
                allowed = met.attempt()
                warnings = [record for record in caplog.records if "purged" not in record.message]
                assert len(warnings) <= (2 if lasts else 1), warnings  # the copy, and what was to be thinned out
                is_met = bool(failing.failed)
                if lasts:
                    met.read_meanwhile(allowed)
            assert open_files_below(root) == []
            met.see(allowed)
            check.close_below(root)
        number = number + 1 if is_met else -1


@pytest.mark.parametrize("name", CASES)
def test_success_under_a_fault_is_durable(seen, name):
    """A sync that failed and was not told of would lose the write with the next power loss."""
    for number in range(100):
        with check.folder() as root:
            failing = FailingRecorder(root)
            with failing.in_place():
                work = CASES[name]
                try:
                    met = Met(work, root, failing)
                    failing.begin(number, errno.EIO, lasts=False)
                    carry_out(met.store, work.collection, met.key, met.what)
                    failing.end()
                    found = view(met.store, work.collection, met.key)
                except StorageError:
                    continue
                finally:
                    check.close_below(root)
            if not failing.failed:
                return
            failing.note("begin", met.key, met.what, {"is": met.before})
            failing.note("end", met.key, "attempt", found)
            check.check(work, failing, seen, only_last=True)


@pytest.mark.parametrize("name", CASES)
def test_writes_that_take_only_a_part_are_gone_on_with(root, name):
    failing = Failing(root, is_short=True)
    with failing.in_place():
        met = Met(CASES[name], root, failing)
        assert met.attempt() == [met.after] or met.work.steps == MANY
        met.see([met.after])


@pytest.mark.parametrize("number", range(12))
def test_a_list_that_failed_is_right_when_the_fault_is_over(root, number):
    """Also where it had to look at everything, or at what others wrote."""
    ours, theirs = open_files(root / "instance"), open_files(root / "instance")
    put(theirs, "a", "1")
    ours.items(THINGS)
    failing = Failing(root)
    for change in (lambda: put(theirs, "a", "2"), lambda: os.unlink(root / "instance/data/things/.changes")):
        change()
        put(theirs, "b", "1")
        with failing.in_place():
            failing.begin(number, errno.EMFILE, lasts=False)
            try:
                ours.items(THINGS)
            except StorageError:
                pass
        assert [item.revision for item in ours.items(THINGS).items] == [
            theirs.read(THINGS, key).revision for key in ("a", "b")
        ]


@pytest.mark.parametrize("number", range(12))
@pytest.mark.parametrize("work", ["read", "list", "write"])
def test_what_another_process_wrote_is_not_missed(root, work, number):
    """Where it cannot be said whether there is a later file, that is an error, and no answer."""
    ours, theirs = (open_files(root / "instance", versions=8) for _ in range(2))
    put(ours, "a", "1")
    put(theirs, "b", "1")
    ours.items(THINGS), ours.read(THINGS, "a"), ours.read(THINGS, "b")
    for key in "ab":
        put(theirs, key, "2")
    version = {
        "read": lambda key: ours.read(THINGS, key).version,
        "list": lambda key: {item.key: item.version for item in ours.items(THINGS).items}.get(key, 2),  # else damaged
        "write": lambda key: put(ours, key, "3").version - 1,
    }[work]
    failing = Failing(root)
    with failing.in_place():
        failing.begin(number, errno.EIO, lasts=False)
        for key in "ab":
            try:
                assert version(key) == 2
            except StorageError:
                pass
    for key in "ab":
        assert version(key) >= 2
        assert [number for number, _ in past(theirs, key)] == list(range(theirs.read(THINGS, key).version, 0, -1))


def write_on_a_disk_that_takes(number, what, seen):
    """Return what ``number`` bytes add to a file, and the outcomes of the writes; see that a part changes nothing.

    Not even where a power loss comes next.
    """
    work = Work([("a", "1"), ("a", what)])
    with check.folder() as root:
        filling = Filling(root)
        with filling.in_place():
            store = open_files(root / work.below, HeldClock(), **work.limits)
            put(store, "a", "1")
            path = newest_file(root / work.below, "things", "a")
            size, before = path.stat().st_size, view(store, THINGS, "a")
            filling.note("begin", "a", "1", {"is": before})
            filling.note("end", "a", "1", before)
            filling.takes = number
            outcomes = put_together(store, "a", what)
            added = path.read_bytes()[size:]
            if all(isinstance(outcome, StorageFullError) for outcome in outcomes):
                assert view(store, THINGS, "a") == before
                check.check(work, filling, seen, only_last=True)
        check.close_below(root)
        return added, outcomes


@pytest.mark.parametrize("what", [("2",), ("2", LONG, "4"), ("2", None, "4")], ids=["one", "together", "a deletion"])
def test_nothing_is_stored_of_a_part_that_a_full_disk_keeps(seen, what):
    """Also where it ends between two versions."""
    line = write_on_a_disk_that_takes(None, what, seen)[0].removesuffix(b"\n")
    ends = {match.end() for match in re.finditer(b"}(?=\r|$)", line)}
    assert len(ends) == len(what)
    places = {0, 1, 2, len(line) // 2}.union(*({end - 1, end, end + 1} for end in ends))
    for number in sorted(places - {len(line) + 1}):
        added, outcomes = write_on_a_disk_that_takes(number, what, seen)
        assert added == line[:number]
        assert {type(outcome) for outcome in outcomes} == {StorageFullError if number < len(line) else StorageError}


def test_reading_goes_on_while_the_disk_is_full(root):
    failing = Failing(root)
    store = open_files(root / "instance")
    put(store, "a", "1")
    for _ in range(3):
        with failing.in_place():
            failing.begin(0, errno.ENOSPC, lasts=True)
            with pytest.raises(StorageFullError):
                put(store, "a", LONG)
            failing.end()
        assert past(store, "a") == [(1, "1")]
        assert len(store.items(THINGS).items) == 1
    assert put(store, "a").version == 2
