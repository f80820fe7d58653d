"""How long versions stay, on every backend, against a list of all of them that the test keeps itself."""

import os
from contextlib import suppress
from datetime import timedelta
from typing import NamedTuple

import pytest
from storekit import THINGS, Thing, metrics, past, put, remove, value, versions

from deploymetrics.clock import as_precise
from deploymetrics.errors import StorageError
from deploymetrics.storage import Collection, Retention

#: Years go by in here, so nothing is synced.
QUICK = Collection("quick", Thing, history=True, durable=False)
YEAR = 365
LIMITS = Retention(40, 3, 20)
OFTEN, SELDOM, HOURLY, DAILY = (timedelta(minutes=minutes) for minutes in (2, 11, 59, 1439))


class Written(NamedTuple):
    version: int
    moment: str
    is_kept: bool


class Oracle:
    """Writes one key of a storage, and knows which of its versions have to be there."""

    def __init__(self, store, clock, limits=LIMITS):
        self.store = store
        self.clock = clock
        self.limits = limits
        self.written = []
        self.may_be_missing = set()

    def write(self, *, kept=False):
        version = len(self.written) + 1
        self.store.write(QUICK, "a", "alice", lambda current, now: value("a", str(version)), kept=kept)
        self.written.append(Written(version, as_precise(self.clock.now()), kept))

    def remove(self):
        self.store.write(QUICK, "a", "alice", lambda current, now: None)
        self.written.append(Written(len(self.written) + 1, as_precise(self.clock.now()), True))

    def expected(self):
        """Return the versions that have to be there."""
        now, limits = self.clock.now(), self.limits
        hourly, daily = (as_precise(now - timedelta(days=days)) for days in limits[1:])
        last_of_hour = set({one.moment[: len("2018-01-12T12")]: one.version for one in self.written}.values())
        last_of_day = set({one.moment[: len("2018-01-12")]: one.version for one in self.written}.values())
        return {
            version
            for version, moment, is_kept in self.written
            if version not in self.may_be_missing
            if version > len(self.written) - limits.versions
            or (moment > hourly and (version in last_of_hour or is_kept))
            or (moment > daily and version in last_of_day)
        }

    def check(self, *, more, reader=None):
        """Compare the history; no more than so many other versions may be there still."""
        history = list((reader or self.store).history(QUICK, "a", oldest_first=True))
        found = [item.version for item in history]
        assert found == sorted(set(found))
        assert self.expected() - set(found) == set()
        assert len(found) <= len(self.expected()) + more
        for item in history:
            one = self.written[item.version - 1]
            assert item.changed_at == one.moment
            assert item.deleted or metrics(item) == str(item.version)


@pytest.fixture
def oracle(reopen, clock):
    return Oracle(reopen(**LIMITS._asdict()), clock)


