"""The contract of the storage, sentence by sentence, on every backend. Nothing in here knows how a backend works."""

import itertools
import threading
from datetime import timedelta

import pytest
from storekit import (
    BACKENDS, PLAIN, THINGS, OtherProcess, in_processes, in_threads, increment, increment_often, metrics, past, put,
    remove, value,
)

from deploymetrics.clock import as_precise, from_precise

ODD_KEYS = [
    "a", "A", "ä", "Ä", "ａ", "a%41", "%41", "%", ".hidden", "..a", "a.json", ".a.json.tmp", "con", "nul.txt", "~",
    "a b", "a\\b", "a:b", "*?", '"', "ß", "SS", "ss", "ﬁ", "i\u0307", "İ", "é", "e\u0301", "😀" * 16,
    "\u0800" * 21 + "a", "a" * 64, "A" * 64, "locks", "history", "-", "$(x)", "000000000001.jsonl",
]

#: JSON that is easily taken apart in the wrong place, or does not survive being parsed and written again.
TEXTS = [
    "1.10", "1E400", '{"a":1,"a":2}', r'"\u00e9\/é"', r'[" , \n"]', '{"deleted":true}', '"},"', "[]", '"\u2028\x7f"',
]


@pytest.fixture(params=sorted(BACKENDS))
def backend(request):
    return request.param


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "instance"


@pytest.fixture
def reopen(backend, folder, clock):
    """Another store object on the same data, as another worker has one."""

    def make(**limits):
        return BACKENDS[backend](folder, clock, **limits)

    return make


@pytest.fixture
def store(reopen):
    return reopen()


# Values, versions, times


def test_nothing_is_there_at_first(store):
    assert store.read(THINGS, "a") is None
    assert store.history(THINGS, "a") == []
    assert store.version(THINGS, "a", 1) is None
    assert store.stamp(THINGS, "a") is None
    assert store.items(THINGS)[-3:] == ((), (b"[]",), ())


@pytest.mark.parametrize("collection", [THINGS, PLAIN], ids=["history", "no-history"])
@pytest.mark.parametrize("text", TEXTS)
def test_a_value_comes_back_byte_for_byte(store, reopen, collection, text):
    written = put(store, "a", text, collection=collection)
    assert written.value == value("a", text)
    assert reopen().read(collection, "a") == store.read(collection, "a") == written
    assert reopen().items(collection).pieces == (b"[%b]" % value("a", text),)


@pytest.mark.parametrize("text", TEXTS)
def test_a_superseded_value_too(store, reopen, text):
    put(store, "a", text)
    put(store, "a")
    assert reopen().version(THINGS, "a", 1).value == value("a", text)


@pytest.mark.parametrize("extra", [b'"version":9', b'"changedBy":"eve"', b'"deleted":true', b'"changedAt":"x"'])
def test_fields_of_a_value_are_not_taken_for_the_storages_own(store, extra):
    text = b'{%b,"tag":"a","metrics":1}' % extra
    store.write(THINGS, "a", "alice", lambda current, now: text)
    put(store, "a")
    item = store.version(THINGS, "a", 1)
    assert (item.value, item.version, item.changed_by, item.deleted) == (text, 1, "alice", False)


def test_a_write_gets_the_next_version_the_time_and_the_name(store, clock):
    first = put(store, "a", author='al"ice\\ ä')
    clock.forward(seconds=1)
    second = put(store, "a", author="bob")
    assert (first.version, first.changed_at, first.changed_by) == (1, "2018-01-12T12:00:03.123456Z", 'al"ice\\ ä')
    assert (second.version, second.changed_at, second.changed_by) == (2, "2018-01-12T12:00:04.123456Z", "bob")
    assert first.revision != second.revision
    assert store.version(THINGS, "a", 1).changed_by == 'al"ice\\ ä'


def test_the_etag_changes_when_the_value_does_not(store):
    assert len({put(store, "a").revision for _ in range(5)}) == 5


