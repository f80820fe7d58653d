"""How a version takes the place of the current one with a single sync, and what is left to do after a crash.

The line of the new version in the history is the commit. The file of the new version is written beside the current one
before that, and put in its place after it (for a deletion the current one is removed); neither is synced. So

- a process that is killed in between leaves its draft, and the next writer of the key, or the next process that starts,
  finishes what the history has;
- a power loss may leave a file that is older than the history's newest line, or torn. The first process after a boot
  compares the files with their histories and brings them up to date.

Only what the history has too is ever replaced, so whatever else a person put there stays.
"""

import os
from contextlib import nullcontext

from ..clock import from_precise
from . import durable, entries, exchange
from .segments import holds

# A file that was put there so long after the newest version is what somebody wants to be served, also an old one.
PUT_BACK = 60  # seconds


def supersede(past, end, path, line, data):
    """Add the ``line`` of a version at the ``end`` of the history ``past``, and put ``data``, the bytes of its file, in
    the place of the file ``path``; None deletes. The caller holds the key's lock."""
    if end.missing:  # whoever put the file there may not have synced it
        durable.sync_file(path)
        durable.sync_folder(os.path.dirname(path))
    draft = durable.write_draft(path, data or line, left=past.sync)
    try:
        past.append(end, line)
        _put(draft, path, deletes=data is None)
    except OSError:
        past.cut(end)  # where even that fails the draft stays, and the next writer finishes the write
        durable.remove_quietly(draft)
        raise


def has_draft(path):
    """Whether a process was killed while it wrote the next version of ``path``; the caller holds the key's lock."""
    return os.path.exists(durable.draft_path(path))


def settle(past, path, file, *, put_at=None):
    """Finish what a killed process left of a write and, after a boot, what a power loss left.

    ``file`` is what there is at ``path``, a File; one that cannot be decoded has no Item. After a boot ``put_at`` tells
    from its stat result when it was put there, in seconds. The caller holds the key's lock.
    """
    draft = durable.draft_path(path)
    left = durable.read_file(draft)[0]
    if left is not None:
        past.sync()
    if file.data is not None and (put_at or left is not None):
        with past.end_after(file.item) if file.item else nullcontext() as end:
            newest = past.last() if end is None or end.missing else None
        if newest and _is_left(past, newest, file):
            _finish(draft, path, newest, left, put_at and not _is_put_back(file, newest, put_at))
    if left is not None:
        durable.remove_quietly(draft)


def _finish(draft, path, newest, left, rebooted):
    """Put the file of ``newest`` in its place where the draft ``left`` is that, or where ``rebooted`` says so."""
    whole = entries.file_of(newest)
    if left != whole and not rebooted:
        return
    if left != whole and not newest.deleted:
        durable.write_draft(path, whole, sync=True)
        durable.give_to_owner(draft)
        at = from_precise(newest.changed_at).timestamp()
        os.utime(draft, (at, at))  # so that it is not taken for a file that somebody put there
    _put(draft, path, deletes=newest.deleted)


def _put(draft, path, *, deletes):
    if deletes:
        os.unlink(path)
        durable.remove_quietly(draft)
    else:
        exchange.put_in_place(draft, path)


def _is_left(past, newest, file):
    """Whether a file that is not of the ``newest`` version is one of those before it, or what may be left of one."""
    if file.item is None:
        return any(_is_torn(file.data, entries.file_of_line(line)) for line in past.lines())
    return any(holds(item, file.item) for item in past.newest_first(newest.version))


def _is_put_back(file, newest, put_at):
    """Whether somebody put a whole file there after the newest version was made."""
    return file.item is not None and put_at(file.stat) > from_precise(newest.changed_at).timestamp() + PUT_BACK


def _is_torn(data, whole):
    """Whether ``data`` is what may be on the disk of a file ``whole`` that was not synced: a part, with zeros in it."""
    return len(data) <= len(whole) and all(byte in (0, meant) for byte, meant in zip(data, whole))
