"""Power loss at every moment: an acknowledged write is there, every other wholly or not at all, nothing to repair."""

import functools
import logging
from datetime import timedelta
from operator import itemgetter

import pytest
from storekit import PLAIN, VOLATILE

from . import check
from .check import Work
from .disk import Disk

LONG = '"%s"' % ("x" * 5000)
#: It fills a file.
HUGE = '"%s"' % ("x" * 2**18)
SOME_TIME, AN_HOUR, A_DAY = timedelta(minutes=25), timedelta(hours=1), timedelta(days=1)
#: Every write begins a file, and thins out.
ONE_BY_ONE = {"versions": 1, "hourly_days": 1, "daily_days": 2}
FORGETFUL = [("a", "1"), ("a", "2"), ("a", None), ("a", LONG), ("b", "1"), ("a", None), ("a", "2"), ("a", LONG)]

WORKS = {
    "own writes, several in a file": Work(
        [
            ("a", "1"),
            ("a", LONG),
            ("b", "1"),
            ("a", "3"),
            ("a", "4"),
            ("a", None),
            ("a", "6"),
            ("b", None),
            ("a", None),
            ("b", "3"),
            ("a", "8"),
        ],
        below="srv/instance",
    ),
    "thinned out": Work(
        [step for n in range(1, 10) for step in (("a", str(n)), (None, SOME_TIME if n % 4 else A_DAY))],
        limits=ONE_BY_ONE,
    ),
    "trimmed": Work(
        [
            *(step for n in range(1, 5) for step in (("a", str(n)), (None, A_DAY if n == 2 else 5 * SOME_TIME))),
            (None, 2 * A_DAY),
            ("a", check.TRIM),
        ],
        limits={"versions": 1, "hourly_days": 1, "daily_days": 800},
    ),
    "together": Work(
        [
            ("a", ("1", "2")),
            ("a", ("3", LONG, "5")),
            ("b", "1"),
            ("a", ("6", None)),
            ("a", ("7", "8", "9")),
            ("a", "10"),
        ]
    ),
    "together, without history": Work(
        [("a", ("1", "2")), ("a", ("3", None)), ("a", ("4", None, LONG)), ("a", ("5", "6")), ("a", (LONG, "8"))], PLAIN
    ),
    "without history": Work(FORGETFUL, PLAIN),
    "without history, in several files": Work([("a", HUGE), ("a", "2"), ("a", "3"), ("a", HUGE), ("a", "5")], PLAIN),
    "not durable": Work(FORGETFUL, VOLATILE),
    "not durable, in several files": Work([("a", HUGE), ("a", "2"), ("a", "3")], VOLATILE),
    "restored": Work(
        [
            ("a", [*"1234567"]),
            ("a", "8"),
            ("b", [*"12", None]),
            ("b", "4"),
            ("c", ["1"]),
            ("c", None),
        ],
        is_purged=True,
    ),
    "purged": Work(
        [
            ("a", "1"),
            ("a", "2"),
            ("a", "3"),
            ("a", 2),
            ("a", "4"),
            ("a", 4),
            ("a", 0),
            ("a", "9"),
            ("b", "77"),
            ("b", 0),
        ],
        is_purged=True,
    ),
}
#: The process is killed in the step of that number, and goes on with the others.
KILLED = {
    "creation": (1, Work([("b", "1"), ("a", "1"), ("a", "2")])),
    "the first of all": (0, Work([("a", "1"), ("a", "2")], below="srv/instance")),
    "write": (1, Work([("a", "1"), ("a", "2"), ("a", "3")])),
    "write that begins a file": (1, Work([("a", "1"), ("a", "2"), ("a", "3")], limits={"versions": 8})),
    "thinning": (
        5,
        Work(
            [
                ("a", "1"),
                ("a", "2"),
                ("a", "3"),
                (None, A_DAY),
                ("a", "4"),
                ("a", "5"),
                ("a", "6"),
            ],
            limits=ONE_BY_ONE,
        ),
    ),
    "thinning that goes on": (
        7,
        Work(
            [step for text in "123456" for step in ((None, AN_HOUR), ("a", text))],
            limits=ONE_BY_ONE,
        ),
    ),
    "writes together": (1, Work([("a", "1"), ("a", ("2", LONG, "4")), ("a", "5")])),
    "deletion": (1, Work([("a", "1"), ("a", None), ("a", "3")])),
    "deletion without history": (1, Work([("a", "1"), ("a", None), ("a", "2")], PLAIN)),
    "write without history": (1, Work([("a", "1"), ("a", LONG), ("a", "3")], PLAIN)),
    "write without history that begins a file": (1, Work([("a", HUGE), ("a", "2"), ("a", "3")], PLAIN)),
    "write that is not durable": (1, Work([("a", "1"), ("a", LONG), ("a", "3")], VOLATILE)),
    "restore": (0, Work([("a", ["1", None, "3"]), ("a", ["1", None, "3"]), ("a", "5")])),
    "restore, then purge": (1, Work([("b", "77"), ("a", [*"12"]), ("a", 0)], is_purged=True)),
    "purge of one version": (2, Work([("a", "7"), ("a", "8"), ("a", 1), ("a", 1)], is_purged=True)),
    "purge": (1, Work([("a", "7"), ("a", 0), ("a", 0)], is_purged=True)),
}