def test_time_never_goes_back(store, clock):
    put(store, "a")
    clock.forward(days=-3)
    put(store, "a")
    remove(store, "a")
    clock.forward(days=-3)
    put(store, "a")
    times = [item.changed_at for item in store.history(THINGS, "a")]
    assert len(times) == 4
    assert times == sorted(times, reverse=True)


def test_change_is_told_the_time_that_is_stored(store, clock):
    told = []
    put(store, "a")
    clock.forward(days=-1)
    item = store.write(THINGS, "a", "alice", lambda current, now: told.append(at) or value("a"))
    assert as_precise(told[-1]) == item.changed_at


def test_versions_go_on_after_a_deletion_and_never_repeat(store):
    put(store, "a", "1")
    assert remove(store, "a") is None
    assert store.read(THINGS, "a") is None
    assert put(store, "a", "3").version == 3
    remove(store, "a")
    assert put(store, "a", "5").version == 5
    assert past(store, "a") == [(5, "5"), (4, None), (3, "3"), (2, None), (1, "1")]


def test_a_deletion_is_a_version(store, clock):
    put(store, "a")
    clock.forward(seconds=5)
    remove(store, "a", author="bob")
    item = store.version(THINGS, "a", 2)
    assert item == store.history(THINGS, "a")[0]
    assert (item.deleted, item.value, item.record) == (True, None, None)
    assert (item.changed_by, item.changed_at) == ("bob", as_precise(clock.now()))


def test_deleting_what_is_not_there_is_no_version(store):
    assert remove(store, "a") is None
    put(store, "a")
    remove(store, "a")
    assert remove(store, "a") is None
    assert past(store, "a") == [(2, None), (1, "1")]


def test_a_kind_without_history_forgets(store):
    put(store, "a", collection=PLAIN)
    assert put(store, "a", "2", collection=PLAIN).version == 2
    assert [item.version for item in store.history(PLAIN, "a")] == [2]
    assert store.version(PLAIN, "a", 1) is None
    assert store.version(PLAIN, "a", 2).value == value("a", "2")
    remove(store, "a", collection=PLAIN)
    assert store.history(PLAIN, "a") == []
    assert put(store, "a", collection=PLAIN).version == 1


def test_kinds_do_not_mix(store):
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

    def change(current, at):
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


# Listing, stamp


def test_the_listing_is_in_the_order_of_the_keys(store, reopen):
    for key in ["b", "B", "ä", "a", "a.b"]:
        put(store, key)
    for listing in store.items(THINGS), reopen().items(THINGS):
        assert [item.key for item in listing.items] == sorted(["b", "B", "ä", "a", "a.b"])
        assert all(item.record is None for item in listing.items)
        assert listing.damaged == ()


@pytest.mark.parametrize("length, number, count", [(1, 0, 1), (1, 2, 1), (250_000, 9, 2), (2**20, 2, 3)])
def test_the_listings_pieces_are_the_array_of_the_values(store, length, number, count):
    keys, text = [f"{key:03d}" for key in range(number)], '"%s"' % ("x" * length)
    for key in keys:
        put(store, key, text, collection=PLAIN)
    pieces = store.items(PLAIN).pieces
    assert b"".join(pieces) == b"[%b]" % b",".join(value(key, text) for key in keys)
    assert len(pieces) == count


def test_the_listings_etag_changes_with_every_write(store, reopen):
    etags = [store.items(THINGS).revision]
    for write, key in [(put, "a"), (put, "a"), (put, "b"), (remove, "b")]:
        write(store, key)
        etags.append(store.items(THINGS).revision)
        assert reopen().items(THINGS).revision == etags[-1]
    assert len(set(etags[:4])) == 4
    assert etags[4] == etags[2]


def test_the_stamp_is_equal_only_without_a_change(store):
    stamps = []
    for write in put, put, remove, put:
        write(store, "a")
        stamps.append(store.stamp(THINGS, "a"))
    assert stamps.pop(2) is None
    assert len(set(stamps)) == 3


# Other readers and writers


