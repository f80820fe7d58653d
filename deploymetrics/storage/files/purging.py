"""Purging: removing versions of a key for good, while a Writer holds its lock."""

import os
import re
import shutil
from contextlib import suppress

from .. import lines
from . import disk
from .version_log import CLOSED, NEWEST, TIERS, VersionLog
from .writer import Writer

# A line with the newline before it, or one of the versions in a line.
_LINE = re.compile(b"\n?[^\r\n]+")


def remove_older(writer: Writer) -> int:
    """Remove all versions but the newest; return how many files were changed."""
    log, newest = writer.log, writer.newest
    older = [(start, tier) for start, tier in log.files() if tier != NEWEST or start < newest.start]
    for start, tier in older:
        writer.remove_file(start, tier)
    *others, last = log.lines(newest.start, NEWEST, newest)
    if others:
        disk.replace_file(log.path(newest.start), last + b"\n" + CLOSED * newest.is_closed)
    return len(older) + bool(others)


def remove_version(writer: Writer, version: int) -> None:
    """Remove a version that is not the newest.

    Spaces take its place: what others know of the file, such as where a line ends in it, stays true.
    """
    log = writer.log
    files = [file for file in log.files() if file[0] <= version]
    for tier in TIERS:
        for start, _ in [file for file in files if file[1] == tier][-2:]:  # the later one may be empty
            path = log.path(start, tier)
            if version in map(log.version_of, log.lines(start, tier, writer.newest)):
                disk.replace_file(path, _LINE.sub(lambda line: _blanked(line[0], version), disk.read_file(path)))


def _blanked(line: bytes, version: int) -> bytes:
    """Replace a line by spaces if it is that of the version."""
    with suppress(ValueError):
        if lines.version_of(line.strip()) == version:
            return b" " * len(line)
    return line


def remove_drafts(log: VersionLog) -> None:
    """Remove the drafts that broken-off operations left, and sync all removals."""
    folder = log.folder
    with suppress(FileNotFoundError):
        shutil.rmtree(disk.draft_of(folder))
    with suppress(FileNotFoundError):
        for name in os.listdir(folder):
            if name.startswith("."):
                os.unlink(f"{folder}/{name}")
        disk.sync_folder(folder)
    with suppress(FileNotFoundError):
        disk.sync_folder(os.path.dirname(folder))
