"""What a list knows of each key: its newest version, and where in which file that stands.

So a value is read without a look at the rest of its log, and a look at the disk tells that nothing is newer.

The file ``.list`` of a collection has what a list knew, so that another process does not read every log anew. Nothing
is taken from it that was not compared with the disk. So it does no harm where it is old, came with a backup, or is
gone.
"""

import os
from collections.abc import Iterable
from contextlib import suppress
from hashlib import blake2b

import msgspec

from ...errors import StorageError
from .. import Entry, Item, file_names, lines
from . import disk
from .version_log import FILE_NAME, NEWEST, Newest, VersionLog, signature_of

SAVED = ".list"
#: What stands before a value in its line is shorter, unless the author has a very long name.
_HEAD_BYTES = 512
_TITLE = b"deploymetrics list 2\n"
_DIGEST_BYTES = 16


class Location(Entry, frozen=True, gc=False, array_like=True):
    """An Entry, or a deletion, with the place of its line: in the file that begins with the version ``start``.

    The line ends there at the offset ``end``; ``signature`` is that of the Newest.
    """

    start: int
    end: int
    signature: int
    kept: bool

    @property
    def path(self) -> str:
        """The path of the file, in the folder of the collection."""
        return f"{file_names.name_of(self.key)}/{FILE_NAME % (self.start, NEWEST)}"

    @property
    def deleted(self) -> bool:
        """True for a deletion, which has no value."""
        return self.size == 0


_decode_locations = msgspec.msgpack.Decoder(list[Location]).decode


def location_of(newest: Newest) -> Location | None:
    """Return the Location of the newest version, or None if there is none."""
    if (item := newest.item) is None:
        return None
    entry = item.key, item.version, item.changed_at, item.changed_by, item.revision, item.size
    return Location(*entry, newest.start, newest.end - newest.is_ended, newest.signature, item.kept)


def read_newest(last: Location, log: VersionLog) -> Newest | None:
    """Return the Newest of a key if that is still this version, and can be read."""
    try:
        with disk.opened(path := log.path(last.start)) as fd:
            signature, line = signature_of(os.fstat(fd)), _line_of(last, fd)
        value = None if last.deleted else _value_in(line, last)
        record = None if value is None else log.collection.decode(value)
        head = last.version, last.changed_at, last.changed_by, last.revision, last.deleted, last.kept
        newest = Newest(log, Item(last.key, value, record, *head), last.start, last.end + 1, signature, path)
    except (OSError, msgspec.MsgspecError):
        return None
    return newest if signature == last.signature and lines.revision_of(line) == last.revision else None


def read_value(location: Location, log: VersionLog) -> bytes:
    """Read the value at a Location, also if newer versions exist; raises StorageError if it was removed."""
    with suppress(FileNotFoundError), disk.opened(log.path(location.start)) as fd:
        line = _line_of(location, fd)
        if lines.revision_of(line) == location.revision:
            return _value_in(line, location)
    newest = log.newest()
    item = newest.item if newest.version == location.version else log.find(location.version, newest)
    if item is None or item.revision != location.revision or item.value is None:
        log_line = f"{log.folder}: version {location.version} is gone"
        raise StorageError("A document of the list was removed while it was read; try again.", log=log_line)
    return item.value


def _line_of(location: Location, fd: int) -> bytes:
    """Read the line at a Location; the caller compares its revision, since the file may be another one."""
    begin = max(location.end - location.size - _HEAD_BYTES, 0)
    return os.pread(fd, location.end - begin, begin).rpartition(b"\n")[2].rpartition(lines.TOGETHER)[2].strip(b" ")


def _value_in(line: bytes, location: Location) -> bytes:
    return b"{%b" % line[1 - location.size :]


def load(folder: str) -> list[Location]:
    """Load the Locations that were saved last; none if the file is missing or damaged."""
    with suppress(OSError, msgspec.MsgspecError):
        data = memoryview(disk.read_file(f"{folder}/{SAVED}"))
        content = data[len(_TITLE) + _DIGEST_BYTES :]
        if data[: -len(content)] == _TITLE + _digest_of(content):
            return _decode_locations(content)
    return []


def save(folder: str, locations: Iterable[Location]) -> None:
    """Save Locations; a failure is ignored."""
    content = msgspec.msgpack.encode(list(locations))
    with suppress(OSError, StorageError):
        disk.replace_file(f"{folder}/{SAVED}", _TITLE + _digest_of(content) + content, durable=False)


def _digest_of(content: bytes | memoryview) -> bytes:
    return blake2b(content, digest_size=_DIGEST_BYTES).digest()
