"""Putting a key with all its versions into a storage of JSON files, wholly or not at all.

The history is made aside, renamed into its place and synced; then the file of the current version is, and that is the
commit. Until then a mark in the history says which version is to come: a history that has not come that far does not
count where there is no current version.
"""

import os
import shutil

from ..errors import AlreadyThere
from . import durable, entries
from .segments import SEGMENT_BYTES, SEGMENT_LINES, file_name

MARK = "unfinished"


def restore(past, path, current, items):
    """Store the versions of a key, oldest first, as its history ``past`` (Segments) and its file ``path``.

    The caller holds the key's lock, and ``current`` is its current Item or None. False where the same versions are
    there already; raises AlreadyThere where others are.
    """
    newest = items[-1]
    lines = [_line(item) for item in (items if newest.deleted else items[:-1])]
    if is_there(past, current, items):
        # Who put them there may have been killed before they were durable.
        for file in [past.folder, path] if lines else [path]:
            durable.sync_folder(os.path.dirname(file))
        return False
    there = past.lines()
    if current or (there and there != lines):
        raise AlreadyThere(f"There are other versions of {newest.key!r} already; they were left as they are.")
    if lines and not there:
        _place_history(past.folder, lines, None if newest.deleted else newest.version)
    elif lines:
        durable.sync_folder(os.path.dirname(past.folder))  # who placed it may have been killed before that
    if not newest.deleted:
        head = entries.Head(newest.version, newest.changed_at, newest.changed_by)
        durable.replace_file(path, entries.encode(head, newest.value), None)
        durable.remove_quietly(os.path.join(past.folder, MARK))
    return True


def is_unfinished(past):
    """Whether a history without a current version is what an import left that was not committed."""
    data, _ = durable.read_file(os.path.join(past.folder, MARK))
    last = past.last() if data else None
    return last is not None and last.version < int(data)


def discard_unfinished(past):
    """Remove what an import left that was not committed; the caller holds the key's lock."""
    if is_unfinished(past):
        draft = durable.temporary_name(past.folder)
        shutil.rmtree(draft, ignore_errors=True)
        os.rename(past.folder, draft)
        durable.sync_folder(os.path.dirname(past.folder))
        shutil.rmtree(draft, ignore_errors=True)


def is_there(past, current, items):
    """Whether these versions, and no others, are there already."""
    there = past.lines() + ([_line(current)] if current else [])
    return there == [_line(item) for item in items]


def _line(item):
    head = entries.Head(item.version, item.changed_at, item.changed_by, item.deleted)
    return entries.encode(head, item.value, between=b",")


def _place_history(folder, lines, to_come):
    draft = durable.temporary_name(folder)
    shutil.rmtree(draft, ignore_errors=True)
    durable.make_folder(draft)
    try:
        for start, part in _parts(lines):
            _write(os.path.join(draft, file_name(start)), part)
        if to_come:
            _write(os.path.join(draft, MARK), [b"%d" % to_come])
        durable.sync_folder(draft)
        os.rename(draft, folder)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    durable.sync_folder(os.path.dirname(folder))


def _parts(lines):
    """(first version, lines) of each file."""
    part = []
    for line in lines:
        if part and (len(part) >= SEGMENT_LINES or sum(map(len, part)) + len(line) > SEGMENT_BYTES):
            yield _version(part[0]), part
            part = []
        part.append(line)
    yield _version(part[0]), part


def _version(line):
    return int(entries.HEAD.match(line)[1])


def _write(path, lines):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, durable.FILE_MODE)
    try:
        durable.write_all(fd, b"".join(lines))
        os.fsync(fd)
    finally:
        os.close(fd)
