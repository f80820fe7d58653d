"""Concurrent reads and conditional writes over several processes are as if one came after another, for each tag."""

import json
import os
import random
import time

import pytest
from linearizability import Seen, violations
from storekit import SPAWN, in_threads

from deploymetrics.clock import Clock
from deploymetrics.documents.service import ANY, Condition, Service
from deploymetrics.errors import NotFound, PreconditionFailed
from deploymetrics.formats import rawjson
from deploymetrics.storage import open_storage

TAGS = "abc"
TIMES = 60


def client(folder, number, stale, report):
    """The body of a process: four threads read, list and write, also on a condition; what they saw goes to a file."""
    seen = {tag: [] for tag in TAGS}
    service = Service(open_storage("files:", folder, Clock(), history_versions=10_000, history_days=400))
    if stale:
        plant_stale_cache(service.store)
    in_threads(4, lambda: [step(service, random.choice(TAGS), seen) for _ in range(TIMES)])
    with open(report, "w") as file:
        json.dump(seen, file)


def plant_stale_cache(store):
    """The bug that is to be found: what was read is believed for a while, whatever other processes do."""
    kept, real = {}, store.read

    def read(kind, key):
        until, item = kept.get(key, (0, None))
        if time.monotonic() > until:
            item = real(kind, key)
            kept[key] = time.monotonic() + 0.02, item
        return item

    store.read = read


def step(service, tag, seen):
    called = time.monotonic()
    kind = random.choice(["read", "list", "write", "conditional"])
    if kind == "read":
        operation = read_operation(called, get(service, tag))
    elif kind == "list":
        listed = {item.key: item for item in service.list().items}
        operation = read_operation(called, listed.get(tag))
    else:
        operation = written(service, tag, called, conditional=kind == "conditional")
    if operation:
        seen[tag].append(operation)


def get(service, tag):
    try:
        return service.get(tag)
    except NotFound:
        return None


def read_operation(called, item):
    value = item and str(dict(rawjson.parse(item.value))["metrics"])
    return Seen(called, time.monotonic(), "read", item.version if item else 0, value)


def written(service, tag, called, *, conditional):
    value = f"{os.getpid()}-{random.getrandbits(60)}"
    current = get(service, tag) if conditional else None
    condition = Condition(match={current.etag}) if current else ANY
    called = time.monotonic()
    try:
        item = service.save(tag, rawjson.quote(value).encode(), "alice", condition)
    except PreconditionFailed:
        return None
    return Seen(called, time.monotonic(), "write", item.version, value, current and current.version)


def run(tmp_path, stale=False):
    """The operations of all clients, by tag."""
    reports = [tmp_path / f"report{number}" for number in range(3)]
    processes = [
        SPAWN.Process(target=client, args=(tmp_path / "instance", number, stale, report))
        for number, report in enumerate(reports)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    found = [json.loads(report.read_text()) for report in reports]
    return {tag: [Seen(*one) for seen in found for one in seen[tag]] for tag in TAGS}


def test_what_the_clients_saw_can_have_happened_in_order(tmp_path):
    seen = run(tmp_path)
    assert {tag: list(violations(operations)) for tag, operations in seen.items()} == {tag: [] for tag in TAGS}
    assert all(sum(one.kind == "write" for one in operations) > 20 for operations in seen.values())


def test_a_stale_cache_is_found(tmp_path):
    seen = run(tmp_path, stale=True)
    assert any("after version" in text for operations in seen.values() for text in violations(operations))


# The checker itself


def write(called, returned, version, value, based_on=None):
    return Seen(called, returned, "write", version, value, based_on)


def read(called, returned, version, value):
    return Seen(called, returned, "read", version, value)


GOOD = {
    "nothing": [],
    "empty": [read(0, 1, 0, None)],
    "in turn": [write(0, 1, 1, "a"), read(2, 3, 1, "a"), write(4, 5, 2, "b", 1), read(6, 7, 2, "b")],
    "an overlap seen early": [write(0, 1, 1, "a"), write(2, 9, 2, "b"), read(3, 4, 2, "b"), read(5, 6, 2, "b")],
    "an overlap seen late": [write(0, 1, 1, "a"), write(2, 9, 2, "b"), read(3, 8, 1, "a")],
    "overlapping writes": [write(0, 9, 2, "b"), write(1, 8, 1, "a"), read(2, 3, 1, "a"), read(4, 5, 2, "b")],
    "no answer, and seen": [write(0, 9, None, "a"), read(1, 2, 1, "a")],
    "no answer, and not seen": [write(0, 9, None, "a"), read(1, 2, 0, None)],
    "no answer, and written over": [write(0, 1, None, "a"), write(2, 3, 2, "b")],
}
BAD = {
    "a stale read": [write(0, 1, 1, "a"), write(2, 3, 2, "b"), read(4, 5, 1, "a")],
    "a read that goes back": [write(0, 1, 1, "a"), write(2, 9, 2, "b"), read(3, 4, 2, "b"), read(5, 6, 1, "a")],
    "a lost first write": [write(0, 1, 1, "a"), read(2, 3, 0, None)],
    "a version twice": [write(0, 1, 1, "a"), write(0, 1, 1, "b")],
    "two on the same": [write(0, 1, 1, "a"), write(2, 5, 2, "b", 1), write(2, 5, 3, "c", 1)],
    "a version left out": [write(0, 1, 1, "a"), write(2, 3, 3, "b")],
    "a value of nobody": [write(0, 1, 1, "a"), read(2, 3, 2, "b")],
    "another value": [write(0, 1, 1, "a"), read(0, 1, 1, "b")],
    "from the future": [read(0, 1, 1, "a"), write(2, 3, 1, "a")],
    "from the future, no answer": [read(0, 1, 1, "a"), write(2, 3, None, "a")],
    "writes in the wrong order": [write(0, 1, 2, "b"), write(2, 3, 1, "a")],
    "a value without a version": [read(0, 1, 0, "a")],
}


@pytest.mark.parametrize("name", GOOD)
def test_the_checker_passes_what_can_be(name):
    assert list(violations(GOOD[name])) == []


@pytest.mark.parametrize("name", BAD)
def test_the_checker_finds_what_cannot_be(name):
    assert list(violations(BAD[name]))
