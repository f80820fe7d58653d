"""Upgrading an instance folder of an earlier release from format 1 to format 2, wholly or not at all.

    deploymentmetrics/custom.json               the current document, with who wrote it and when
    history/deploymentmetrics/custom/…1.jsonl   its versions, one a line; the current one may be missing
    accounts/, expectations/, …                 the other items, a file each

Everything is written into a draft beside it. Renaming that into its place is the commit; then the old folders go.
"""

import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import msgspec

from .accounts.records import ACCOUNTS, ACCOUNTS_KEY
from .clock import Clock, as_precise, from_precise
from .collector.states import COLLECTOR
from .documents.expectations import EXPECTATIONS
from .documents.service import DOCUMENTS
from .errors import DeploymetricsError, SettingError
from .formats import rawjson
from .start_record import STARTS
from .storage import Collection, Item, Retention, file_names, lines
from .storage.files import FileStorage, disk, readable_copies
from .storage.files.group_commit import Queue
from .storage.files.version_log import COPY_SUFFIX

_AUTHOR = "upgrade"
_DRAFT = ".upgrade.tmp"
_OLD = ("history", "accounts", "leaving", "sessions", "failures", "expectations", "collector", "starts")
_HEAD: tuple[str, ...] = ("version", "changedAt", "changedBy")
_SEGMENT = re.compile(r"(\d{12,17})\.jsonl")
_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def upgrade(root: str, clock: Clock) -> None:
    """Upgrade the instance folder if it has format 1.

    Sessions and failed logins are left behind. Raises SettingError, and changes nothing, where something cannot be read
    or written.
    """
    if not _has_format_1(root) and not os.path.isdir(f"{root}/{_DRAFT}"):
        return
    try:
        with disk.opened(f"{root}/.", os.O_DIRECTORY) as folder:
            Queue().lock(folder, root)
            _upgrade_locked(root, clock)
    except SettingError:
        raise
    except (OSError, ValueError, msgspec.MsgspecError, DeploymetricsError) as error:
        reason = getattr(error, "log", None) or error
        detail = f"The instance folder {root} has an older format and was not brought over: {reason}"
        raise SettingError(detail) from error


def check_format(root: str) -> None:
    """Raise SettingError if the instance folder has format 1."""
    if _has_format_1(root):
        raise SettingError(
            f"The instance folder {root} is of an earlier release. Stop its server, make a backup, and bring it over: "
            "deploymetrics storage upgrade"
        )


def _has_format_1(root: str) -> bool:
    return not os.path.exists(f"{root}/data/format.json") and any(os.path.isdir(f"{root}/{name}") for name in _OLD)


def _upgrade_locked(root: str, clock: Clock) -> None:
    draft = f"{root}/{_DRAFT}"
    if _has_format_1(root):
        # The collector of a server that runs has this lock; it would go on with the old files.
        with disk.opened(f"{root}/locks/collector", os.O_RDWR | os.O_CREAT) as fd:
            if not disk.try_lock(fd, fcntl.LOCK_SH):
                raise SettingError(f"A server of an earlier release is running on {root}; stop it first.")
        shutil.rmtree(draft, ignore_errors=True)
        disk.make_folder(draft)
        _convert(OldFiles(root), FileStorage(draft, clock, Retention()))
        os.rename(f"{draft}/data", f"{root}/data")
        disk.sync_folder(root)
    # From here on it is done, and whoever comes next finishes what is left of it.
    if os.path.isdir(f"{draft}/deploymentmetrics"):
        shutil.rmtree(f"{root}/deploymentmetrics", ignore_errors=True)
        os.rename(f"{draft}/deploymentmetrics", f"{root}/deploymentmetrics")
    for name in (*_OLD, _DRAFT):
        shutil.rmtree(f"{root}/{name}", ignore_errors=True)


def _convert(old: "OldFiles", storage: FileStorage) -> None:
    """Store all items of the old format in a storage of the new one."""
    for tag in old.keys(DOCUMENTS.name):
        if versions := old.versions(tag):
            storage.restore(DOCUMENTS, tag, versions)
    for collection in (EXPECTATIONS, COLLECTOR, STARTS):
        for key in old.keys(collection.name):
            _store(storage, collection, key, old.value(collection.name, key)[0])
    accounts = {name: msgspec.Raw(value) for name in old.keys("accounts") if (value := old.value("accounts", name)[0])}
    if accounts:
        _store(storage, ACCOUNTS, ACCOUNTS_KEY, msgspec.json.encode({"accounts": accounts}))


