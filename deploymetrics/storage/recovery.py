"""What a process does before it uses a kind: it finishes what other processes left that were killed or lost power.

Every process that starts looks for the drafts of killed writers. The first one after a boot also compares all files
with their histories, which a power loss may have left ahead of them. A file among the locks names the boot and the
folder for which that was done; a copy of an instance is another folder.
"""

import os
import time
from contextlib import suppress
from functools import cache
from operator import attrgetter

from . import durable, entries


def recover(store, kind, settle):
    """Call ``settle(key, put_at, wait=…)`` for every key of a kind of a JsonFiles storage that may need it.

    After a boot ``put_at`` tells from a stat result when a file was put in its place, else it is None. ``settle``
    returns whether it is done; if one is not, the next process compares all of them again.
    """
    mark = os.path.join(store.root, "locks", f"{kind.name}.boot")
    with durable.locked(mark):
        here, before = _where(store.root), _read_mark(mark)
        put_at = None
        if kind.history and (boot_id() is None or before != f"{boot_id()} {here}".encode()):
            put_at = _change_time if before.endswith(f" {here}".encode()) else attrgetter("st_mtime")
        done = [settle(key, put_at, wait=put_at is not None) for key in sorted(_keys(store, kind, put_at is not None))]
        if put_at and boot_id() and all(done):
            _write_mark(mark, f"{boot_id()} {here}".encode())


def _keys(store, kind, rebooted):
    names = os.listdir(store.folder(kind))
    found = {durable.drafted_name(name) for name in names}
    if rebooted:
        found.update(names)
    if kind.history:
        drafts = filter(None, map(durable.drafted_name, os.listdir(store.history_folder(kind))))
        found.update(name + entries.SUFFIX for name in drafts)
    return {entries.key_of(name) for name in found if name} - {None}


def _change_time(stat):
    """When a file was put there, in a folder that was here before: nobody can set that time. But what changed since
    the boot, as all times do in a copy and with ``chown -R``, tells nothing of what was there when the power went."""
    return stat.st_ctime if stat.st_ctime < boot_time() else stat.st_mtime


def boot_time():
    """When the machine was booted, in seconds."""
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)


def _where(root):
    """Which folder this is."""
    stat = os.stat(root)
    return f"{stat.st_dev} {stat.st_ino}"


@cache
def boot_id():
    """What tells one run of the machine's kernel from all others, or None where that cannot be known."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return None


def _read_mark(mark):
    with suppress(OSError):
        return durable.read_file(mark)[0] or b""
    return b""


def _write_mark(mark, text):
    with suppress(OSError):  # then the next process looks again
        durable.write_file(mark, text, sync=False)
