"""Record operations of the storage, rebuild every state that a crash may leave, and check what it makes of it."""

import functools
import itertools
import os
import re
import shutil
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from conftest import HeldClock
from storekit import THINGS, open_files, put, put_together, remove, value

from deploymetrics.storage import Collection, Item

from .disk import Disk, materialise
from .record import Killed, Killing, Recorder, tree

#: Enough versions that three are in a file.
LIMITS = {"versions": 24}


#: A step that removes what is past the limits.
TRIM = object()


class Seen(set):
    """The states that were checked and are good; what is there counts, and what was promised of it then.

    ``found`` has what there was in each, since the same is on the disk before and after a promise changes.
    """

    def __init__(self):
        super().__init__()
        self.found = {}


class Violation(AssertionError):
    """A state in which the contract does not hold."""


class Work(NamedTuple):
    """Operations on a collection of an instance folder ``below`` an empty one, under the limits of a Retention.

    A step is (key, text) for a write, None as the text deletes; (key, (texts)) for writes that are stored together;
    (key, [texts]) for a restore; (key, number) purges a
    version, all of them for 0; (key, TRIM) trims; (None, timedelta) lets time pass. ``is_purged``: in the end all is
    purged.
    """

    steps: list
    collection: Collection = THINGS
    limits: dict = LIMITS
    below: str = "instance"
    is_purged: bool = False


class Promise:
    """What may be found of a key: ``newest`` maps each newest (version, metrics) to what must be there then.

    ``may`` is all that may be there.
    """

    def __init__(self):
        self.newest = {None: frozenset()}
        self.may = set()
        self.purged = set()

    def begin(self, newest, must):
        """Expect an operation that may be there from now on, and is there wholly then."""
        kept = {old: there & must | {old} - {None} if old == newest else there for old, there in self.newest.items()}
        self.newest = {newest: must} | kept
        self.may |= must

    def end(self, found):
        """Expect nothing but this; what was thinned out may be there again."""
        self.newest = {_newest(found): frozenset(found)}
        self.may |= set(found)

    def allows(self, found):
        must = self.newest.get(_newest(found))
        return must is not None and must <= set(found) <= self.may

    def purge(self, found):
        """Expect nothing of what is not in ``found``, anywhere."""
        self.purged |= {f'"metrics":{text}}}'.encode() for _, text in self.may - set(found) if text}
        self.may = set(found)


def _newest(found):
    return max(found, default=None)


def record(work, *, skip=None, kill_at=None, is_looked_at=True):
    """Return the Recorder of a Work. With ``kill_at`` the process is killed once, before the change of that number.

    Another one goes on with the next step then, after it read the key, or without that if not ``is_looked_at``.
    """
    with folder() as root:
        recorder = Recorder(root, skip, kill_at)
        with recorder.in_place():
            _carry_out(work, recorder, root, is_looked_at)
        recorder.assert_complete()
        close_below(root)
        return recorder


def _carry_out(work, recorder, root, is_looked_at):
    store, clock, is_known = None, HeldClock(), True

    def see():
        return view(store, work.collection, key)

    for key, what in work.steps:
        if key is None:
            clock.at += what
            continue
        after = {}  # filled in when it is known
        recorder.note("begin", key, what, after)
        try:
            store = store or open_files(root / work.below, clock, **work.limits)
            if is_known:
                after["is"] = intended(see(), what, work.collection)
            carry_out(store, work.collection, key, what)
            after["is"] = see()
            recorder.note("end", key, what, after["is"])
            is_known = True
        except Killed:
            recorder.kill_at = store = None
            recorder.note("killed")
            close_below(root)
            # Readers cannot know of a rename of a whole log that is not durable yet; the next write makes it so.
            is_known = is_looked_at and not is_rename(work.collection, what)
            if is_known:
                store = open_files(root / work.below, clock, **work.limits)
                recorder.note("end", key, "read", see())


def is_rename(collection, what):
    """Return True for a step that is done by the rename of a folder."""
    last = what[-1] if isinstance(what, tuple) else what
    return isinstance(what, list) or (last is None and not collection.history)


def carry_out(store, collection, key, what):
    """Carry out a step; what it returns."""
    if isinstance(what, list):
        return store.restore(collection, key, [_item(key, *one) for one in enumerate(what, 1)])
    if isinstance(what, int):
        return store.purge(collection, key, "alice", what or None)
    if what is TRIM:
        return store.trim(collection, key)
    if isinstance(what, tuple):
        outcomes = put_together(store, key, what, collection)
        for error in outcomes:
            if isinstance(error, BaseException):
                raise error
        return outcomes
    return remove(store, key, collection=collection) if what is None else put(store, key, what, collection=collection)