def _store(storage: FileStorage, collection: Collection, key: str, value: bytes | None) -> None:
    storage.write(collection, key, _AUTHOR, lambda current, now: value)


class OldFiles:
    """Reads the items in an instance folder of format 1."""

    def __init__(self, root: str) -> None:
        self.root = root

    def keys(self, name: str) -> list[str]:
        """Return the keys of a collection's items, also of deleted ones with a history."""
        keys = {readable_copies.key_of(file) for file in _list_folder(f"{self.root}/{name}")}
        keys |= {file_names.key_of(folder) for folder in _list_folder(f"{self.root}/history/{name}")}
        return sorted(key for key in keys if key is not None)

    def versions(self, tag: str) -> list[Item]:
        """Return every version of a document, oldest first, also of a current one that its history lacks."""
        folder = f"{self.root}/history/{DOCUMENTS.name}/{file_names.name_of(tag)}"
        versions = list(_read_history(folder, tag))
        newest = versions[-1].version if versions else 0
        current = self._current(tag)
        if current is None:
            with suppress(FileNotFoundError):  # the version with which an import ends, where that was not finished
                if int(disk.read_file(f"{folder}/unfinished")) > newest:
                    return []
            if versions and not versions[-1].deleted:  # somebody removed the file, so it was served no more
                changed_at = versions[-1].changed_at
                versions.append(Item(tag, None, None, newest + 1, changed_at, _AUTHOR, "", deleted=True))
            return versions
        # What follows the current one in its history was acknowledged. If it is not there, it was about to be added, or
        # somebody wrote the file.
        if not any(
            version.value == current.value and version.version == (current.version or newest) for version in versions
        ):
            versions.append(current._replace(version=max(current.version, newest + 1)))
        return versions

    def _path(self, name: str, key: str) -> str:
        return f"{self.root}/{name}/{file_names.name_of(key)}{COPY_SUFFIX}"

    def value(self, name: str, key: str) -> tuple[bytes | None, dict[str, Any]]:
        """Return (value as JSON or None, members of _HEAD) from the file of the current item of a key."""
        path = self._path(name, key)
        try:
            fields = _decode_fields(rawjson.compact(disk.read_file(path), rawjson.AROUND_METRICS))
        except FileNotFoundError:
            return None, {}
        except (ValueError, msgspec.MsgspecError, DeploymetricsError) as error:
            raise ValueError(f"{path}: {error}") from error
        head = {name: msgspec.json.decode(fields.pop(name)) for name in _HEAD if name in fields}
        return msgspec.json.encode(fields), head

    def _current(self, tag: str) -> Item | None:
        """Return the current Item of a document, or None; its version is 0 if the file does not say it."""
        path, (value, head) = self._path(DOCUMENTS.name, tag), self.value(DOCUMENTS.name, tag)
        if value is None:
            return None
        record = DOCUMENTS.decode(value)
        if record.key() != tag:
            raise ValueError(f"{path} says {record.key()!r}")
        modified_at = as_precise(datetime.fromtimestamp(os.stat(path).st_mtime, UTC))
        at = as_precise(from_precise(head.get("changedAt", modified_at)))
        return Item(tag, value, record, head.get("version", 0), at, head.get("changedBy", ""), "")


def _read_history(folder: str, tag: str) -> Iterator[Item]:
    files = sorted((int(match[1]), name) for name in _list_folder(folder) if (match := _SEGMENT.fullmatch(name)))
    newest, torn = 0, None
    for _, name in files:
        for line in filter(None, disk.read_file(f"{folder}/{name}").split(b"\n")):
            try:
                item = lines.decode(DOCUMENTS, tag, line)
            except DeploymetricsError as error:
                torn = torn or error
                continue
            if torn:
                raise torn  # a crash leaves something torn at the end only
            if item.version > newest:
                newest = item.version
                yield item


def _list_folder(folder: str) -> list[str]:
    with suppress(FileNotFoundError):
        return os.listdir(folder)
    return []
