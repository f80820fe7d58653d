"""The versions of a stretch of time: all of them while that is cheap, then some that are spread over it."""

import random
from datetime import timedelta

import pytest

from deploymetrics.clock import as_precise
from deploymetrics.documents import versions as module
from deploymetrics.documents.service import DOCUMENTS
from deploymetrics.documents.versions import as_of, versions_between
from deploymetrics.storage import Item


@pytest.fixture
def restore(services, clock):
    """Put versions into the storage: (version, minutes after the start) of each; the Items that are there then."""

    def restored(*versions):
        start = clock.now()
        value = b'{"tag":"custom","metrics":%d,"lastChanged":"12 Jan 2018 12:00"}'
        items = [
            Item("custom", value % version, None, version, as_precise(start + timedelta(minutes=minutes)), "bob", "")
            for version, minutes in versions
        ]
        services.store.restore(DOCUMENTS, "custom", items)
        return list(services.store.history(DOCUMENTS, "custom", oldest_first=True))

    return restored


def some_versions(seed):
    """Versions with gaps in their numbers, at times that are not even."""
    chance = random.Random(seed)
    version = minutes = 0
    for _ in range(chance.choice([1, 2, 40])):
        version += chance.choice([1, 1, 1, 50])
        minutes += chance.choice([1, 5, 5000])
        yield version, minutes


@pytest.mark.parametrize("seed", range(8))
def test_the_version_of_any_moment(restore, services, clock, seed):
    items = restore(*some_versions(seed))
    for minutes in range(-1, 300):
        moment = as_precise(clock.now() + timedelta(minutes=minutes, seconds=30))
        expected = [item for item in items if item.changed_at <= moment]
        found = as_of(services.documents, "custom", moment)
        assert (found and found.version) == (expected[-1].version if expected else None), minutes
    assert as_of(services.documents, "custom") == items[-1]


def test_a_moment_is_found_in_few_steps(restore, services, clock, monkeypatch):
    restore(*((version, version * 5) for version in range(1, 5000, 7)))
    history, asked = services.documents.history, []
    monkeypatch.setattr(
        services.documents, "history", lambda *args, **more: (asked.append(args), history(*args, **more))[1]
    )
    assert as_of(services.documents, "custom", as_precise(clock.now() + timedelta(minutes=9000))).version == 1800
    assert len(asked) <= 14


def test_a_stretch_of_time(restore, services, clock):
    items = restore(*((version, version) for version in range(1, 200)))
    since, until = (as_precise(clock.now() + timedelta(minutes=minutes)) for minutes in (50, 60))
    assert versions_between(services.documents, "custom", since, until) == (items[49:60], False)
    assert versions_between(services.documents, "custom") == (items, False)
    assert versions_between(services.documents, "custom", until=as_precise(clock.now())) == ([], False)


def test_of_too_many_versions_some_are_sampled_all_over_the_time(restore, services, monkeypatch):
    items = restore(*((version, version * 10) for version in range(1, 2000)))
    monkeypatch.setattr(module, "MAX_VERSIONS", 100)
    monkeypatch.setattr(module, "SAMPLE", (15, 15))
    found = versions_between(services.documents, "custom")
    assert found.sampled and found.items[-100:] == items[-100:] and found.items[0] == items[0]
    picked = [item.version for item in found.items[:-99]]
    widths = [after - before for before, after in zip(picked, picked[1:])]
    assert len(picked) == 17 and max(widths) <= 2 * min(widths) + 1
    since = items[1000].changed_at
    assert all(item.changed_at >= since for item in versions_between(services.documents, "custom", since).items)


@pytest.mark.parametrize("wrong", [-5_000_000, 5_000_000], ids=["behind", "ahead"])
def test_some_versions_of_a_wrong_clock_hide_no_others(restore, services, clock, wrong):
    items = restore(*((version, version + wrong * (100 <= version < 105)) for version in range(1, 200)))
    right = [*items[49:99], *items[104:150]]
    since, until = (as_precise(clock.now() + timedelta(minutes=minutes)) for minutes in (50, 150))
    assert versions_between(services.documents, "custom", since, until) == (right, False)
    page = services.documents.history("custom", 151, 150, since=since).items
    assert [item for item in page if item.changed_at <= until] == right[::-1]


def test_a_moment_is_found_where_the_clock_was_ahead_at_first(restore, services, clock):
    restore((1, 5_000_000), *((version, version * 10) for version in range(2, 60)))
    for minutes, version in (5, None), (20, 2), (299, 29), (595, 59):
        found = as_of(services.documents, "custom", as_precise(clock.now() + timedelta(minutes=minutes)))
        assert (found and found.version) == version