def _item(key, number, text):
    data = None if text is None else value(key, text)
    return Item(key, data, None, number, f"2018-01-12T12:00:{number:02d}.000000Z", "alice", "", text is None)


def intended(before, what, collection):
    """Return the history that a step makes of ``before``, apart from what is thinned out."""
    if what is TRIM:
        return before
    if isinstance(what, tuple):
        return functools.reduce(lambda found, text: intended(found, text, collection), what, before)
    version = max(before)[0] if before else 0
    if isinstance(what, list):
        return before or list(enumerate(what, 1))[::-1]
    if isinstance(what, int):
        is_current = bool(before) and before[0][1] is not None and what in (0, version)
        kept = [one for one in before if what and one[0] != what or one[1] is None and one == before[0]]
        return [*([(version + 1, None)] if is_current else ()), *kept]
    if what is None and not (before and before[0][1] is not None):
        return before
    if not collection.history:
        return [] if what is None else [(version + 1, what)]
    return [(version + 1, what), *before]


def view(store, collection, key):
    """Return the history as (version, metrics) pairs, once it is sure that all ways of reading say the same."""
    found = history(store, collection, key)
    current, listing = store.read(collection, key), store.items(collection)
    listed = dict(zip((item.key for item in listing.items), listing.values(), strict=True)).get(key)
    listed = listed and metrics_of(listed)
    shown = found[0][1] if found else None
    if (current and text_of(current)) != shown or listed != shown or listing.damaged:
        raise Violation("readers disagree", key, found, current, listed, listing.damaged)
    return found


def history(store, collection, key):
    """Return the history as (version, metrics) pairs, newest first."""
    return [(item.version, text_of(item)) for item in store.history(collection, key)]


def text_of(item):
    return None if item.deleted else metrics_of(item.value)


def metrics_of(value):
    return bytes(THINGS.decode(value).metrics).decode()


def check(work, recorder, seen, *, only_last=False):
    """Check every state that is not in ``seen``, where a process was killed those from then on. Raises Violation.

    ``only_last``: check only those that a power loss after the last operation leaves.
    """
    disk, promises, key = Disk(), {}, None
    is_on = ("killed",) not in recorder.operations
    last = len(recorder.operations) - 1
    with folder() as root:
        for number, operation in enumerate(recorder.operations):
            kind, *args = operation
            if kind == "killed":
                is_on = True
            elif kind == "begin":
                key, what, after = args
                disk.grow_old()
                promise = promises.setdefault(key, Promise())
                if "is" in after:
                    promise.begin(_newest(after["is"]), frozenset(after["is"]))
            elif kind == "end":
                key, what, found = args
                promises[key].end(found)
                if what == 0 or what and isinstance(what, int):
                    promises[key].purge(found)
            else:
                disk.apply(*operation)
            if is_on and (number == last or not only_last):
                _check_states(work, disk, promises, key, root, seen)


def _check_states(work, disk, promises, key, root, seen):
    promised = frozenset(
        (key, frozenset(promise.newest.items()), frozenset(promise.may)) for key, promise in promises.items()
    )
    limits = repr((work.collection.name, work.limits, work.is_purged))
    for state in disk.states():
        relevant = frozenset(_relevant(work, state))
        identity = hash((limits, promised, relevant))
        if identity not in seen:
            there = hash((limits, key, tuple(promises), relevant))
            try:
                _check_purged(promises, state)
                _check_closed(work, state)
                if there not in seen.found:
                    seen.found[there] = _found(work, state, list(promises), key, root)
                _check_promises(work, promises, seen.found[there])
            except Violation as error:
                error.args = *error.args, state
                raise
            seen.add(identity)


def _check_purged(promises, state):
    purged = itertools.chain.from_iterable(promise.purged for promise in promises.values())
    for text, data in itertools.product(purged, state.values()):
        if data and text in data:
            raise Violation("purged, and there", text)


def _check_closed(work, state):
    """See that a file is not as it was while it was the newest, once there is a later one.

    A reader that lives on, while a disk goes and comes back, can tell only so that what it knows is outdated.
    """
    if not work.collection.durable or any(isinstance(what, list) for _, what in work.steps):
        return  # a restore makes all files at once
    files = sorted(path for path in state if re.search(r"/\d{17}\.jsonl$", path))
    for path, later in itertools.pairwise(files):
        if os.path.dirname(path) == os.path.dirname(later) and state[path][-1:] in (b"", b"\n"):
            raise Violation("a later file, and nothing tells", path)


