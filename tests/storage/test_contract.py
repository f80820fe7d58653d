"""The contract of the storage, sentence by sentence, on every backend. Nothing in here knows how a backend works."""

import itertools
import threading
import time

import pytest
from storekit import (
    BACKENDS,
    PLAIN,
    THINGS,
    VOLATILE,
    OtherProcess,
    in_processes,
    in_threads,
    increment,
    increment_often,
    listed,
    metrics,
    past,
    put,
    remove,
    value,
    versions,
)

from deploymetrics.clock import as_precise
from deploymetrics.errors import ConflictError

COLLECTIONS = pytest.mark.parametrize("collection", [THINGS, PLAIN, VOLATILE], ids=lambda collection: collection.name)
ODD_KEYS = [
    "a",
    "A",
    "ä",
    "Ä",
    "ａ",
    "a%41",
    "%41",
    "%",
    ".hidden",
    "..a",
    "a.json",
    ".a.json.tmp",
    "con",
    "nul.txt",
    "~",
    "a b",
    "a\\b",
    "a:b",
    "*?",
    '"',
    "ß",
    "SS",
    "ss",
    "ﬁ",
    "i\u0307",
    "İ",
    "é",
    "e\u0301",
    "😀" * 16,
    "\u0800" * 21 + "a",
    "a" * 64,
    "A" * 64,
    "locks",
    "history",
    "-",
    "$(x)",
    "000000000001.jsonl",
    ".changes",
    "format.json",
    ".",
    "..",
    "a/b",
    "/",
]
#: JSON that is easily taken apart in the wrong place, or does not survive being parsed and written again.
TEXTS = [
    "1.10",
    "1E400",
    '{"a":1,"a":2}',
    r'"\u00e9\/é"',
    r'[" , \n"]',
    '{"deleted":true}',
    '"},"',
    "[]",
    '"\u2028\x7f"',
]


@pytest.fixture
def store(reopen):
    return reopen()


def restore(store, items, key="a", **options):
    return store.restore(THINGS, key, items, **options)


def history(store, key="a", **order):
    return list(store.history(THINGS, key, **order))


# Items


def test_nothing_is_there_at_first(store):
    store.check()
    assert store.read(THINGS, "a") is None
    assert history(store) == []
    assert store.version(THINGS, "a", 1) is None
    assert store.keys(THINGS) == []
    listing = store.items(THINGS)
    assert (listing.changed_at, listing.items, listing.damaged) == ("", (), ())
    assert (b"".join(listing.array()), listing.array_size) == (b"[]", 2)
    assert list(store.verify(THINGS)) == []


@COLLECTIONS
@pytest.mark.parametrize("text", TEXTS)
def test_a_value_comes_back_byte_for_byte(store, reopen, collection, text):
    written = put(store, "a", text, collection=collection)
    assert written.value == value("a", text)
    assert written.record == collection.decode(written.value)
    assert reopen().read(collection, "a") == store.read(collection, "a") == written
    listing = reopen().items(collection)
    assert b"".join(listing.array()) == b"[%b]" % value("a", text)
    assert list(listing.values()) == [value("a", text)]
    assert [item.size for item in listing.items] == [len(value("a", text))]


@pytest.mark.parametrize("text", TEXTS)
def test_a_superseded_value_too(store, reopen, text):
    put(store, "a", text)
    put(store, "a")
    assert reopen().version(THINGS, "a", 1).value == value("a", text)


@pytest.mark.parametrize(
    "extra",
    [
        b'"version":9',
        b'"changedBy":"eve"',
        b'"deleted":true',
        b'"changedAt":"x"',
        b'"kept":true',
    ],
)
def test_members_of_a_value_are_not_taken_for_the_storages_own(store, reopen, extra):
    text = b'{%b,"tag":"a","metrics":1}' % extra
    store.write(THINGS, "a", "alice", lambda current, now: text)
    put(store, "a")
    item = reopen().version(THINGS, "a", 1)
    assert (item.value, item.version, item.changed_by, item.deleted, item.kept) == (text, 1, "alice", False, False)