@pytest.mark.parametrize("step, days", [(OFTEN, 4), (SELDOM, 24), (HOURLY, 75), (DAILY, 2 * YEAR)])
def test_years_are_thinned_out_as_they_go_by(oracle, reopen, clock, step, days):
    number = timedelta(days=days) // step
    for count in range(number):
        oracle.write()
        clock.forward(seconds=step.total_seconds())
        if count % (number // 12) == 0:
            oracle.check(more=LIMITS.versions)
    reader = reopen(**LIMITS._asdict())
    oracle.check(more=LIMITS.versions, reader=reader)
    assert reader.version(QUICK, "a", 1) is None
    for version in oracle.expected():
        assert metrics(reader.version(QUICK, "a", version)) == str(version)
    reader.trim(QUICK, "a")
    oracle.check(more=LIMITS.versions // 2)
    assert reader.trim(QUICK, "a") == 0


def test_what_is_kept_and_what_was_deleted_stay_like_the_last_of_an_hour(oracle, clock):
    for count in range(1500):
        clock.forward(minutes=7)
        if count % 20 == 7:
            oracle.remove()
        else:
            oracle.write(kept=count % 30 == 4)
        if count % 100 == 0:
            oracle.check(more=LIMITS.versions)


@pytest.mark.parametrize("days", [3650, -3650], ids=["ahead", "behind"])
@pytest.mark.parametrize("wrong", range(200, 205))
def test_one_write_under_a_wrong_clock_harms_no_other_version(oracle, clock, wrong, days):
    for count in range(900):
        clock.forward(hours=1)
        if count == wrong:
            clock.forward(days=days)
        oracle.write()
        if count == wrong:
            clock.forward(days=-days)
            oracle.may_be_missing = {wrong + 1}
        if count % 50 == 0:
            oracle.check(more=LIMITS.versions)
    assert min(versions(oracle.store, "a", QUICK)) > 300


@pytest.mark.parametrize("number", [1, 2, 10, 66])
def test_the_newest_versions_stay(reopen, clock, number):
    store = reopen(versions=number, hourly_days=0, daily_days=0)
    for version in range(1, 301):
        store.write(QUICK, "a", "alice", lambda current, now: value("a"))
        found = versions(store, "a", QUICK)
        assert found[:number] == list(range(version, max(0, version - number), -1))
        assert len(found) <= 2 * number + 3


def test_versions_go_on_with_hardly_any_history(reopen):
    store = reopen(versions=1, hourly_days=0, daily_days=0)
    for number in range(70):
        put(store, "a")
        remove(store, "a")
        assert past(store, "a")[0] == (2 * number + 2, None)
    assert put(store, "a").version == 141


def test_an_old_version_stays_while_it_is_the_current_one(reopen, clock):
    store = reopen(versions=1, hourly_days=1, daily_days=1)
    item = put(store, "a")
    clock.forward(days=4000)
    assert store.trim(THINGS, "a") == 0
    assert store.read(THINGS, "a") == item
    assert past(store, "a") == [(1, "1")]


@pytest.mark.parametrize("with_history", [True, False])
def test_a_key_deleted_long_ago_keeps_only_that(reopen, clock, with_history):
    store = reopen(hourly_days=3, daily_days=20)
    for _ in range(150 if with_history else 1):
        put(store, "a")
    remove(store, "a", author="bob")
    count = len(versions(store, "a"))
    clock.forward(days=19)
    store.trim(THINGS, "a")
    assert len(versions(store, "a")) == count
    clock.forward(days=2)
    assert store.trim(THINGS, "a") > 0
    for reader in store, reopen():
        assert [(item.version, item.deleted, item.changed_by) for item in reader.history(THINGS, "a")] == [
            (count, True, "bob"),
        ]
    assert store.trim(THINGS, "a") == 0
    assert put(store, "a").version == count + 1


def test_lowered_limits_are_met_by_trimming(reopen, clock):
    store = reopen()
    for _ in range(900):
        clock.forward(hours=1)
        store.write(QUICK, "a", "alice", lambda current, now: value("a"))
    assert len(versions(store, "a", QUICK)) == 900
    store = reopen(versions=10, hourly_days=1, daily_days=5)
    assert store.trim(QUICK, "a") > 0
    found = versions(store, "a", QUICK)
    assert found[:24] == list(range(900, 876, -1))
    assert 24 + 4 <= len(found) < 24 + 5 + 140  # what was written in large pieces goes in large pieces


def test_trimming_of_what_has_no_history_or_is_not_there(reopen):
    assert reopen().trim(THINGS, "a") == 0
    put(reopen(), "a", collection=QUICK)
    assert reopen().trim(QUICK, "a") == 0


@pytest.mark.parametrize("broken_off", [1, 2, 3])
def test_trimming_that_breaks_off_loses_nothing_of_what_is_thinned_out_later(reopen, clock, monkeypatch, broken_off):
    def unlink(path, **options):
        nonlocal number
        number += 1
        if number >= broken_off:
            raise OSError("broken off")
        real(path, **options)

    real, limits = os.unlink, LIMITS._replace(daily_days=YEAR)
    oracle = Oracle(reopen(**limits._asdict()), clock, limits)
    for count in range(1, 400):
        clock.forward(minutes=5 * 24 * 60 if count % 30 == 0 else 17)
        oracle.write()
        if count % 7 == 0:
            number = 0
            with monkeypatch.context() as patched, suppress(StorageError):
                patched.setattr(os, "unlink", unlink)
                oracle.store.trim(QUICK, "a")
        oracle.check(more=400)


@pytest.mark.parametrize("oldest_first", [False, True])
@pytest.mark.parametrize("already_read", [1, 30])
def test_a_history_that_is_being_read_misses_nothing_that_is_thinned_meanwhile(
    oracle, reopen, clock, oldest_first, already_read
):
    for _ in range(500):
        clock.forward(minutes=20)
        oracle.write()
    before = None if already_read == 1 else 10**17
    reading = reopen().history(QUICK, "a", before, oldest_first=oldest_first)
    found = [next(reading).version for _ in range(already_read)]
    for _ in range(200):
        clock.forward(minutes=20)
        oracle.write()
    found += [item.version for item in reading]
    assert found == sorted(set(found), reverse=not oldest_first)
    assert max(found) <= 500
    assert {version for version in oracle.expected() if version <= 500} - set(found) == set()


def test_a_version_is_purged_wherever_thinning_put_it(oracle, reopen, clock):
    for _ in range(700):
        clock.forward(hours=1)
        oracle.write()
    found = versions(oracle.store, "a", QUICK)
    for version in found[-1], found[-6], found[60], found[41], *found[10:20], found[1]:
        assert oracle.store.purge(QUICK, "a", "alice", version) == 1
        for reader in oracle.store, reopen():
            assert reader.version(QUICK, "a", version) is None
        found.remove(version)
        oracle.may_be_missing.add(version)
        assert versions(oracle.store, "a", QUICK) == found
    for _ in range(200):
        clock.forward(hours=1)
        oracle.write()
    oracle.check(more=LIMITS.versions)