def _check_promises(work, promises, histories):
    for key, promise in promises.items():
        found = histories[key]
        if not (promise.allows(found) if work.collection.durable else set(found) <= promise.may):
            raise Violation(key, found, promise.newest, promise.may)


def _found(work, state, keys, last, root):
    """Return the history of each key in a state, once it is sure that ``last`` goes on well there."""
    materialise(state, root)
    try:
        return look_at_folder(work, keys, last, root)
    finally:
        close_below(root)
        for path in root.iterdir():
            shutil.rmtree(path)


def _relevant(work, state):
    """Return what tells states apart: not what tells lists of changes, nor copies, unless nothing may be in them."""
    others = (f"{work.below}/data/{work.collection.name}/.changes",)
    if not work.is_purged:
        others += (f"{work.below}/{work.collection.name}/",)
    return [item for item in state.items() if not item[0].startswith(others)]


def look_at_folder(work, keys, last, root):
    """Open the storage on a folder, and return the history of each key; see that ``last`` goes on well."""
    clock = HeldClock()
    clock.forward(days=30)
    instance, limits = root / work.below, work.limits
    try:
        store = open_files(instance, clock, **limits)
        found = {key: view(store, work.collection, key) for key in keys}
        go_on(store, work.collection, last, instance, found.get(last))
        if any(key == last for key, sentence in store.verify(work.collection)):
            raise Violation("verify", list(store.verify(work.collection)))
        if work.is_purged:
            _purge_all(store, work, keys, root)
        return found
    except Violation:
        raise
    except Exception as error:
        raise Violation("an error", repr(error), getattr(error, "log", "")) from error


def go_on(store, collection, key, instance, seen=None):
    """Write, delete and write again, and see what comes of it; ``seen`` is what is there, where that is known."""
    expected = view(store, collection, key) if seen is None else seen
    for text in ("1000", None, '"%s"' % ("y" * 5000)):
        before, expected = expected, intended(expected, text, collection)
        carry_out(store, collection, key, text)
        found = view(store, collection, key)
        if found[:1] != expected[:1] or not set(found) <= set(expected):
            raise Violation("going on", key, text, found, before)
        expected = found
        if collection.copies:
            _check_copy(instance / collection.name / f"{key}.json", text and value(key, text))


def _check_copy(path, expected):
    with suppress(FileNotFoundError):
        data = path.read_bytes()
        if data != expected:
            raise Violation("the copy is not right", path.name, data)
        return
    if expected is not None:
        raise Violation("there is no copy", path.name)


def _purge_all(store, work, keys, root):
    """See that nothing has anything of a key that is purged, also of what a crash left."""
    for key in keys:
        store.purge(work.collection, key, "alice")
    left = [path for path, data in tree(root).items() if data and b'"metrics"' in data]
    if left:
        raise Violation("purged, and there", left)


@contextmanager
def folder():
    """Give an empty folder, in memory where there is such a place: nothing in here needs a real disk."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as path:
        yield Path(os.path.realpath(path))


def close_below(root):
    """Close all files below a folder, as the end of the process would that has them open."""
    for fd in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            if os.readlink(f"/proc/self/fd/{fd}").startswith(f"{root}/"):
                os.close(int(fd))


def run(work, seen=None, **options):
    """Record and check; (the Recorder, how many states there were until now)."""
    seen = Seen() if seen is None else seen
    recorder = record(work, **options)
    check(work, recorder, seen)
    return recorder, len(seen)


def kill_beside_another(work, step, kill_at):
    """See that readers in a process that lives on agree after one is killed before that change of a step of a Work."""
    with folder() as root:
        killing = Killing(root, kill_at)
        if step:
            first = open_files(root / work.below, HeldClock(), **work.limits)
            for key, what in work.steps[:step]:
                if key:
                    carry_out(first, work.collection, key, what)
        key, what = work.steps[step]
        other = open_files(root / work.below, HeldClock(), **work.limits) if step else None
        before = view(other, work.collection, key) if other else []
        with killing.in_place(), suppress(Killed):
            carry_out(open_files(root / work.below, HeldClock(), **work.limits), work.collection, key, what)
        other = other or open_files(root / work.below, HeldClock(), **work.limits)
        # A whole log comes and goes by a rename; a list that was not told of it is told by the next write of the key.
        is_renamed = is_rename(work.collection, what)
        found = (history if is_renamed else view)(other, work.collection, key)
        if is_renamed:
            carry_out(other, work.collection, key, "0")
        after = intended(before, what, work.collection)
        assert set(found) <= {*before, *after} and found[:1] in (before[:1], after[:1])
        go_on(other, work.collection, key, root / work.below)
        close_below(root)


def changes(work):
    """Return how many changes a Work takes."""
    return record(work).counted
