"""What the storage tests share: two kinds of items, stores on a folder, and work for other processes to do."""

import itertools
import os
import sys
import threading
import time
from multiprocessing import Pipe
from pathlib import Path

import msgspec
from launching import forked

from deploymetrics.clock import Clock
from deploymetrics.storage import Collection, Retention, open_storage
from deploymetrics.storage.files import group_commit


class Thing(msgspec.Struct):
    """The least that an item has: its key, and some JSON."""

    tag: str
    metrics: msgspec.Raw

    def key(self):
        return self.tag


THINGS = Collection("things", Thing, history=True, copies=True)
PLAIN = Collection("plain", Thing)
VOLATILE = Collection("volatile", Thing, durable=False)
COLLECTIONS = {collection.name: collection for collection in (THINGS, PLAIN, VOLATILE)}


def open_files(folder, clock=None, **limits):
    """A store of files; ``limits`` are those of Retention."""
    return open_storage("files:", os.fspath(folder), clock or Clock(), Retention(**limits))


def open_sql(folder, clock=None, **limits):
    """A store of PostgreSQL, in a schema of its own for each folder."""
    from postgres import schema_of

    return open_storage(schema_of(folder), os.fspath(folder), clock or Clock(), Retention(**limits))


#: The backends, each as a function like ``open_files``; one suite runs on all.
BACKENDS = {"files:": open_files, "postgresql:": open_sql}


def value(key, metrics="1"):
    """The value of a Thing."""
    return b'{"tag":%b,"metrics":%b}' % (msgspec.json.encode(key), metrics.encode())


def put(store, key, metrics="1", author="alice", collection=THINGS, **options):
    """Write and return the new Item."""
    return store.write(collection, key, author, lambda current, now: value(key, metrics), **options)


def remove(store, key, author="alice", collection=THINGS):
    """Delete."""
    return store.write(collection, key, author, lambda current, now: None)


def metrics(item):
    """The metrics of an Item as text, or None for a deletion."""
    if item.deleted:
        return None
    return bytes(THINGS.decode(item.value).metrics).decode()


def put_together(store, key, texts, collection=THINGS):
    """Write texts, None deletes, each in a thread of its own, the others while the first is asked for its own.

    Return for each what ``write`` returned or raised.
    """
    outcomes, threads = [None] * len(texts), []
    asked = iter([False] * (next(store.history(collection, key), None) is None))

    def write(number, text):
        def change(current, now):
            if number == 0 and not threads and next(asked, True):  # a new key is asked once more, before
                for one in range(1, len(texts)):
                    threads.append(threading.Thread(target=write, args=(one, texts[one])))
                    threads[-1].start()
                    until_it_waits(threads[-1])
            return None if text is None else text(current) if callable(text) else value(key, text)

        try:
            outcomes[number] = store.write(collection, key, f"author {number}", change)
        except BaseException as error:
            outcomes[number] = error

    write(0, texts[0])
    for thread in threads:
        thread.join()
    return outcomes


def until_it_waits(thread):
    """Return when a thread that writes waits for another one, or has ended."""
    for _ in range(10_000):
        frame = sys._current_frames().get(thread.ident)
        is_waiting = frame is not None and frame.f_code.co_filename == group_commit.__file__
        time.sleep(0.002 if is_waiting else 0.0002)
        if not thread.is_alive() or (is_waiting and sys._current_frames().get(thread.ident) is frame):
            return
    raise AssertionError("it does not wait")


def listed(store, collection=THINGS):
    """The metrics in the list by key."""
    listing = store.items(collection)
    records = map(collection.decode, listing.values())
    return {item.key: bytes(record.metrics).decode() for item, record in zip(listing.items, records, strict=True)}


def past(store, key, before=None, **order):
    """The history as (version, metrics) pairs."""
    return [(item.version, metrics(item)) for item in store.history(THINGS, key, before, **order)]


def versions(store, key, collection=THINGS):
    """The versions of the history, newest first."""
    return [item.version for item in store.history(collection, key)]


def increment(current, now):
    """A change that adds one to the number in the item n."""
    return value("n", str(int(metrics(current)) + 1 if current else 1))


def increment_often(backend, folder, times, threads=1):
    """Add one to n so many times in so many threads; also the body of another process."""
    store = BACKENDS[backend](folder)

    def work():
        for _ in range(times):
            store.write(THINGS, "n", "alice", increment)

    in_threads(threads, work)


def in_threads(number, work):
    """Run ``work`` in so many threads, and raise what the first of them raised."""
    failures = []

    def run():
        try:
            work()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def in_processes(number, target, *args):
    """Run ``target`` in so many processes, which all have to end well."""
    processes = [forked(target, *args) for _ in range(number)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * number


def write_on_demand(backend, folder, collection, pipe):
    """The body of a process that writes each (key, metrics) that comes through the pipe, None deletes, and answers."""
    store = BACKENDS[backend](folder)
    pipe.send("ready")
    for key, text in iter(pipe.recv, None):
        new = text and value(key, text)
        item = store.write(COLLECTIONS[collection], key, "alice", lambda current, now, new=new: new)
        pipe.send(item and item.revision)


class OtherProcess:
    """A writer in another process, as a context manager."""

    def __init__(self, backend, folder, collection=THINGS):
        self.pipe, theirs = Pipe()
        self.process = forked(write_on_demand, backend, folder, collection.name, theirs)

    def __enter__(self):
        self.process.start()
        assert self.pipe.recv() == "ready"
        return self

    def put(self, key, text):
        """Write there; the new revision."""
        self.pipe.send((key, text))
        return self.pipe.recv()

    def __exit__(self, *error):
        self.pipe.send(None)
        self.process.join()
        self.pipe.close()


def newest_file(instance, collection, key):
    """The file with the newest version of a key, for damaging it."""
    return max(Path(instance, "data", collection, key).glob("*.jsonl"))


def files_below(folder):
    """The paths of all files below a folder, relative to it, sorted."""
    found = [[os.path.relpath(os.path.join(at, name), folder) for name in names] for at, _, names in os.walk(folder)]
    return sorted(itertools.chain.from_iterable(found))
