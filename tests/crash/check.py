"""Record writes, rebuild every state that a crash may leave of them, and check what the storage makes of it."""

import os
import shutil
from collections import defaultdict
from contextlib import suppress

from conftest import HeldClock
from storekit import THINGS, files_below, metrics, open_files, past, put, remove, value

from deploymetrics.storage import Item, durable

from .disk import MODIFIED_AT, Disk, materialise
from .record import Killed, PassedOn, Recorder

VERSIONS = 4
BY_HAND = "by hand "


class Violation(AssertionError):
    """A state in which the contract does not hold."""


def open_store(folder):
    # With a clock that stands still, equal writes leave equal files, whose states need to be checked only once.
    return open_files(folder, HeldClock(), versions=VERSIONS, days=36_500)


def record(folder, writes, *, below="instance", skip=None, kill_at=None):
    """The Recorder of ``writes``, pairs of a key and the metrics (None deletes), in a new instance folder ``below``.

    A list of metrics is put there as all the versions of a key; "by hand 0" puts 0 there, in a file that says no
    version. With ``kill_at`` the process that makes the writes is killed once, before the operation of that number, and
    another one goes on with the next write.
    """
    recorder = Recorder(folder, skip)
    recorder.below = below
    recorder.kill_at = kill_at
    views = defaultdict(list)
    with recorder.in_place():
        store = None
        for key, text in writes:
            try:
                store = store or open_store(folder / below)
                recorder.note("maybe", key, _after(views[key], text))
                write(store, key, text)
                views[key] = past(store, key)
                recorder.note("surely", key, views[key])
            except Killed:
                recorder.kill_at = store = None
                recorder.note("killed")
                with suppress(Killed):
                    views[key] = past(open_store(folder / below), key)
                    recorder.note("maybe", key, views[key])
    return recorder


def write(store, key, text):
    if text is None:
        return remove(store, key)
    if isinstance(text, list):
        return store.restore(THINGS, key, [_version(key, *one) for one in enumerate(text, 1)])
    if text and text.startswith(BY_HAND):
        # As a person does it who knows how: a synced file, renamed into its place.
        store._prepare(THINGS)
        data = f'{{"tag": "{key}", "metrics": {text.removeprefix(BY_HAND)}}}\n'
        durable.replace_file(store.path(THINGS, key), data.encode(), None)
        os.utime(store.path(THINGS, key), (MODIFIED_AT, MODIFIED_AT))
        return None
    return put(store, key, text)


def _version(key, number, text):
    data = None if text is None else value(key, text)
    return Item(key, data, None, number, f"2018-01-12T12:00:{number:02d}.000000Z", "alice", "", text is None)


def _after(view, text):
    """The history that a write makes of ``view``."""
    if isinstance(text, list):
        return list(enumerate(text, 1))[::-1][:VERSIONS + 1]
    version = view[0][0] + 1 if view else 1
    text = text and text.removeprefix(BY_HAND)
    return [(number, old) for number, old in [(version, text), *view] if number >= version - VERSIONS]


def check(recorder, folder, seen):
    """Check every state that is not in ``seen``, where a process was killed those from then on. Raises Violation."""
    disk = Disk()
    killed = ("killed",) not in recorder.operations
    allowed = defaultdict(lambda: [[]])
    for operation in recorder.operations:
        kind, *args = operation
        if kind == "killed":
            killed = True
        elif kind == "maybe":
            allowed[args[0]].append(args[1])
        elif kind == "surely":
            allowed[args[0]] = [args[1]]
        else:
            disk.apply(*operation)
        promised = repr(sorted(allowed.items()))
        for state in disk.states() if killed else ():
            identity = hash((promised, frozenset(state.items())))
            if identity not in seen:
                seen.add(identity)
                check_state(state, allowed, folder, recorder.below)


def check_state(state, allowed, folder, below):
    """Open the storage on one state, and see that every key has one of its allowed histories, and goes on well."""
    materialise(state, folder)
    try:
        with PassedOn().in_place():
            store = open_store(folder / below)
            for key, histories in allowed.items():
                _check_key(store, key, histories, state)
            if any(name.endswith(durable.DRAFT_SUFFIX) for name in files_below(folder)):
                raise Violation("a temporary file is left", state)
    finally:
        for path in folder.iterdir():
            shutil.rmtree(path)


def _check_key(store, key, histories, state):
    found = _seen(store, key, state)
    if found not in histories:
        raise Violation(key, found, histories, state)
    for text in ("1000", None, "1001") if found and found[0][1] is not None else ("1000",):
        write(store, key, text)
        found = _after(found, text)
    if _seen(store, key, state) != found:
        raise Violation("going on", key, found, past(store, key), state)


def _seen(store, key, state):
    """The history, once it is sure that all ways of reading say the same."""
    try:
        found = past(store, key)
        current = store.read(THINGS, key)
        listed = {item.key: metrics(item) for item in store.items(THINGS).items}.get(key)
    except Exception as error:
        raise Violation("cannot be read", error, state) from error
    shown = found[0][1] if found else None
    if (current and metrics(current)) != shown or listed != shown or store.items(THINGS).damaged:
        raise Violation("readers disagree", found, current, listed, state)
    return found
