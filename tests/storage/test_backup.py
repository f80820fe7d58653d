"""Copies of the instance folder, made file by file while others write, and put in place under a running server."""

import os
import random
import shutil
import time

import pytest
from storekit import THINGS, listed, metrics, open_files, past, put, remove

from deploymetrics.storage.files import disk, listing

KEYS = "abcd"
LIMITS = {"versions": 40, "hourly_days": 2, "daily_days": 10}
#: A file has so many versions with these limits.
FILE_VERSIONS = 5


class Backup:
    """Copies the files that a folder has now, one at each call, in an order that ``random`` gives."""

    def __init__(self, source, target, seed):
        self.source, self.target = source, target
        self.random = random.Random(seed)
        self.paths = [os.path.join(at, name) for at, _, names in os.walk(source) for name in names]
        self.random.shuffle(self.paths)

    def step(self):
        if self.paths:
            path = self.paths.pop()
            to = self.target / os.path.relpath(path, self.source)
            to.parent.mkdir(parents=True, exist_ok=True)
            try:
                shutil.copyfile(path, f"{to}~rsync")
            except FileNotFoundError:  # it is not there any more
                return
            os.rename(f"{to}~rsync", to)


def copy_over(source, target):
    for path in source.iterdir():
        shutil.copyfile(path, target / path.name)


def copy_anew(source, target):
    shutil.rmtree(target)
    shutil.copytree(source, target)


def write_some(store, clock, number, keys=KEYS):
    for count in range(number):
        clock.forward(minutes=17)
        for key in keys:
            if count % 11 == 5:
                remove(store, key)
            else:
                put(store, key, f'"{key}{count}"')


@pytest.mark.parametrize("seed", range(6))
def test_a_copy_in_any_order_while_others_write_has_all_of_before(folder, tmp_path, clock, monkeypatch, seed):
    store, target = open_files(folder, clock, **LIMITS), tmp_path / "copy"
    write_some(store, clock, 300 + seed)
    before = {key: past(store, key) for key in KEYS}
    backup = Backup(folder, target, seed)
    write_at = disk.write_at

    def write_in_halves(fd, data, offset):
        half = backup.random.randrange(len(data) + 1)
        write_at(fd, data[:half], offset)
        if backup.random.random() < 0.4:
            backup.step()
        write_at(fd, data[half:], offset + half)

    with monkeypatch.context() as patched:
        patched.setattr(disk, "write_at", write_in_halves)
        for _ in range(FILE_VERSIONS):  # each key, so often as a file has versions; see the page on architecture
            write_some(store, clock, 1)
            for _ in range(len(backup.paths) // 5):
                backup.step()
    while backup.paths:
        backup.step()

    copy = open_files(target, clock, **LIMITS)
    for key in KEYS:
        after = dict(past(store, key))
        found = past(copy, key)
        assert [version for version, _ in found] == sorted({version for version, _ in found}, reverse=True)
        assert {pair for pair in before[key] if pair[0] in after} <= set(found)
        assert found[0][0] >= before[key][0][0]
        assert all(after[version] == text for version, text in found if version in after)
        item = copy.read(THINGS, key)
        assert found[0][1] == (item and metrics(item))
        assert put(copy, key).version == found[0][0] + 1
    assert [key for key, sentence in copy.verify(THINGS, repair=True) if "copy" not in sentence] == []


@pytest.mark.parametrize("seed", range(12))
def test_a_copy_that_is_put_in_place_under_a_running_server_is_served(folder, tmp_path, clock, monkeypatch, seed):
    monkeypatch.setattr(listing, "RECHECK_SECONDS", 0)
    source, running = open_files(tmp_path / "source", clock, **LIMITS), open_files(folder, clock, **LIMITS)
    write_some(source, clock, 20)
    for key in ("a", "b") if seed % 2 else ():
        put(running, key)
    backup = Backup(tmp_path / "source", folder, seed)
    while backup.paths:
        assert running.items(THINGS).damaged == ()
        for key in KEYS:
            running.read(THINGS, key)
        backup.step()
    for key in KEYS:
        assert running.read(THINGS, key) == source.read(THINGS, key)
        assert past(running, key) == past(source, key)
    assert running.items(THINGS).revision == source.items(THINGS).revision
    assert listed(running) == listed(source)
    for key in KEYS:
        shutil.rmtree(folder / "data/things" / key)
        assert key not in [item.key for item in running.items(THINGS).items]
        assert running.read(THINGS, key) is None


@pytest.mark.parametrize("put_in_place", [copy_over, copy_anew], ids=["over", "anew"])
def test_a_document_that_is_written_on_after_it_was_put_back_is_served(folder, tmp_path, monkeypatch, put_in_place):
    monkeypatch.setattr(listing, "RECHECK_SECONDS", 0)
    store, other = open_files(folder), open_files(folder)
    log, backup = folder / "data/things/a", tmp_path / "a"
    for _ in range(5):
        before = put(store, "a").version
        shutil.rmtree(backup, ignore_errors=True)
        shutil.copytree(log, backup)
        put(store, "a", "4")
        assert metrics(other.read(THINGS, "a")) == listed(other)["a"] == "4"
        put_in_place(backup, log)
        time.sleep(0.02)  # more than a step of the kernel's clock
        assert put(store, "a", "5").version == before + 1  # a line of the same length
        assert metrics(other.read(THINGS, "a")) == listed(other)["a"] == "5"
        assert past(other, "a") == past(store, "a")
