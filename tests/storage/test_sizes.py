"""Long histories of large values go through little memory, on every backend."""

import tracemalloc

import pytest
from storekit import Thing, put, value

from deploymetrics.storage import Collection
from deploymetrics.storage.files.version_log import FILE_BYTES

QUICK = Collection("quick", Thing, history=True, durable=False)
#: Each value fills a file of its own, and is a lot beside what else a storage remembers.
SIZE = 2 * FILE_BYTES
TEXT = '"%s"' % ("x" * SIZE)
NUMBER = 130
#: Some values at once; the whole history is more than ten times as much.
BOUND = 12 * SIZE


@pytest.fixture
def traced():
    """A function that gives the most memory that was in use since the test began."""
    tracemalloc.start()
    yield lambda: tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()


def test_a_history_goes_version_by_version(reopen, traced):
    store = reopen()
    for _ in range(NUMBER):
        put(store, "a", TEXT, collection=QUICK)
    for oldest_first in False, True:
        assert sum(1 for _ in store.history(QUICK, "a", oldest_first=oldest_first)) == NUMBER
    assert store.version(QUICK, "a", 3).version == 3
    items = (item._replace(value=value("b", TEXT), key="b") for item in store.history(QUICK, "a", oldest_first=True))
    assert store.restore(QUICK, "b", items)
    assert list(store.verify(QUICK)) == []
    assert store.purge(QUICK, "b", "alice") == NUMBER
    assert store.trim(QUICK, "a") == 0
    assert traced() < BOUND


def test_thinning_goes_version_by_version(reopen, clock, traced):
    store = reopen(versions=10, hourly_days=1, daily_days=3)
    for _ in range(60):
        clock.forward(hours=1)
        put(store, "a", TEXT, collection=QUICK)
    assert store.version(QUICK, "a", 1) is None
    assert traced() < BOUND
