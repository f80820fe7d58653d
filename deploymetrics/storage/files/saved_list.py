"""What a list knew, in the file ``.list`` of its collection, so that another process does not read every log anew.

It is a memory like that of a process, and nothing is taken from it that was not compared with the disk. So it does no
harm where it is old, came with a backup, or is gone.
"""

from collections.abc import Iterable
from contextlib import suppress
from hashlib import blake2b

import msgspec

from ...errors import StorageError
from . import disk
from .locations import Location

_DIGEST_BYTES = 16
_FORM = b"deploymetrics list 1\n"
_decoder = msgspec.msgpack.Decoder(list[Location])


def load(folder: str) -> list[Location]:
    """Return what was saved last, or nothing where there is nothing that is whole."""
    with suppress(OSError, msgspec.MsgspecError):
        data = disk.read_file(_path(folder))
        start = len(_FORM) + _DIGEST_BYTES
        if data[:start] == _FORM + _digest(data[start:]):
            return _decoder.decode(memoryview(data)[start:])
    return []


def save(folder: str, locations: Iterable[Location]) -> None:
    """Save Locations, if that can be done."""
    data = msgspec.msgpack.encode(list(locations))
    with suppress(OSError, StorageError):
        disk.replace_file(_path(folder), _FORM + _digest(data) + data, durable=False)


def _path(folder: str) -> str:
    return f"{folder}/.list"


def _digest(data: bytes) -> bytes:
    return blake2b(data, digest_size=_DIGEST_BYTES).digest()
