"""Putting a key with all its versions into a storage of JSON files, wholly or not at all.

The history is written and synced as a draft and renamed into its place; then the file of the current version is put
there, and that is the commit. Until then a mark in the history names the version that is to come: where there is no
current version, a history that ends before that one does not count.
"""

import errno
import os
import re
import shutil

from ..errors import AlreadyThere
from . import durable, entries
from .segments import MARK, file_name, is_full

_NUMBER = re.compile(rb"[1-9][0-9]{0,17}")


def restore(past, path, current, items, *, dry_run=False):
    """Store the versions of a key, oldest first, as its history ``past`` (Segments) and its file ``path``.

    The caller holds the key's lock, and ``current`` is its current Item or None. False where the same versions are
    there already, perhaps after older ones; raises AlreadyThere where others are. ``dry_run`` stores nothing.
    """
    newest, lines = items[-1], [entries.line_of(item) for item in items]
    unfinished = current is None and is_unfinished(past)
    there = [] if unfinished else past.lines()
    if current and there[-1:] != [entries.line_of(current)]:
        there.append(entries.line_of(current))
    if there and there[-len(lines):] != lines:
        raise AlreadyThere(f"There are other versions of {newest.key!r} already; they were left as they are.")
    if dry_run:
        return not there
    if there:
        # Who put them there may have been killed before they were durable.
        for file in (past.folder, path):
            durable.sync_folder(os.path.dirname(file))
        remove_mark(past)
        return False
    discard_unfinished(past)
    if not newest.deleted:
        lines.pop()
    if lines:
        _place_history(past, lines, None if newest.deleted else newest.version)
    if not newest.deleted:
        durable.replace_file(path, entries.file_of(newest), None)
        remove_mark(past)
    return True


def is_unfinished(past):
    """Whether a history without a current version is what an import left that was not committed."""
    data, _ = durable.read_file(os.path.join(past.folder, MARK))
    if data is None:
        return False
    if not _NUMBER.fullmatch(data):
        raise past.damaged("its mark of an import is not a version")
    last = past.last()
    return last is not None and last.version < int(data)


def discard_unfinished(past):
    """Remove what an import left that was not committed; the caller holds the key's lock."""
    if is_unfinished(past):
        discard_draft(past)  # which would be in the way
        os.rename(past.folder, durable.draft_path(past.folder))
        durable.sync_folder(os.path.dirname(past.folder))
        discard_draft(past)


def discard_draft(past):
    """Remove the draft of a history that an import did not put in its place; the caller holds the key's lock."""
    shutil.rmtree(durable.draft_path(past.folder), ignore_errors=True)


def remove_mark(past):
    """Remove what says that an import is not finished, once it is."""
    durable.remove_quietly(os.path.join(past.folder, MARK))


def _place_history(past, lines, to_come):
    draft = durable.draft_path(past.folder)
    discard_draft(past)
    durable.make_folder(draft)
    try:
        for start, part in _parts(lines):
            durable.write_file(os.path.join(draft, file_name(start)), b"".join(part), os.O_EXCL, sync=True)
        if to_come:
            durable.write_file(os.path.join(draft, MARK), b"%d" % to_come, os.O_EXCL, sync=True)
        durable.sync_folder(draft)
        os.rename(draft, past.folder)
    except BaseException as error:
        discard_draft(past)
        if isinstance(error, OSError) and error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            raise AlreadyThere("There are other files in the folder of its history; they were left.") from error
        raise
    durable.sync_folder(os.path.dirname(past.folder))


def _parts(lines):
    """(first version, lines) of each file."""
    part = []
    for line in lines:
        if part and is_full(len(part), sum(map(len, part)), len(line)):
            yield _version(part[0]), part
            part = []
        part.append(line)
    yield _version(part[0]), part


def _version(line):
    return int(entries.HEAD.match(line)[1])
