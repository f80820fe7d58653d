"""The format of an instance folder: written into a new one; another format is refused."""

import fcntl
import json
import os
from contextlib import suppress
from pathlib import Path

from ...errors import SettingError
from . import disk

#: Raised whenever an older release could not read what this one writes.
FORMAT = 2


def prepare(root: str) -> None:
    """Make ``data`` in the instance folder ``root`` if it is missing; raises SettingError for another format.

    Where nothing can be written the folder is read as it is.
    """
    if not check(root):
        with disk.storage_errors("open"):
            _make(f"{root}/data", f"{root}/data/format.json")


def check(root: str) -> bool:
    """Return True if the instance folder has this format, False if it is new; raises SettingError for another one."""
    path = f"{root}/data/format.json"
    try:
        format = json.loads(disk.read_file(path))["format"]
    except FileNotFoundError:
        return False
    except OSError as error:
        raise disk.as_storage_error(error, "open") from error
    except (ValueError, KeyError, TypeError) as error:
        raise SettingError(
            f'{path} does not say which format the instance has. Where this release wrote it, {{"format": {FORMAT}}}'
            " belongs into it."
        ) from error
    if format != FORMAT:
        raise SettingError(
            f"The instance folder {root} has the format {format}; this release reads {FORMAT}."
            " Use the release that wrote it."
        )
    return True


def _make(data: str, path: str) -> None:
    try:
        disk.make_folder(data)
        for folder in Path(data).parents:  # who made one of them may have been killed before its name was durable
            with suppress(OSError):
                disk.sync_folder(os.fspath(folder))
        with disk.opened(f"{data}/.", os.O_DIRECTORY) as fd:
            fcntl.flock(fd, fcntl.LOCK_EX)
            if not os.path.exists(path):  # else another process, which starts at the same time, has made it
                disk.replace_file(path, json.dumps({"format": FORMAT}).encode() + b"\n")
    except OSError as error:
        if error.errno not in disk.READ_ONLY:
            raise