@pytest.fixture(autouse=True)
def no_warnings():
    """Log nothing of what is wrong in a state: there are thousands of them."""
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture(scope="module")
def seen():
    """The states that were checked and are good."""
    return check.Seen()


@pytest.mark.parametrize("name", WORKS)
def test_every_crash_state_is_good(seen, name):
    before = len(seen)
    check.run(WORKS[name], seen)
    assert len(seen) - before > 20 * len(WORKS[name].steps)


@pytest.mark.parametrize("name", KILLED)
def test_a_kill_before_the_power_loss_changes_nothing(seen, name):
    for number in kills(name):
        for is_looked_at in (True, False):
            check.run(KILLED[name][1], seen, kill_at=number, is_looked_at=is_looked_at)


@functools.cache
def kills(name):
    """Return the numbers of the changes that the step makes in which the process is killed."""
    step, work = KILLED[name]
    start, end = (check.changes(work._replace(steps=work.steps[:count])) for count in (step, step + 1))
    return range(start, end + 1)


@pytest.mark.parametrize("name", KILLED)
def test_a_killed_process_leaves_the_others_with_what_is_there(name):
    """In a process that lives on, readers agree, whatever the killed one had told it."""
    step, work = KILLED[name]
    for number in range(len(kills(name))):
        check.kill_beside_another(work, step, number)


def test_each_sync_is_needed(seen):
    """Something is lost without it; after a kill, if need be."""
    runs = [(work, {}) for work in WORKS.values()]
    runs += [(work, {"kill_at": number}) for name, (_, work) in KILLED.items() for number in kills(name)]
    places = {}
    for run in runs:
        recorder = check.record(run[0], **run[1])
        for site in recorder.sites():
            places.setdefault(site, []).append((len(recorder.operations), *run))
    assert len(places) > 5
    assert [site for site in sorted(places) if not is_needed(site, places[site], seen)] == []


def is_needed(site, runs, seen):
    """Return True if something is lost in one of these runs, all that have it, without the sync that is made there."""
    try:
        for _, work, options in sorted(runs, key=itemgetter(0)):
            check.run(work, seen, skip=site, **options)
    except check.Violation:
        return True
    return False


def test_the_disk_knows_what_a_power_loss_does():
    disk = Disk()
    for operation in [("create", 0, "a", 1), ("write", 1, 0, b"one\n"), ("sync", 1), ("write", 1, 4, b"two\n")]:
        disk.apply(*operation)
    found = [state.get("a") for state in disk.states()]
    assert set(found) == {None, b"one\n", b"one\ntwo\n", b"one\nt", b"one\ntw", b"one\ntwo", b"one\n\0\0\0\0"}
    disk.apply("sync", 0)
    disk.apply("sync", 1)
    disk.apply("rename", 0, "a", "b", 1)
    states = {frozenset(state.items()) for state in disk.states()}
    assert states == {frozenset({("a", b"one\ntwo\n")}), frozenset({("b", b"one\ntwo\n")})}
    disk.apply("mkdir", 0, "c", 2)
    disk.apply("create", 2, "d", 3)
    disk.apply("sync", 2)
    assert {"b": b"one\ntwo\n", "c": None, "c/d": b""} in list(disk.states())
    assert {"a": b"one\ntwo\n", "c": None, "c/d": b""} in list(disk.states())
    assert {"a": b"one\ntwo\n"} in list(disk.states())
