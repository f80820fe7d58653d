"""Reads, lists and conditional writes of processes that are killed and replaced are as if one came after another.

For each key, and on each file system. The environment variable OPERATIONS is how many there are on each at least.
"""

import json
import multiprocessing
import os
import random
import threading
import time

import pytest
from linearizability import Seen, violations
from storekit import THINGS, in_threads, open_files, past, value

KEYS = "abc"
OPERATIONS = int(os.environ.get("OPERATIONS", "2000"))
EACH_KILL = 200
PROCESSES = 3
THREADS = 4
NEVER = 10.0**12
#: The processes are many, so they begin cheaply; nothing of the storage is open yet where they are forked.
FORK = multiprocessing.get_context("fork")


class Refused(Exception):
    """The item was another one than the write was conditional on."""


def client(folder, report, stale):
    """The body of a process: threads read, list and write; what they are about to do and what they saw goes to a file.

    It may be killed at any time. It ends by itself after a while, and the next one begins with an empty memory.
    """
    store = open_files(folder, versions=10**6)
    if stale:
        plant_stale_memory(store)
    file = os.open(report, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    times = random.randrange(20, 200)
    in_threads(THREADS, lambda: [step(store, random.choice(KEYS), file) for _ in range(times)])


def plant_stale_memory(store):
    """The bug that is to be found: what was read is believed for a while, whatever other processes do."""
    kept, real = {}, store.read

    def read(collection, key):
        until, item = kept.get(key, (0, None))
        if time.monotonic() > until:
            item = real(collection, key)
            kept[key] = time.monotonic() + 0.02, item
        return item

    store.read = read


def step(store, key, file):
    kind = random.choice(["read", "list", "write", "conditional"])
    called = time.monotonic()
    if kind == "read":
        item = store.read(THINGS, key)
        note(file, key, read_operation(called, item, item and item.value))
    elif kind == "list":
        listing = store.items(THINGS)
        returned = time.monotonic()
        listed = {item.key: (item, text) for item, text in zip(listing.items, listing.values(), strict=True)}
        for one in KEYS:
            item, text = listed.get(one, (None, None))
            note(file, one, read_operation(called, item, text)._replace(returned=returned))
    else:
        write(store, key, file, conditional=kind == "conditional")


def note(file, key, operation):
    os.write(file, json.dumps([key, *operation]).encode() + b"\n")


def read_operation(called, item, text):
    text = text and bytes(THINGS.decode(text).metrics).decode()
    return Seen(called, time.monotonic(), "read", item.version if item else 0, text)


def write(store, key, file, *, conditional):
    """Note the write before, as one without an answer, and again after it."""
    text = f'"{os.getpid()}-{threading.get_ident()}-{random.getrandbits(60)}"'
    base = store.read(THINGS, key) if conditional else None

    def change(current, now):
        if base and current != base:
            raise Refused
        return value(key, text)

    operation = Seen(time.monotonic(), NEVER, "write", None, text, base and base.version)
    note(file, key, operation)
    try:
        item = store.write(THINGS, key, "alice", change)
    except Refused:
        note(file, key, operation._replace(kind="refused"))
    else:
        note(file, key, operation._replace(returned=time.monotonic(), version=item.version))


def run(folder, reports, stale=False):
    """Return the operations of all processes by key, and how many processes were killed."""
    processes, kills = [], 0
    try:
        while (done := operations(reports)) < OPERATIONS:
            alive = [process for process in processes if process.is_alive()]
            for _ in range(PROCESSES - len(alive)):
                report = reports / str(len(processes))
                processes.append(FORK.Process(target=client, args=(folder, report, stale), name=str(report)))
                processes[-1].start()
            time.sleep(random.uniform(0, 0.02))
            if done > (kills + 1) * EACH_KILL:
                random.choice([process for process in alive if os.path.exists(process.name)] or processes).kill()
                kills += 1
    finally:
        for process in processes:
            process.kill()
            process.join()
    return by_key(reports), kills


def by_key(reports):
    seen = {key: {} for key in KEYS}
    for report in reports.iterdir():
        # A kill may leave the half of a last line: then what it is about did not begin, or has no answer.
        for key, *operation in map(json.loads, report.read_bytes().split(b"\n")[:-1]):
            one = Seen(*operation)
            seen[key][len(seen[key]) if one.kind == "read" else one.value] = one  # a write's answer, if any
    return {key: [one for one in seen[key].values() if one.kind != "refused"] for key in KEYS}


def operations(reports):
    """Return about how many operations there were."""
    return sum(report.stat().st_size for report in reports.iterdir()) // 100


@pytest.fixture
def reports(tmp_path):
    (tmp_path / "reports").mkdir()
    return tmp_path / "reports"


def test_what_the_clients_saw_can_have_happened_in_order(on_disk, reports):
    seen, kills = run(on_disk, reports)
    assert {key: list(violations(found)) for key, found in seen.items()} == {key: [] for key in KEYS}
    for key, found in seen.items():
        written = dict(past(open_files(on_disk), key))
        assert sorted(written) == list(range(1, len(written) + 1))
        made = {one.version: one.value for one in found if one.version}
        assert made.items() <= written.items()
        assert len(made) > OPERATIONS // 50
    lost = sum(one.version is None for found in seen.values() for one in found)
    print(f"{sum(map(len, seen.values()))} operations, {kills} kills, {lost} writes without an answer")


def test_stale_memory_is_found(folder, reports):
    seen, _ = run(folder, reports, stale=True)
    assert any("after version" in text for found in seen.values() for text in violations(found))


# The checker itself


def written(called, returned, version, value, based_on=None):
    return Seen(called, returned, "write", version, value, based_on)


def read(called, returned, version, value):
    return Seen(called, returned, "read", version, value)


GOOD = {
    "nothing": [],
    "empty": [read(0, 1, 0, None)],
    "in turn": [written(0, 1, 1, "a"), read(2, 3, 1, "a"), written(4, 5, 2, "b", 1), read(6, 7, 2, "b")],
    "an overlap seen early": [written(0, 1, 1, "a"), written(2, 9, 2, "b"), read(3, 4, 2, "b"), read(5, 6, 2, "b")],
    "an overlap seen late": [written(0, 1, 1, "a"), written(2, 9, 2, "b"), read(3, 8, 1, "a")],
    "overlapping writes": [written(0, 9, 2, "b"), written(1, 8, 1, "a"), read(2, 3, 1, "a"), read(4, 5, 2, "b")],
    "no answer, and seen": [written(0, 9, None, "a"), read(1, 2, 1, "a")],
    "no answer, and not seen": [written(0, 9, None, "a"), read(1, 2, 0, None)],
    "no answer, and written over": [written(0, 1, None, "a"), written(2, 3, 2, "b")],
}
BAD = {
    "a stale read": [written(0, 1, 1, "a"), written(2, 3, 2, "b"), read(4, 5, 1, "a")],
    "a read that goes back": [written(0, 1, 1, "a"), written(2, 9, 2, "b"), read(3, 4, 2, "b"), read(5, 6, 1, "a")],
    "a lost first write": [written(0, 1, 1, "a"), read(2, 3, 0, None)],
    "a version twice": [written(0, 1, 1, "a"), written(0, 1, 1, "b")],
    "two on the same": [written(0, 1, 1, "a"), written(2, 5, 2, "b", 1), written(2, 5, 3, "c", 1)],
    "a version left out": [written(0, 1, 1, "a"), written(2, 3, 3, "b")],
    "a value of nobody": [written(0, 1, 1, "a"), read(2, 3, 2, "b")],
    "another value": [written(0, 1, 1, "a"), read(0, 1, 1, "b")],
    "from the future": [read(0, 1, 1, "a"), written(2, 3, 1, "a")],
    "from the future, no answer": [read(0, 1, 1, "a"), written(2, 3, None, "a")],
    "writes in the wrong order": [written(0, 1, 2, "b"), written(2, 3, 1, "a")],
    "a value without a version": [read(0, 1, 0, "a")],
}


@pytest.mark.parametrize("name", GOOD)
def test_the_checker_passes_what_can_be(name):
    assert list(violations(GOOD[name])) == []


@pytest.mark.parametrize("name", BAD)
def test_the_checker_finds_what_cannot_be(name):
    assert list(violations(BAD[name]))