def test_another_store_sees_every_write_at_once(store, reopen):
    other = reopen()
    other.items(THINGS)
    stamps = []
    for number in range(300):
        item = put(store, "a", str(number))
        assert other.read(THINGS, "a") == item
        assert [one.revision for one in other.items(THINGS).items] == [item.revision]
        stamps.append(other.stamp(THINGS, "a"))
    assert len(set(stamps)) == 300


def test_another_store_sees_creations_and_deletions_at_once(store, reopen):
    other = reopen()
    for number in range(100):
        put(store, "a", str(number))
        assert len(other.items(THINGS).items) == 1
        remove(store, "a")
        assert other.items(THINGS).items == ()
        assert other.stamp(THINGS, "a") is None


def test_a_write_in_another_process_is_seen_at_once(backend, folder, store):
    with OtherProcess(backend, folder) as other:
        stamps = set()
        for number in range(200):
            etag = other.put("a", str(number))
            assert [item.revision for item in store.items(THINGS).items] == [etag]
            assert store.read(THINGS, "a").revision == etag
            stamps.add(store.stamp(THINGS, "a"))
        assert len(stamps) == 200
        other.put("a", None)
        assert store.items(THINGS).items == ()


def test_threads_lose_nothing(backend, folder, store):
    increment_often(backend, folder, 25, threads=8)
    assert past(store, "n") == [(number, str(number)) for number in range(200, 0, -1)]


def test_threads_with_a_store_of_one_lose_nothing(store):
    in_threads(8, lambda: [store.write(THINGS, "n", "alice", increment) for _ in range(25)])
    assert past(store, "n", limit=1) == [(200, "200")]


def test_processes_lose_nothing(backend, folder, store):
    in_processes(3, increment_often, backend, folder, 40, 2)
    assert past(store, "n") == [(number, str(number)) for number in range(240, 0, -1)]


def test_of_writers_that_create_only_one_wins(store, reopen):
    wins = []

    def create(current, at):
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

    def change(current, at):
        entered.set()
        leave.wait()
        return value("a", "2")

    writer = threading.Thread(target=store.write, args=(THINGS, "a", "alice", change))
    writer.start()
    entered.wait()
    try:
        for reader in store, reopen():
            assert reader.read(THINGS, "a") == before
            assert len(reader.items(THINGS).items) == 1
            assert len(reader.history(THINGS, "a")) == 1
            assert reader.stamp(THINGS, "a") is not None
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


def test_a_reader_never_sees_half_a_write_nor_goes_back(store, reopen):
    reader, seen = reopen(), [0]
    put(store, "a", '"%s"' % ("0" * 3000))

    def look():
        item = reader.read(THINGS, "a")
        assert len(set(metrics(item)[1:-1])) == 1
        assert seen[-1] <= item.version
        seen.append(item.version)

    while_writing(lambda: [put(store, "a", '"%s"' % (str(n % 10) * 3000)) for n in range(200)], look)


def test_a_listing_leaves_out_nothing_while_others_write(store, reopen):
    reader = reopen()
    keys = [f"{number:02d}" for number in range(40)]
    for key in keys:
        put(store, key, collection=PLAIN)

    def look():
        assert [item.key for item in reader.items(PLAIN).items] == keys

    while_writing(lambda: [put(store, key, collection=PLAIN) for key in keys * 5], look)


def test_a_reader_of_the_history_is_not_disturbed_by_trimming(reopen):
    store, reader = reopen(versions=70), reopen(versions=70)

    def look():
        versions = [item.version for item in reader.history(THINGS, "a")]
        assert versions == list(range(versions[0], versions[-1] - 1, -1)) if versions else True
        # What is dropped meanwhile may be missing; what is within the limits at the end is not.
        now = reader.read(THINGS, "a")
        assert not versions or versions[-1] <= max(1, now.version - 70)

    while_writing(lambda: [put(store, "a", str(number)) for number in range(400)], look)


def test_a_deletion_shows_in_the_history_only_when_it_is_done(store, reopen):
    reader = reopen()

    def look():
        history = reader.history(THINGS, "a")
        versions = [item.version for item in history]
        assert versions == list(range(len(versions), 0, -1))
        assert all(item.deleted == (item.version % 2 == 0) for item in history)

    while_writing(lambda: [(put(store, "a"), remove(store, "a")) for _ in range(60)], look)


