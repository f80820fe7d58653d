"""Purging: removing versions of a key for good, while a Writer holds its lock."""

import os
import re
import shutil
from contextlib import suppress

from .. import lines
from . import disk
from .version_log import NEWEST, TIERS, VersionLog
from .writer import Writer

_VERSION = re.compile(b"[^\r\n]+")


def remove_versions(writer: Writer, first: int, end: int) -> int:
    """Remove the versions from ``first`` up to ``end``, exclusive, at most the newest; return how many files changed.

    Spaces take the place of a version: what others know of the file, such as where a line ends in it, stays true.
    """
    log, newest = writer.log, writer.newest
    files = [file for file in log.files() if file[0] < end]
    is_all = (first, end) == (1, newest.version)
    if not is_all:  # the later one of a tier may be empty
        files = [file for tier in TIERS for file in [one for one in files if one[1] == tier][-2:]]

    def blanked(match: re.Match[bytes]) -> bytes:
        with suppress(ValueError):  # of what a crash left
            if first <= lines.version_of(match[0].strip(b" ")) < end:
                return b" " * len(match[0])
        return match[0]

    number = 0
    for file in files:
        path = log.path(*file)
        if is_all and file != (newest.start, NEWEST):
            os.unlink(path)
        elif (data := disk.read_file(path)) != (new := _VERSION.sub(blanked, data)):
            disk.replace_file(path, new)
        else:
            continue
        number += 1
    return number


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
