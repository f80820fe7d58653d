"""Reading everything that a storage of JSON files has of a kind, and telling what is not right."""

import os
from itertools import pairwise

from ..clock import from_precise
from ..errors import StorageError
from . import durable, entries, restoring, superseding


def verify(store, kind):
    """Yield (what, sentence) for each finding in a kind of a JsonFiles storage."""
    for folder in [store.folder(kind), store.history_folder(kind)] if kind.history else [store.folder(kind)]:
        yield from _strangers(folder)
    for key in store.keys(kind):
        try:
            sentences = _problems(store, kind, key)
            if sentences:
                with store.locked(kind, key):  # what a writer was in the middle of is no problem
                    sentences = _problems(store, kind, key)
            for sentence in sentences:
                yield key, sentence
        except StorageError as error:
            yield key, error.log or error.detail


def _strangers(folder):
    """Files that are neither an item's nor a draft of one: put there by hand, under a name that is never looked for."""
    for name in sorted(os.listdir(folder)):
        plain = name if os.path.isfile(os.path.join(folder, name)) else name + entries.SUFFIX
        if not durable.drafted_name(name) and entries.key_of(plain) is None:
            yield name, f"{os.path.basename(folder)}/{name} is not the name of an item, and is not served"


def _problems(store, kind, key):
    past, current = store.past(kind, key), store.read(kind, key)
    if not kind.history:
        return [] if current or not os.path.lexists(store.path(kind, key)) else [f"the file of {key} cannot be read"]
    if current is None and restoring.is_unfinished(past):
        return [f"an import of {key} was not finished; it can be repeated"]
    found = _gaps(key, store.history(kind, key))
    if not superseding.has_draft(store.path(kind, key)):  # else the next writer finishes what a killed one began
        found += _ends(key, current, past.last())
    if os.path.isdir(past.folder):
        found += [f"history of {key}: {sentence}" for sentence in past.problems()]
    return found


def _gaps(key, items):
    found = []
    for newer, older in pairwise(items):
        if older.version != newer.version - 1:
            found.append(f"between the versions {older.version} and {newer.version} of {key} some are missing")
        if from_precise(older.changed_at) > from_precise(newer.changed_at):
            found.append(f"version {newer.version} of {key} is earlier than version {older.version}")
    return found


def _ends(key, current, newest):
    """What is wrong between the current item and the newest version in its history."""
    if current is None and newest is None:
        yield f"the file of {key} cannot be read, or its history is empty"
    elif current is None and not newest.deleted:
        yield f"the file of {key} is missing: version {newest.version} is the last one, and no deletion"
    elif current and newest is None and current.version > 1:
        yield f"the versions of {key} before {current.version} are missing"
    elif current and newest and newest.version > current.version:
        yield f"the file of {key} has version {current.version}, its history goes on to {newest.version}"