def test_a_write_gets_the_next_version_the_time_and_the_author(store, reopen, clock):
    first = put(store, "a", author='al"ice\\ ä')
    clock.forward(seconds=1)
    second = put(store, "a", author="")
    assert (first.version, first.changed_at, first.changed_by) == (1, "2018-01-12T12:00:03.123456Z", 'al"ice\\ ä')
    assert (second.version, second.changed_at, second.changed_by) == (2, "2018-01-12T12:00:04.123456Z", "")
    assert history(reopen()) == [second, first]


def test_each_write_has_a_revision_of_its_own(store):
    assert len({put(store, "a").revision for _ in range(5)}) == 5


def test_kept_is_said_of_a_version(store, reopen):
    items = [put(store, "a"), put(store, "a", kept=True), put(store, "a")]
    assert [item.kept for item in items] == [False, True, False]
    assert history(reopen(), oldest_first=True) == items


@COLLECTIONS
def test_a_time_may_be_earlier_than_that_of_the_version_before(store, reopen, clock, collection):
    for days in 0, 3650, -3650, -3:
        clock.forward(days=days)
        told = []
        item = store.write(collection, "a", "alice", lambda current, now, told=told: told.append(now) or value("a"))
        assert item.changed_at == as_precise(told[0]) == as_precise(clock.now())
        for reader in store, reopen():
            assert reader.read(collection, "a") == item
            assert reader.items(collection).changed_at == item.changed_at
    assert item.version == 4


def test_versions_are_in_order_where_times_are_not(store, reopen, clock):
    for number in range(1, 9):
        clock.forward(days=(-1) ** number * number)
        put(store, "a", str(number))
    expected = [(number, str(number)) for number in range(8, 0, -1)]
    assert past(reopen(), "a") == expected
    assert past(reopen(), "a", oldest_first=True) == expected[::-1]


def test_versions_go_on_after_a_deletion_and_never_repeat(store, reopen):
    put(store, "a", "1")
    assert remove(store, "a") is None
    assert store.read(THINGS, "a") is None
    assert put(reopen(), "a", "3").version == 3
    remove(store, "a")
    assert put(store, "a", "5").version == 5
    assert past(reopen(), "a") == [(5, "5"), (4, None), (3, "3"), (2, None), (1, "1")]


def test_a_deletion_is_a_version(store, clock):
    put(store, "a")
    clock.forward(seconds=5)
    remove(store, "a", author="bob")
    item = store.version(THINGS, "a", 2)
    assert item == history(store)[0]
    assert (item.key, item.deleted, item.value, item.record) == ("a", True, None, None)
    assert (item.changed_by, item.changed_at) == ("bob", as_precise(clock.now()))


def test_deleting_what_is_not_there_is_no_version(store):
    assert remove(store, "a") is None
    assert store.keys(THINGS) == []
    put(store, "a")
    remove(store, "a")
    assert remove(store, "a") is None
    assert past(store, "a") == [(2, None), (1, "1")]


@pytest.mark.parametrize("collection", [PLAIN, VOLATILE], ids=lambda collection: collection.name)
def test_a_collection_without_history_forgets(store, reopen, collection):
    put(store, "a", collection=collection)
    assert put(reopen(), "a", "2", collection=collection).version == 2
    assert versions(store, "a", collection) == [2]
    assert store.version(collection, "a", 1) is None
    assert store.version(collection, "a", 2).value == value("a", "2")
    remove(store, "a", collection=collection)
    assert versions(store, "a", collection) == store.keys(collection) == []
    assert store.items(collection).items == ()
    assert put(reopen(), "a", collection=collection).version == 1


def test_collections_do_not_mix(store):
    put(store, "a", "1")
    put(store, "a", "2", collection=PLAIN)
    remove(store, "a", collection=PLAIN)
    assert metrics(store.read(THINGS, "a")) == "1"
    assert store.items(PLAIN).items == ()


# What change may do


