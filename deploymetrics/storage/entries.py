"""How an item is written in a file, and its key in a file name.

The file of a current item has two lines, together one JSON object that any editor shows::

    {"version":7,"changedAt":"2018-01-12T12:00:03.123456Z","changedBy":"alice",
    "tag":"custom","metrics":[{"bla":"3"}],"lastChanged":"12 Jan 2018 12:00"}

The second line with a brace before it is the value, byte for byte. In the history the same object is on one line.
A file written by hand may be laid out otherwise and leave out the first three fields.
"""

import re
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import blake2b
from urllib.parse import unquote

import msgspec

from ..clock import as_precise, from_precise
from ..errors import DamagedItem, MalformedBody
from ..formats import rawjson
from . import VERSION_LIMIT, Item

SUFFIX = ".json"
# What ``encode`` writes before the fields of the value: the version, the time, and what follows the name.
HEAD = re.compile(
    rb'\{"version":([1-9]\d{0,17}),"changedAt":"([^"\\]*)","changedBy":"(?:[^"\\]++|\\.)*+"'
    rb'(,"deleted":true\}|,\n?)',
    re.DOTALL,
)
_SAFE = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_.")


class Head(msgspec.Struct, omit_defaults=True):
    """The fields that the storage puts before those of the value."""

    version: int
    changedAt: str
    changedBy: str
    deleted: bool = False


_decode_head = msgspec.json.Decoder(Head).decode
_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


@lru_cache(maxsize=4096)
def file_name(key):
    """The key percent-encoded, capitals too, so that keys differ on file systems that ignore case."""
    safe = "".join(char if char in _SAFE else "".join(f"%{byte:02X}" for byte in char.encode()) for char in key)
    return (f"%2E{safe[1:]}" if safe.startswith(".") else safe) + SUFFIX


def key_of(name):
    """The key of a file name, or None for a file that is not an item's."""
    if not name.endswith(SUFFIX) or name.startswith("."):
        return None
    try:
        key = unquote(name.removesuffix(SUFFIX), errors="strict")
        return key if file_name(key) == name else None
    except UnicodeError:
        return None


def file_of(item):
    """The bytes of the file of an Item."""
    return encode(_head_of(item), item.value)


def line_of(item):
    """The line of an Item in the history."""
    return encode(_head_of(item), item.value, between=b",")


def _head_of(item):
    return Head(item.version, item.changed_at, item.changed_by, item.deleted)


def encode(head, value, *, between=b",\n"):
    """An item as the bytes of its file, or with ``between=b","`` as a line of its history; both end with a newline."""
    text = msgspec.json.encode(head)
    return text + b"\n" if value is None else text[:-1] + between + value[1:] + b"\n"


def file_of_line(line):
    """The bytes of the file of the item whose line in the history is ``line``."""
    match = HEAD.match(line)
    return line[:match.end()] + b"\n" + line[match.end():] if match else line


def decode(kind, key, data, modified_at=None):
    """The Item in ``data``; raises DamagedItem naming the kind and key.

    ``modified_at`` (seconds) is given for the file of a current item: one made by hand that does not say its time gets
    that, and one that does not say its version gets 0.
    """
    try:
        data.decode()
        item = _decode_own(kind, key, data) or _decode_any(kind, key, data, modified_at)
        if item.deleted and modified_at is not None:
            raise ValueError("a deletion in the place of an item")
        return item
    except (ValueError, OverflowError, RecursionError, MalformedBody, msgspec.MsgspecError) as error:
        raise damaged(kind, key, error) from error


def damaged(kind, key, error):
    """The DamagedItem for an item that ``error`` keeps from being read."""
    return DamagedItem(
        f"The stored item {key!r} of {kind.name} is damaged; an administrator has to repair or remove its file.",
        log=f"{kind.name}/{file_name(key)}: {error}",
    )


def _decode_own(kind, key, data):
    """The Item in what ``encode`` wrote, or None for what is laid out otherwise."""
    match = HEAD.match(data)
    if match is None:
        return None
    rest = data[match.end():].removesuffix(b"\n")
    deleted = match[3].endswith(b"}")
    if b"\n" in rest or (deleted and rest):
        return None  # edited by hand, perhaps
    value = b"{" + rest
    try:
        head = _decode_head(match[0] if deleted else data[:match.start(3)] + b"}")
        return build(kind, key, head, value, data)
    except msgspec.DecodeError:
        return None


def build(kind, key, head, value, data):
    """The Item of a Head and a value that are in a file as ``data``; raises what ``decode`` makes a DamagedItem of."""
    from_precise(head.changedAt)
    if head.version >= VERSION_LIMIT:
        raise ValueError("a version that cannot be counted on from")
    if head.deleted:
        return Item(key, None, None, head.version, head.changedAt, head.changedBy, _etag(data), True)
    record = kind.decode(value)
    if record.key() != key:
        raise ValueError(f"the file says {record.key()!r}")
    return Item(key, value, record, head.version, head.changedAt, head.changedBy, _etag(data))


def _decode_any(kind, key, data, modified_at):
    fields = _decode_fields(rawjson.compact(data))
    text = {name: fields.pop(name) for name in Head.__struct_fields__ if name in fields}
    head = {"version": 0, "changedAt": as_precise(datetime.fromtimestamp(modified_at or 0, UTC)), "changedBy": ""}
    head.update({name: msgspec.json.decode(value) for name, value in text.items()})
    head = msgspec.convert(head, Head)
    if head.version < ("version" in text):
        raise ValueError("the version is not a number from 1")
    return build(kind, key, head, msgspec.json.encode(fields), data)


def _etag(data):
    return blake2b(data, digest_size=12).hexdigest()
