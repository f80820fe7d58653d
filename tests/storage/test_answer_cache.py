"""What a process keeps of the database's answers is bounded."""

import pytest

from deploymetrics.storage import Item
from deploymetrics.storage.sql import answer_cache
from deploymetrics.storage.sql.answer_cache import Answer, AnswerCache


@pytest.fixture(autouse=True)
def limits(monkeypatch):
    monkeypatch.setattr(answer_cache, "ITEM_BYTES", 1000)
    monkeypatch.setattr(answer_cache, "ALL_BYTES", 20_000)


def answer(size):
    return Answer(Item("a", b"x" * size, None, 1, "", "", "r"), (1, "1:1:"))


def kept(cache, names):
    return [name for name in names if cache.get(name)]


def test_not_more_than_so_much_is_kept():
    cache, names = AnswerCache(), [("things", str(number)) for number in range(100)]
    for name in names:
        cache.put(name, answer(900))
        assert cache.get(name) and len(kept(cache, names)) <= 10
    cache.put(names[99], answer(900))
    assert len(kept(cache, names)) == 10  # the same again takes no more room


def test_what_is_too_large_takes_the_place_of_nothing_and_of_what_it_was():
    cache, name = AnswerCache(), ("things", "a")
    cache.put(name, answer(10))
    cache.put(name, answer(1001))
    assert cache.get(name) is None
    for number in range(9):
        cache.put(("things", str(number)), answer(900))
    assert len(kept(cache, [("things", str(number)) for number in range(9)])) == 9
