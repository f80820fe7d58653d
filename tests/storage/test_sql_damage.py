"""What somebody did to the tables by hand: it is named, it is not served, and it costs only what was touched."""

import pytest
import sqlalchemy
from storekit import PLAIN, THINGS, past, put

from deploymetrics.clock import Clock
from deploymetrics.errors import DamagedItemError
from deploymetrics.storage import Retention, open_storage
from deploymetrics.storage.sql import schema
from deploymetrics.storage.sql.address import Address


@pytest.fixture
def store(database):
    """A storage with two versions of a and one of b."""
    schema.init(Address(database))
    store = open_storage(database, "", Clock(), Retention())
    for key in "aab":
        put(store, key)
    assert found(store) == {}
    return store


@pytest.fixture
def by_hand(database, postgresql):
    """Carry out a statement on the tables."""
    return lambda statement: postgresql.ask(statement, sqlalchemy.make_url(database).database)


def found(store, collection=THINGS):
    return dict(store.verify(collection))


UNREADABLE = {
    "another key": "value = convert_to('{\"tag\":\"b\",\"metrics\":1}', 'UTF8')",
    "no JSON": "value = 'x'",
    "no UTF-8": r"value = '\xff'",
    "no time": "changed_at = 'yesterday'",
    "no version": "version = 0",
}


@pytest.mark.parametrize("change", UNREADABLE.values(), ids=UNREADABLE)
def test_what_cannot_be_read_is_damaged_and_left_alone(store, by_hand, change):
    by_hand(f"UPDATE items SET {change}, revision = 'x' WHERE collection = 'things' AND key = 'a'")
    with pytest.raises(DamagedItemError, match="'a' of things is damaged"):
        store.read(THINGS, "a")
    with pytest.raises(DamagedItemError):
        put(store, "a")
    assert set(found(store)) == {"a"}
    assert put(store, "b").version == 2 and past(store, "b")


def test_a_value_that_was_changed_is_named(store, by_hand):
    by_hand("UPDATE versions SET value = convert_to('{\"tag\":\"a\",\"metrics\":2}', 'UTF8')")
    assert "its revision is another" in found(store)["a"]


@pytest.mark.parametrize(
    "statement, sentence",
    [
        ("DELETE FROM items WHERE key = 'a'", "not followed by a newest one"),
        ("UPDATE items SET shard = (shard + 1) % 128 WHERE key = 'a'", "where no list looks"),
    ],
)
def test_rows_that_do_not_go_together_are_named(store, by_hand, statement, sentence):
    by_hand(statement)
    (text,) = found(store).values()
    assert sentence in text


def test_a_collection_is_judged_alone(store, by_hand):
    put(store, "a", collection=PLAIN)
    by_hand("UPDATE items SET value = 'x' WHERE collection = 'plain'")
    assert set(found(store, PLAIN)) == {"a"} and found(store) == {}
