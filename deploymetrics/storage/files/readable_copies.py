"""The readable copies: a file with the current value of each key, for people and other programs.

A copy is written after its version counts, in place and without a sync: putting a new file there costs fifty times as
much, more than the version itself. So whoever reads one at that very moment may see half of it, and a crash may leave
one that is old or torn. The next write of the key writes it again, and so does ``deploymetrics verify --repair``.
"""

import logging
import os
from contextlib import suppress

from .. import file_names
from . import disk
from .version_log import COPY_SUFFIX, VersionLog

_log = logging.getLogger(__name__)


def key_of(name: str) -> str | None:
    """Return the key of a copy's file name, or None."""
    return file_names.key_of(name.removesuffix(COPY_SUFFIX)) if name.endswith(COPY_SUFFIX) else None


def update(log: VersionLog, value: bytes | None, *, durable: bool = False) -> None:
    """Write the copy of a key, or remove it if the value is None. The caller holds the key's lock.

    What cannot be done is logged, since the version itself is stored; with ``durable`` it raises OSError.
    """
    if not log.copy:
        return
    try:
        if value is None:
            with suppress(FileNotFoundError):
                os.unlink(log.copy)
        else:
            try:
                disk.write_file(log.copy, value, durable=durable)
            except FileNotFoundError:
                disk.make_one_folder(os.path.dirname(log.copy))
                disk.write_file(log.copy, value, durable=durable)
        if durable and os.path.isdir(folder := os.path.dirname(log.copy)):
            disk.sync_folder(folder)
    except OSError as error:
        if durable:
            raise
        _log.warning("the copy %s was not written: %s", log.copy, error)


def is_right(log: VersionLog, value: bytes | None) -> bool:
    """Return True if the copy of a key has this value, or is missing if that is None."""
    try:
        return not log.copy or disk.read_file(log.copy) == value
    except FileNotFoundError:
        return value is None
    except OSError:
        return False