@pytest.mark.parametrize("error", [KeyError, PermissionError, FileNotFoundError, OSError, KeyboardInterrupt])
@pytest.mark.parametrize("exists", [False, True])
def test_what_change_raises_reaches_the_caller_and_stores_nothing(store, error, exists):
    before = exists and put(store, "a")

    def change(current, now):
        raise error("no")

    with pytest.raises(error, match="no") as caught:
        store.write(THINGS, "a", "alice", change)
    assert type(caught.value) is error
    assert store.read(THINGS, "a") == (before or None)
    assert put(store, "a").version == 1 + exists


def test_change_sees_the_current_item(store):
    seen = []
    first = put(store, "a")
    store.write(THINGS, "a", "alice", lambda current, now: seen.append(current))
    store.write(THINGS, "a", "alice", lambda current, now: seen.append(current))
    assert seen == [first, None]


# Lists


def test_the_listing_is_in_the_order_of_the_keys(store, reopen):
    for key in ["b", "B", "ä", "a", "a.b"]:
        put(store, key)
    for listing in store.items(THINGS), reopen().items(THINGS):
        assert [item.key for item in listing.items] == sorted(["b", "B", "ä", "a", "a.b"])
        assert not listing.damaged and not any(item.deleted for item in listing.items)
        assert all(listing.find(item.key) is item for item in listing.items)
        assert [listing.find(key) for key in ("", "aa", "z")] == [None] * 3


@pytest.mark.parametrize("number", [0, 1, 2, 600])
def test_a_listing_has_the_array_of_the_values(store, number):
    keys = [f"{key:03d}" for key in range(number)]
    for changed in [*keys, *keys[-1:]]:
        put(store, changed, collection=VOLATILE)
    assert_array(store.items(VOLATILE), [value(key) for key in keys])
    for changed in keys[:1]:
        put(store, changed, "2", collection=VOLATILE)
        remove(store, keys[-1], collection=VOLATILE)
        values = [value(key, "12"[key == changed]) for key in keys[:-1]]
        assert_array(store.items(VOLATILE), values)


