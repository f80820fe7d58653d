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

NAME = ".list"
_decoder = msgspec.msgpack.Decoder(list[Location])


def _head_of(content: bytes | memoryview) -> bytes:
    return b"deploymetrics list 1\n" + blake2b(content, digest_size=16).digest()


_HEAD_BYTES = len(_head_of(b""))


def load(folder: str) -> list[Location]:
    """Return what was saved last, or nothing where there is nothing that is whole."""
    with suppress(OSError, msgspec.MsgspecError):
        data = memoryview(disk.read_file(f"{folder}/{NAME}"))
        head, content = data[:_HEAD_BYTES], data[_HEAD_BYTES:]
        if head == _head_of(content):
            return _decoder.decode(content)
    return []


def save(folder: str, locations: Iterable[Location]) -> None:
    """Save Locations, if that can be done."""
    content = msgspec.msgpack.encode(list(locations))
    with suppress(OSError, StorageError):
        disk.replace_file(f"{folder}/{NAME}", _head_of(content) + content, durable=False)
