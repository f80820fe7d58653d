"""What workers see of each other's writes, purges and deletions, in any order, against a model of it."""

import random

import pytest
from storekit import Thing, listed, metrics, put, remove, versions

from deploymetrics.storage import Collection, item_cache
from deploymetrics.storage.files import listing

QUICK = Collection("quick", Thing, history=True, durable=False)
STEPS = 300
ACTIONS = {
    "put": 8,
    "read": 2,
    "list": 1,
    "history": 1,
    "one": 6,
    "all": 0.3,
    "remove": 0.5,
    "trim": 0.5,
    "restart": 0.3,
}


class Model:
    """One key: its newest version, the text of that, None if it is a deletion, and what was purged."""

    def __init__(self):
        self.version = 0
        self.text = None
        self.purged = set()

    def write(self, text):
        self.version += 1
        self.text = text

    def versions(self, limit):
        """Those of the newest versions that are not purged, newest first."""
        newest = range(self.version, max(0, self.version - limit), -1)
        return [version for version in newest if version not in self.purged]

    def purge(self, first, end):
        if self.text is not None and end > self.version:
            self.write(None)
        self.purged |= set(range(first, min(end, self.version)))


@pytest.mark.parametrize("limit", [8, 24, 1000])
@pytest.mark.parametrize("seed", range(4))
def test_each_worker_sees_what_the_others_did(reopen, monkeypatch, seed, limit):
    monkeypatch.setattr(listing, "SAVED_KEYS", 3)
    monkeypatch.setattr(listing, "UNKNOWN_KEYS", 3)
    monkeypatch.setattr(item_cache, "ALL_BYTES", 2**24 if seed % 2 else 3500)
    chance, models = random.Random(seed), {"a": Model()}
    workers = [reopen(versions=limit, hourly_days=1) for _ in range(3)]
    for _ in range(STEPS):
        number, key = chance.randrange(3), "a"
        store, model = workers[number], models[key]
        (action,) = chance.choices([*ACTIONS], [*ACTIONS.values()])
        match action:
            case "put":
                model.write(str(chance.randrange(10)))
                assert put(store, key, model.text, collection=QUICK).version == model.version
            case "read":
                item = store.read(QUICK, key)
                assert (
                    item is None if model.text is None else (item.version, metrics(item)) == (model.version, model.text)
                )
            case "list":
                assert listed(store, QUICK) == {one: models[one].text for one in models if models[one].text is not None}
            case "history":
                found = versions(store, key, QUICK)
                assert [version for version in found if version > model.version - limit] == model.versions(limit)
                assert [item.version for item in store.history(QUICK, key, oldest_first=True)] == found[::-1]
            case "one" if model.version:
                version = chance.randint(max(1, model.version - 6), model.version)
                store.purge(QUICK, key, "alice", version)
                model.purge(version, version + 1)
            case "all":
                store.purge(QUICK, key, "alice")
                model.purge(1, model.version + 1)
            case "remove" if model.text is not None:
                remove(store, key, collection=QUICK)
                model.write(None)
            case "trim":
                store.trim(QUICK, key)
            case "restart":
                workers[number] = reopen(versions=limit, hourly_days=1)
    assert list(workers[0].verify(QUICK)) == []