def assert_array(listing, values):
    array = b"[%b]" % b",".join(values)
    assert (b"".join(listing.array()), listing.array_size, list(listing.values())) == (array, len(array), values)
    for start, stop in (0, 1), (1, len(values)), (len(values) // 2, len(values) // 2 + 3), (3, 3):
        assert b"".join(listing.read(start, stop)) == b"".join(b",%b" % value for value in values[start:stop])


def test_a_listing_reads_the_values_of_its_moment(store):
    for key in "abc":
        put(store, key)
    listing = store.items(THINGS)
    put(store, "a", "2")
    remove(store, "b")
    for number in range(150):
        put(store, "c", str(number))
    assert list(listing.values()) == [value(key) for key in "abc"]
    assert listed(store) == {"a": "2", "c": "149"}


def test_the_revision_of_a_listing_changes_with_every_write(store, reopen):
    revisions = [store.items(THINGS).revision]
    for write, key in [(put, "a"), (put, "a"), (put, "b"), (remove, "b")]:
        write(store, key)
        revisions.append(store.items(THINGS).revision)
        assert reopen().items(THINGS).revision == revisions[-1]
    assert len(set(revisions[:4])) == 4
    assert revisions[4] == revisions[2]


def test_a_listing_is_of_the_latest_of_its_times(store, clock):
    late = put(store, "a")
    clock.forward(days=-1)
    put(store, "b")
    assert store.items(THINGS).changed_at == late.changed_at


def test_keys_are_those_with_an_item_or_a_history(store, reopen):
    for key in "bac":
        put(store, key)
    remove(store, "a")
    assert store.keys(THINGS) == reopen().keys(THINGS) == ["a", "b", "c"]


# Other readers and writers


@COLLECTIONS
def test_another_store_sees_every_write_at_once(store, reopen, collection):
    other = reopen()
    other.items(collection)
    for number in range(150):
        item = put(store, "a", str(number), collection=collection)
        assert other.read(collection, "a") == item
        assert [one.revision for one in other.items(collection).items] == [item.revision]
        assert versions(other, "a", collection)[0] == item.version


@COLLECTIONS
def test_another_store_sees_creations_and_deletions_at_once(store, reopen, collection):
    other = reopen()
    for number in range(1000, 1150):  # all values have the same length
        put(store, "a", str(number), collection=collection)
        assert metrics(other.read(collection, "a")) == str(number)
        assert len(other.items(collection).items) == 1
        remove(store, "a", collection=collection)
        if number % 2:
            assert other.read(collection, "a") is None
            assert other.items(collection).items == ()


@COLLECTIONS
def test_a_write_in_another_process_is_seen_at_once(backend, folder, store, collection):
    with OtherProcess(backend, folder, collection) as other:
        for number in range(100, 200):
            revision = other.put("a", str(number))
            assert [item.revision for item in store.items(collection).items] == [revision]
            assert store.read(collection, "a").revision == revision
            if number % 3 == 0:
                other.put("a", None)
                assert store.items(collection).items == ()
                assert store.read(collection, "a") is None


def test_processes_and_their_threads_lose_nothing(backend, folder, store):
    in_processes(3, increment_often, backend, folder, 30, 2)
    assert past(store, "n") == [(number, str(number)) for number in range(180, 0, -1)]


def test_threads_with_a_store_of_one_lose_nothing(store):
    in_threads(8, lambda: [store.write(THINGS, "n", "alice", increment) for _ in range(15)])
    assert past(store, "n") == [(number, str(number)) for number in range(120, 0, -1)]


def test_of_writers_that_create_only_one_wins(store, reopen):
    wins = []

    def create(current, now):
        if current:
            raise KeyError
        return value("a")

    def work():
        try:
            wins.append(reopen().write(THINGS, "a", "alice", create))
        except KeyError:
            pass

    in_threads(8, work)
    assert len(wins) == 1


def test_reading_does_not_wait_for_a_writer(store, reopen):
    before = put(store, "a")
    entered, leave = threading.Event(), threading.Event()

    def change(current, now):
        entered.set()
        leave.wait()
        return value("a", "2")

    writer = threading.Thread(target=store.write, args=(THINGS, "a", "alice", change))
    writer.start()
    entered.wait()
    try:
        for reader in store, reopen():
            assert reader.read(THINGS, "a") == reader.version(THINGS, "a", 1) == before
            assert len(reader.items(THINGS).items) == 1
            assert history(reader) == [before]
            assert reader.keys(THINGS) == ["a"]
    finally:
        leave.set()
        writer.join()


def while_writing(write, look):
    """Call ``look`` again and again until ``write``, in another thread, has returned."""
    done = threading.Event()

    def work():
        try:
            write()
        finally:
            done.set()

    def watch():
        while not done.is_set():
            look()

    works = iter([work, watch])
    lock = threading.Lock()

    def either():
        with lock:
            chosen = next(works)
        chosen()

    in_threads(2, either)


@COLLECTIONS
def test_a_reader_never_sees_half_a_write_nor_goes_back(store, reopen, collection):
    reader, seen = reopen(), [0]
    put(store, "a", '"%s"' % ("0" * 3000), collection=collection)

    def look():
        listed = reader.items(collection).items[0]
        item = reader.read(collection, "a")
        assert len(set(metrics(item)[1:-1])) == 1
        assert seen[-1] <= listed.version <= item.version
        seen.append(item.version)

    texts = ['"%s"' % (str(number % 10) * 3000) for number in range(150)]
    while_writing(lambda: [put(store, "a", text, collection=collection) for text in texts], look)


def test_a_listing_leaves_out_nothing_while_others_write(store, reopen):
    reader = reopen()
    keys = [f"{number:02d}" for number in range(40)]
    for key in keys:
        put(store, key, collection=PLAIN)

    def look():
        assert [item.key for item in reader.items(PLAIN).items] == keys

    while_writing(lambda: [put(store, key, collection=PLAIN) for key in keys * 5], look)


def test_a_deletion_shows_in_the_history_only_when_it_is_done(store, reopen):
    reader = reopen()

    def look():
        found = history(reader)
        assert [item.version for item in found] == list(range(len(found), 0, -1))
        assert all(item.deleted == (item.version % 2 == 0) for item in found)

    while_writing(lambda: [(put(store, "a"), remove(store, "a")) for _ in range(40)], look)


# History


def test_the_history_is_in_order_with_the_current_one(store, reopen):
    for number in range(1, 201):
        put(store, "a", str(number))
    expected = [(number, str(number)) for number in range(200, 0, -1)]
    for reader in store, reopen():
        assert past(reader, "a") == expected
        assert past(reader, "a", oldest_first=True) == expected[::-1]
        for before in (0, 1, 2, 64, 65, 66, 128, 129, 200, 201, 10**17):
            below = [pair for pair in expected if pair[0] < before]
            assert past(reader, "a", before) == below
            assert past(reader, "a", before, oldest_first=True) == below[::-1]
        for number in (1, 63, 64, 65, 66, 128, 129, 199, 200):
            assert metrics(reader.version(THINGS, "a", number)) == str(number)
        assert reader.version(THINGS, "a", 201) is reader.version(THINGS, "a", 0) is None


def test_the_history_of_a_deleted_item_can_be_paged(store):
    for number in range(1, 100):
        put(store, "a", str(number))
    remove(store, "a")
    assert past(store, "a")[:2] == [(100, None), (99, "99")]
    assert past(store, "a", before=99)[:2] == [(98, "98"), (97, "97")]


@pytest.mark.parametrize("oldest_first", [False, True])
def test_a_history_that_is_being_read_is_that_of_its_beginning(store, reopen, oldest_first):
    for _ in range(80):
        put(store, "a")
    expected = history(store, oldest_first=oldest_first)
    reading = reopen().history(THINGS, "a", oldest_first=oldest_first)
    found = [next(reading)]
    for _ in range(80):
        put(store, "a", "2")
    remove(store, "a")
    assert found + list(reading) == expected


# Restoring


@pytest.fixture(scope="module")
def others_of():
    """What ``others`` gives for each backend, and the time after it; it takes long to write."""
    return {}


@pytest.fixture
def others(backend, others_of, tmp_path, clock):
    """Items of the same key in another storage: with gaps, deletions and times that go back, oldest first."""
    if backend not in others_of:
        others_of[backend] = _write_others(BACKENDS[backend](tmp_path / "other", clock), clock), clock.now()
    items, clock.at = others_of[backend]
    return items


def _write_others(store, clock):
    for number in range(1, 301):
        clock.forward(days=-1 if number % 7 == 0 else 1)
        if number % 50 == 0:
            remove(store, "a")
        else:
            put(store, "a", str(number), f"user{number}", kept=number % 3 == 0)
    return [item for item in history(store, oldest_first=True) if item.version % 10 not in (1, 2, 8)]


@pytest.mark.parametrize("last", [300, 257, 50, 4])
def test_restored_items_are_what_they_were(store, reopen, others, last):
    others = [item for item in others if item.version <= last]
    assert restore(store, iter(others)) is True
    for reader in store, reopen():
        assert history(reader, oldest_first=True) == others
        assert history(reader) == others[::-1]
        assert reader.read(THINGS, "a") == (None if last % 50 == 0 else others[-1])
        assert len(reader.items(THINGS).items) == (last % 50 != 0)
        for item in others[::20]:
            assert reader.version(THINGS, "a", item.version) == item
        assert reader.version(THINGS, "a", 8) is None
    assert put(store, "a").version == others[-1].version + 1
    assert versions(reopen(), "a") == [last + 1, *(item.version for item in others[::-1])]


def test_restored_items_are_seen_by_others_at_once(store, reopen, others):
    reader = reopen()
    assert reader.items(THINGS).items == ()
    assert reader.read(THINGS, "a") is None
    restore(store, others[:3])
    assert reader.read(THINGS, "a") == others[2]
    assert [item.revision for item in reader.items(THINGS).items] == [others[2].revision]


@pytest.mark.parametrize("start", [0, 1, 100, -1])
def test_what_is_there_already_is_not_restored_again(store, reopen, others, start):
    restore(store, others)
    assert restore(reopen(), iter(others[start:])) is False
    assert restore(store, others[start:], dry_run=True) is False
    assert history(reopen(), oldest_first=True) == others


@pytest.mark.parametrize(
    "differ",
    [
        lambda items: items[:-1],
        lambda items: items[:5] + items[6:],
        lambda items: [items[0]._replace(version=1), *items],
        lambda items: [*items, items[-1]._replace(version=400)],
        lambda items: [*items[:-1], items[-1]._replace(changed_by="eve")],
        lambda items: [*items[:-1], items[-1]._replace(changed_at="2018-01-12T12:00:03.123457Z")],
        lambda items: [items[0]._replace(value=value("a", "0")), *items[1:]],
        lambda items: [items[0]._replace(kept=not items[0].kept), *items[1:]],
    ],
    ids=["shorter", "a-gap", "earlier", "longer", "author", "time", "value", "kept"],
)
def test_other_versions_are_never_replaced(store, reopen, others, differ):
    restore(store, others[:-1])
    different = differ(others[:-1])
    for dry_run in True, False:
        with pytest.raises(ConflictError):
            restore(store, iter(different), dry_run=dry_run)
    assert history(reopen(), oldest_first=True) == others[:-1]


def test_a_dry_run_restores_nothing(store, reopen, others):
    assert restore(store, others, dry_run=True) is True
    for reader in store, reopen():
        assert reader.keys(THINGS) == history(reader) == []


@pytest.mark.parametrize("number", [0, 1, 100, 200])
def test_what_breaks_off_restores_nothing(store, reopen, others, number):
    def broken():
        yield from others[:number]
        raise KeyError

    with pytest.raises(KeyError):
        restore(store, broken())
    for reader in store, reopen():
        assert reader.read(THINGS, "a") is None
        assert history(reader) == []
        assert reader.items(THINGS).items == ()
    assert list(store.verify(THINGS)) == []
    assert restore(store, others) is True


@COLLECTIONS
def test_an_item_of_any_collection_is_restored(store, reopen, collection):
    put(store, "a", collection=collection)
    item = put(store, "a", "2", collection=collection)
    store.purge(collection, "a", "alice")
    if not collection.history:
        assert store.restore(collection, "a", [item])
        assert reopen().read(collection, "a") == item


# Purging


def everything_said(store, key="a"):
    return repr((history(store, key), store.read(THINGS, key), store.items(THINGS).items, listed(store)))


@pytest.mark.parametrize("number", [1, 30, 64, 65, 129, 140])
def test_one_version_is_purged_and_nothing_else(store, reopen, caplog, number):
    for version in range(1, 141):
        put(store, "a", f'"{version:x}secret"')
        put(store, "b", f'"{version}"')
    reader = reopen()
    before, other = history(reader), history(reader, "b")
    assert store.purge(THINGS, "a", "carol", number) == 1
    for one in store, reader, reopen():
        found = history(one)
        assert [item for item in found if not item.deleted] == [item for item in before if item.version != number]
        assert one.version(THINGS, "a", number) is None
        assert f'"{number:x}secret"' not in everything_said(one)
        assert (one.read(THINGS, "a") is None) == (number == 140)
        assert history(one, "b") == other
    assert "carol" in caplog.text
    assert "secret" not in caplog.text
    assert put(store, "a").version == (142 if number == 140 else 141)


def test_a_purged_item_is_deleted_by_its_author(store, reopen):
    for number in range(70):
        put(store, "a", f'"secret{number}"')
    assert store.purge(THINGS, "a", "carol") == 70
    for reader in store, reopen():
        assert [(item.version, item.deleted, item.changed_by) for item in history(reader)] == [(71, True, "carol")]
        assert "secret" not in everything_said(reader)
        assert reader.keys(THINGS) == ["a"]
    assert put(reopen(), "a", "2").version == 72


def test_what_was_deleted_can_be_purged(store):
    put(store, "a", '"secret"')
    remove(store, "a", author="bob")
    assert store.purge(THINGS, "a", "carol") == 1
    assert [(item.version, item.changed_by) for item in history(store)] == [(2, "bob")]
    assert store.purge(THINGS, "a", "carol") == 0


@pytest.mark.parametrize("is_listed", [False, True], ids=["alone", "listed"])
@pytest.mark.parametrize("purged", [[4], [1, 2], [1, 2, 4]], ids=str)
@pytest.mark.parametrize("limit", [8, 16, 1000])
def test_nobody_takes_a_version_for_the_newest_since_others_were_purged(reopen, is_listed, limit, purged):
    store, reader, writer = [reopen(versions=limit) for _ in range(3)]
    for number in range(1, 4):
        put(store, "a", str(number))
    for other in reader, writer:
        if is_listed:
            other.items(THINGS)
        assert metrics(other.read(THINGS, "a")) == "3"
    put(store, "a", "4")
    put(store, "a", "5")
    for version in purged:
        assert store.purge(THINGS, "a", "carol", version) == 1
    assert metrics(reader.read(THINGS, "a")) == "5"
    assert listed(reader) == {"a": "5"}
    for number, one in enumerate([writer, reader, store], 6):
        assert put(one, "a", str(number)).version == number
        assert versions(reader, "a") == [version for version in range(number, 0, -1) if version not in purged]


def test_what_is_not_there_cannot_be_purged(store, caplog):
    put(store, "a")
    assert store.purge(THINGS, "a", "carol", 2) == store.purge(THINGS, "b", "carol") == 0
    assert "purged" not in caplog.text
    assert past(store, "a") == [(1, "1")]
    assert store.keys(THINGS) == ["a"]


@pytest.mark.parametrize("collection", [PLAIN, VOLATILE], ids=lambda collection: collection.name)
def test_an_item_without_history_is_purged(store, reopen, collection):
    put(store, "a", collection=collection)
    assert store.purge(collection, "a", "carol") == 1
    assert reopen().read(collection, "a") is None
    assert store.keys(collection) == []


# Keys


def test_odd_keys_are_kept_apart(store, reopen):
    for turn in "12":
        for key in ODD_KEYS:
            put(store, key, f'"{turn}{len(key)}"')
    for reader in store, reopen():
        assert [item.key for item in reader.items(THINGS).items] == reader.keys(THINGS) == sorted(ODD_KEYS)
        for key in ODD_KEYS:
            assert reader.read(THINGS, key).record.tag == key
            assert past(reader, key) == [(2, f'"2{len(key)}"'), (1, f'"1{len(key)}"')]
    assert list(store.verify(THINGS)) == []


def test_deleting_one_odd_key_touches_no_other(store):
    for key in ODD_KEYS:
        put(store, key)
    for key, following in itertools.pairwise(ODD_KEYS):
        remove(store, key)
        assert store.read(THINGS, key) is None
        assert store.read(THINGS, following).version == 1


# Reading ahead


def test_what_is_about_to_be_read_is_read(store, reopen):
    put(store, "a")
    put(store, "gone")
    remove(store, "gone")

    def read():
        assert metrics(store.read(THINGS, "a")) == "1"
        assert store.read(PLAIN, "a") is store.read(THINGS, "gone") is store.read(THINGS, "x") is None
        put(reopen(), "a", "2")
        assert metrics(store.read(THINGS, "a")) == "2"  # once
        put(reopen(), "a", "1")
        return "read"

    for _ in range(2):  # the second time it is known
        assert store.read_together(read, (THINGS, "a"), (PLAIN, "a"), (THINGS, "gone"), (THINGS, "x")) == "read"
    store.read_together(lambda: None, (THINGS, "a"))
    put(reopen(), "a", "3")
    assert metrics(store.read(THINGS, "a")) == "3"


def test_what_came_after_a_write_reads_it(store, reopen):
    writer = reopen()
    for number in range(5):
        put(writer, "a", f"{number}")
        called_at = time.perf_counter()
        for since in called_at, called_at, None:
            assert (
                store.read_together(lambda: metrics(store.read(THINGS, "a")), (THINGS, "a"), not_before=since)
                == f"{number}"
            )
            assert store.read_together(lambda: listed(store), (THINGS, None), not_before=since) == {"a": f"{number}"}


def test_reading_raises_what_the_work_raises(store):
    put(store, "a")

    def fail():
        raise KeyError(store.read(THINGS, "a").key)

    for _ in range(3):
        with pytest.raises(KeyError, match="a"):
            store.read_together(fail, (THINGS, "a"))
    assert metrics(store.read(THINGS, "a")) == "1"