# History


def test_the_history_is_newest_first_with_the_current_one(store, reopen):
    for number in range(1, 201):
        put(store, "a", str(number))
    expected = [(number, str(number)) for number in range(200, 0, -1)]
    assert past(store, "a") == past(reopen(), "a") == expected
    assert past(store, "a", limit=3) == expected[:3]
    assert past(store, "a", limit=70, before=150) == expected[51:121]
    assert past(store, "a", before=1) == []
    assert past(store, "a", before=10**17, limit=1) == [(200, "200")]
    for number in (1, 63, 64, 65, 66, 128, 129, 199, 200):
        assert metrics(store.version(THINGS, "a", number)) == str(number)
    assert store.version(THINGS, "a", 201) is store.version(THINGS, "a", 0) is None


def test_the_history_of_a_deleted_item_can_be_paged(store):
    for number in range(1, 100):
        put(store, "a", str(number))
    remove(store, "a")
    assert past(store, "a", limit=2) == [(100, None), (99, "99")]
    assert past(store, "a", limit=2, before=99) == [(98, "98"), (97, "97")]


@pytest.mark.parametrize("versions", [0, 1, 2, 10, 66, 100])
def test_the_history_is_limited_by_versions(reopen, versions):
    store = reopen(versions=versions)
    for number in range(1, 301):
        put(store, "a", str(number))
        if number % 13 == 0 or number % 64 < 4:
            assert [item[0] for item in past(store, "a")] == list(range(number, max(0, number - versions - 1), -1))
    assert store.version(THINGS, "a", 300 - versions) is not None
    assert store.version(THINGS, "a", 299 - versions) is None


def test_versions_go_on_with_hardly_any_history(reopen):
    store = reopen(versions=0)
    for number in range(70):
        put(store, "a")
        remove(store, "a")
        assert past(store, "a") == [(2 * number + 2, None)]
    assert put(store, "a").version == 141


def test_the_history_is_limited_by_age(reopen, clock):
    store = reopen(days=10)
    for number in range(1, 31):
        put(store, "a", str(number))
        clock.forward(days=1)
    kept = store.history(THINGS, "a")
    assert [item.version for item in kept] == list(range(30, 20, -1))
    assert all(from_precise(item.changed_at) >= clock.now() - timedelta(days=10) for item in kept)
    assert store.version(THINGS, "a", 21) is not None
    assert store.version(THINGS, "a", 20) is None
    clock.forward(days=1000)
    assert past(store, "a") == [(30, "30")]
    remove(store, "a")
    assert past(store, "a") == [(31, None)]


def test_old_versions_that_are_past_the_age_do_not_stay_for_ever(reopen, clock):
    store = reopen(days=10)
    for _ in range(300):
        put(store, "a")
        clock.forward(days=1)
    assert len(past(reopen(days=10_000), "a")) < 150


def test_an_old_current_version_is_kept(reopen, clock):
    store = reopen(days=10)
    put(store, "a")
    clock.forward(days=400)
    assert past(store, "a") == [(1, "1")]
    put(store, "a", "2")
    assert past(store, "a") == [(2, "2")]


# Keys


def test_odd_keys_are_kept_apart(store, reopen):
    assert all(len(key.encode()) <= 64 for key in ODD_KEYS)
    for turn in "12":
        for key in ODD_KEYS:
            put(store, key, f'"{turn}{len(key)}"')
    for reader in store, reopen():
        assert [item.key for item in reader.items(THINGS).items] == sorted(ODD_KEYS)
        for key in ODD_KEYS:
            assert reader.read(THINGS, key).record.tag == key
            assert past(reader, key) == [(2, f'"2{len(key)}"'), (1, f'"1{len(key)}"')]


def test_deleting_one_odd_key_touches_no_other(store):
    for key in ODD_KEYS:
        put(store, key)
    for key, following in itertools.pairwise(ODD_KEYS):
        remove(store, key)
        assert store.read(THINGS, key) is None
        assert store.read(THINGS, following).version == 1
