"""How an item is written in a file, and its key in a file name.

The file of a current item has two lines, together one JSON object that any editor shows::

    {"version":7,"changedAt":"2018-01-12T12:00:03.123456Z","changedBy":"alice",
    "tag":"custom","metrics":[{"bla":"3"}],"lastChanged":"12 Jan 2018 12:00"}

The second line with a brace before it is the value, byte for byte. In the history the same object is on one line.
A file written by hand may be laid out otherwise and leave out the first three fields.
"""

import re
from datetime import UTC, datetime
from hashlib import blake2b
from urllib.parse import unquote

import msgspec

from .. import rawjson
from ..clock import as_precise, from_precise
from ..errors import DamagedItem, MalformedBody
from . import Item

SUFFIX = ".json"
VERSION = re.compile(rb'\{"version":(\d{1,18}),')
_SAFE = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_.")
_WHOLE = "version", "changedAt", "changedBy"


class Head(msgspec.Struct, omit_defaults=True):
    """The fields that the storage puts before those of the value."""

    version: int
    changedAt: str
    changedBy: str
    deleted: bool = False


_decode_head = msgspec.json.Decoder(Head).decode
_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


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
    except UnicodeDecodeError:
        return None
    return key if file_name(key) == name else None


def encode(head, value, *, between=b",\n"):
    """An item as the bytes of its file, or with ``between=b","`` as a line of its history; both end with a newline."""
    text = msgspec.json.encode(head)
    return text + b"\n" if value is None else text[:-1] + between + value[1:] + b"\n"


def decode(kind, key, data, next_version=None, modified_at=None):
    """The Item in ``data``; raises DamagedItem naming the kind and key.

    ``next_version`` and ``modified_at`` (seconds) serve for a file made by hand that does not say its version or time.
    """
    try:
        data.decode()
        head, _, rest = data.partition(b",\n")
        if rest and data.startswith(b'{"version":'):
            try:
                return _item(kind, key, _decode_head(head + b"}"), b"{" + rest.rstrip(b"\n"), data)
            except msgspec.DecodeError:
                pass  # laid out by hand
        return _decode_any(kind, key, data, next_version, modified_at)
    except (ValueError, MalformedBody) as error:
        raise DamagedItem(
            f"The stored item {key!r} of {kind.name} is damaged; an administrator has to mend or remove its file.",
            log=f"{kind.name}/{file_name(key)}: {error}",
        ) from error


def _item(kind, key, head, value, data):
    if head.deleted:
        return Item(key, None, None, head.version, head.changedAt, head.changedBy, _etag(data), True)
    record = kind.decode(value)
    if record.key() != key:
        raise ValueError(f"the file says {record.key()!r}")
    return Item(key, value, record, head.version, head.changedAt, head.changedBy, _etag(data))


def _decode_any(kind, key, data, next_version, modified_at):
    fields = _decode_fields(rawjson.compact(data))
    text = {name: fields.pop(name) for name in (*_WHOLE, "deleted") if name in fields}
    head = {
        "version": next_version() if next_version and "version" not in text else None,
        "changedAt": as_precise(datetime.fromtimestamp(modified_at or 0, UTC)),
        "changedBy": "",
    }
    head.update({name: msgspec.json.decode(value) for name, value in text.items()})
    head = msgspec.convert(head, Head)
    if head.version < 1:
        raise ValueError("the version is not a positive number")
    from_precise(head.changedAt)
    return _item(kind, key, head, msgspec.json.encode(fields), data)


def _etag(data):
    return blake2b(data, digest_size=12).hexdigest()
