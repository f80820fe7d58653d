"""Bringing an instance folder of an earlier release over, from format 1 to format 2, wholly or not at all.

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

import msgspec

from .accounts.service import ACCOUNTS, AccountsRecord
from .clock import Clock, as_precise, from_precise
from .collector.states import COLLECTOR
from .documents.expectations import EXPECTATIONS
from .documents.service import DOCUMENTS
from .errors import DeploymetricsError, SettingError
from .formats import rawjson
from .starts import STARTS
from .storage import Collection, Item, Retention
from .storage.files import FileStorage, copies, disk, lines, queues

_AUTHOR = "upgrade"
_DRAFT = ".upgrade.tmp"
_OLD = ("history", "accounts", "leaving", "sessions", "failures", "expectations", "collector", "starts")
_HEAD: tuple[str, ...] = ("version", "changedAt", "changedBy")
_SEGMENT = re.compile(r"(\d{12,17})\.jsonl")
_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def upgrade(root: str, clock: Clock) -> bool:
    """Bring the instance folder over if it has format 1, and return True if that was done.

    Sessions and failed logins are left behind. Raises SettingError, and changes nothing, where something cannot be read
    or written.
    """
    if not _is_old(root) and not os.path.isdir(f"{root}/{_DRAFT}"):
        return False
    try:
        with disk.opened(f"{root}/.", os.O_DIRECTORY) as folder:
            queues.wait_for_lock(folder, root)
            _refuse_where_a_server_runs(root)
            return _upgrade(root, clock)
    except SettingError:
        raise
    except (OSError, ValueError, msgspec.MsgspecError, DeploymetricsError) as error:
        reason = getattr(error, "log", None) or error
        detail = f"The instance folder {root} has an older format and was not brought over: {reason}"
        raise SettingError(detail) from error


def check_format(root: str) -> None:
    """Raise SettingError for an instance folder that has to be brought over first."""
    if _is_old(root):
        raise SettingError(
            f"The instance folder {root} is of an earlier release. Stop its server, make a backup, and bring it over: "
            "deploymetrics storage upgrade"
        )


def _refuse_where_a_server_runs(root: str) -> None:
    """Raise SettingError where the collector of a server holds its lock: it would go on with the old files."""
    if not _is_old(root):
        return
    with disk.opened(f"{root}/locks/collector", os.O_RDWR | os.O_CREAT) as fd:
        if not disk.try_lock(fd, fcntl.LOCK_SH):
            raise SettingError(f"A server of an earlier release is running on {root}; stop it first.")


def _is_old(root: str) -> bool:
    return not os.path.exists(f"{root}/data/format.json") and any(os.path.isdir(f"{root}/{name}") for name in _OLD)


def _upgrade(root: str, clock: Clock) -> bool:
    draft, is_old = f"{root}/{_DRAFT}", _is_old(root)
    if is_old:
        shutil.rmtree(draft, ignore_errors=True)
        disk.make_folder(draft)
        _bring_over(OldFiles(root), FileStorage(draft, clock, Retention()))
        os.rename(f"{draft}/data", f"{root}/data")
        disk.sync_folder(root)
    # From here on it is done, and whoever comes next finishes what is left of it.
    if os.path.isdir(f"{draft}/deploymentmetrics"):
        shutil.rmtree(f"{root}/deploymentmetrics", ignore_errors=True)
        os.rename(f"{draft}/deploymentmetrics", f"{root}/deploymentmetrics")
    for name in (*_OLD, _DRAFT):
        shutil.rmtree(f"{root}/{name}", ignore_errors=True)
    return is_old


def _bring_over(old: "OldFiles", storage: FileStorage) -> None:
    for tag in old.keys(DOCUMENTS.name):
        if versions := old.versions(DOCUMENTS, tag):
            storage.restore(DOCUMENTS, tag, versions)
    for collection in (EXPECTATIONS, COLLECTOR, STARTS):
        for key in old.keys(collection.name):
            _store(storage, collection, key, old.value(collection.name, key))
    accounts = {name: msgspec.Raw(value) for name in old.keys("accounts") if (value := old.value("accounts", name))}
    if accounts:
        _store(storage, ACCOUNTS, AccountsRecord({}).key(), msgspec.json.encode({"accounts": accounts}))


def _store(storage: FileStorage, collection: Collection, key: str, value: bytes | None) -> None:
    storage.write(collection, key, _AUTHOR, lambda current, now: value)


class OldFiles:
    """The items in an instance folder of format 1."""

    def __init__(self, root: str) -> None:
        self.root = root

    def keys(self, name: str) -> list[str]:
        """Return the keys of a collection that have a current item or a history."""
        keys = {copies.key_of(file) for file in _names(f"{self.root}/{name}")}
        keys |= {lines.key_of(folder) for folder in _names(f"{self.root}/history/{name}")}
        return sorted(key for key in keys if key is not None)

    def value(self, name: str, key: str) -> bytes | None:
        """Return the value of the current item of a key as JSON, or None."""
        found = self._read(name, key)
        return found and found[0]

    def _read(self, name: str, key: str) -> tuple[bytes, dict[str, bytes]] | None:
        """Return the value of the current item of a key, and what the storage said of it; None without one."""
        path = f"{self.root}/{name}/{lines.name_of(key)}{copies.SUFFIX}"
        try:
            fields = _decode_fields(rawjson.compact(disk.read_file(path), rawjson.AROUND_METRICS))
        except FileNotFoundError:
            return None
        except (ValueError, msgspec.MsgspecError, DeploymetricsError) as error:
            raise ValueError(f"{path}: {error}") from error
        head = {name: bytes(fields.pop(name)) for name in _HEAD if name in fields}
        return msgspec.json.encode(fields), head

    def versions(self, collection: Collection, key: str) -> list[Item]:
        """Return every version of a key, oldest first, the current one last."""
        past = list(self._history(collection, key))
        newest = past[-1].version if past else 0
        found = self._read(collection.name, key)
        if found is None and self._import_ends_at(collection, key) > newest:
            return []
        if found is None:
            if past and not past[-1].deleted:  # somebody removed the file, so it was served no more
                past.append(Item(key, None, None, newest + 1, past[-1].changed_at, _AUTHOR, "", deleted=True))
            return past
        item = self._current(collection, key, *found)
        if any(one.value == item.value and one.version == (item.version or newest) for one in past):
            return past  # and what follows it there was acknowledged
        # The one that is not in its history yet, or one that somebody put there.
        return [*past, item._replace(version=max(item.version, newest + 1))]

    def _current(self, collection: Collection, key: str, value: bytes, head: dict[str, bytes]) -> Item:
        path = f"{self.root}/{collection.name}/{lines.name_of(key)}{copies.SUFFIX}"
        modified_at = as_precise(datetime.fromtimestamp(os.stat(path).st_mtime, UTC))
        told = {name: msgspec.json.decode(text) for name, text in head.items()}
        at = as_precise(from_precise(told.get("changedAt", modified_at)))
        record = collection.decode(value)
        if record.key() != key:
            raise ValueError(f"{path} says {record.key()!r}")
        return Item(key, value, record, told.get("version", 0), at, told.get("changedBy", ""), "")

    def _history(self, collection: Collection, key: str) -> Iterator[Item]:
        folder = f"{self.root}/history/{collection.name}/{lines.name_of(key)}"
        starts = sorted((int(match[1]), name) for name in _names(folder) if (match := _SEGMENT.fullmatch(name)))
        newest, torn = 0, None
        for _, name in starts:
            for line in filter(None, disk.read_file(f"{folder}/{name}").split(b"\n")):
                try:
                    item = lines.decode(collection, key, line)
                except DeploymetricsError as error:
                    torn = torn or error
                    continue
                if torn:
                    raise torn  # a crash leaves something torn at the end only
                if item.version > newest:
                    newest = item.version
                    yield item

    def _import_ends_at(self, collection: Collection, key: str) -> int:
        """Return the version with which an import ends that was not finished, or 0."""
        try:
            return int(disk.read_file(f"{self.root}/history/{collection.name}/{lines.name_of(key)}/unfinished"))
        except FileNotFoundError:
            return 0


def _names(folder: str) -> list[str]:
    with suppress(FileNotFoundError):
        return os.listdir(folder)
    return []
