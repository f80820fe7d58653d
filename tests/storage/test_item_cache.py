"""What a process keeps of the items that it read is bounded."""

import pytest

from deploymetrics.storage import item_cache
from deploymetrics.storage.item_cache import ItemCache


@pytest.fixture(autouse=True)
def limits(monkeypatch):
    monkeypatch.setattr(item_cache, "ITEM_BYTES", 1000)
    monkeypatch.setattr(item_cache, "ALL_BYTES", 26_000)


def kept(cache, names):
    return [name for name in names if cache.get(name)]


def test_not_more_than_so_much_is_kept():
    cache, names = ItemCache(), [("things", str(number)) for number in range(100)]
    for name in names:
        cache.put(name, "x", 900)
        assert cache.get(name) and len(kept(cache, names)) <= 10
    cache.put(names[99], "y", 900)
    assert kept(cache, names) == names[90:]  # the same again takes no more room
    assert cache.get(names[99]) == "y"


def test_what_is_too_large_takes_the_place_of_nothing_and_of_what_it_was():
    cache, name = ItemCache(), ("things", "a")
    cache.put(name, "x", 10)
    cache.put(name, "x", 1001)
    assert cache.get(name) is None
    for number in range(9):
        cache.put(("things", str(number)), "x", 900)
    assert len(kept(cache, [("things", str(number)) for number in range(9)])) == 9
