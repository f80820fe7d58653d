"""One version of an item as a line of JSON.

    {"version":7,"changedAt":"2018-01-12T12:00:03.123456Z","changedBy":"alice","tag":"custom","metrics":[{"bla":"3"}]}

It is what the files hold, and what the revision of a version is made of, whichever storage has it. ``next_version`` has
the rules by which a write makes one.

The first members are the storage's own; what follows them, with a brace before it, is the value byte for byte. A
deletion has ``"deleted":true`` in the place of a value. Versions that were stored at once, and count together or not at
all, are one line with carriage returns between them, and as many before: so a part of it is never taken for the whole.
"""

import re
from collections.abc import Iterable
from datetime import datetime
from hashlib import blake2b
from itertools import chain, zip_longest
from typing import NamedTuple

import msgspec

from ..clock import as_precise, from_precise
from ..errors import ConflictError, DamagedItemError
from . import VERSION_LIMIT, Change, Collection, Item, file_names

_HEAD = re.compile(
    rb'\{"version":([1-9]\d{0,17})(?:,"kept":true)?,"changedAt":"([^"\\]*)","changedBy":"(?:[^"\\]++|\\.)*+"'
    rb'(,"deleted":true\}$|,)',
    re.DOTALL,
)
#: Before and between the versions that count together, in one line.
TOGETHER = b"\r"


class _Head(msgspec.Struct, omit_defaults=True):
    version: int
    kept: bool = False
    changedAt: str = ""
    changedBy: str = msgspec.UNSET  # type: ignore[assignment]  # a name may be empty, and is written nevertheless
    deleted: bool = False


_decode_head = msgspec.json.Decoder(_Head).decode


def line_of(item: Item) -> bytes:
    """Encode an Item as a line, without a newline."""
    head = msgspec.json.encode(_Head(item.version, item.kept, item.changed_at, item.changed_by, item.value is None))
    return head if item.value is None else head[:-1] + b"," + item.value[1:]


def join(versions: list[bytes]) -> bytes:
    """Return one line with versions that are to count together."""
    return TOGETHER * (len(versions) - 1) + TOGETHER.join(versions)


def is_whole(line: bytes) -> bool:
    """Return True if no version is missing at the end of a line, of one version or several."""
    versions = line.lstrip(TOGETHER)
    # In folders of earlier releases there is none before.
    return len(line) - len(versions) in (0, versions.count(TOGETHER))


def revision_of(line: bytes) -> str:
    """Return the revision of a version, a digest of its line."""
    return blake2b(line, digest_size=12).hexdigest()


class Head(NamedTuple):
    """The head of a line: version, time, and ``is_kept``, which is True for a deletion too."""

    version: int
    time: str
    is_kept: bool


def version_of(line: bytes) -> int:
    """Return the version number in a line; raises ValueError for a damaged line."""
    return int(_match_head(line)[1])


def head_of(line: bytes) -> Head:
    """Return the Head of a line; raises ValueError for a damaged line."""
    match = _match_head(line)
    return Head(int(match[1]), match[2].decode(), b',"kept":true' in line[:40] or match[3] != b",")


def _match_head(line: bytes) -> re.Match[bytes]:
    match = _HEAD.match(line)
    if match is None:
        raise ValueError("a line without a version")
    return match


def decode_last(collection: Collection, key: str, line: bytes) -> Item:
    """Decode the last version in a line, which may have several; raises DamagedItemError."""
    return decode(collection, key, line.rpartition(TOGETHER)[2])


def decode(collection: Collection, key: str, line: bytes) -> Item:
    """Decode a line with one version; raises DamagedItemError."""
    try:
        match = _match_head(line)
        head = _decode_head(match[0] if match[3] != b"," else match[0][:-1] + b"}")
    except (ValueError, msgspec.MsgspecError) as error:
        raise damaged(collection, key, error) from error
    value = None if head.deleted else b"{" + line[match.end() :]
    return item_of(collection, key, head.version, head.changedAt, head.changedBy, revision_of(line), head.kept, value)


def item_of(
    collection: Collection,
    key: str,
    version: int,
    changed_at: str,
    changed_by: str,
    revision: str,
    kept: bool,
    value: bytes | None,
) -> Item:
    """Return the Item for stored fields; raises DamagedItemError unless all of them are valid."""
    record = None
    try:
        from_precise(changed_at)
        if not 0 < version < VERSION_LIMIT:
            raise ValueError("a version that cannot be counted on from")
        if value is not None:
            value.decode()
            record = collection.decode(value)
            if record.key() != key:
                raise ValueError(f"it says {record.key()!r}")
    except (ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
        raise damaged(collection, key, error) from error
    return Item(key, value, record, version, changed_at, changed_by, revision, value is None, kept)


def damaged(collection: Collection, key: str, error: object) -> DamagedItemError:
    """Return the DamagedItemError for an item, given why it cannot be used: an OSError, or another reason."""
    problem = "is damaged; an administrator has to restore it from a backup."
    if isinstance(error, OSError):
        problem = "cannot be read now; the server's log says why."
    log = f"{collection.name}/{file_names.name_of(key)}: {error}"
    return DamagedItemError(f"The stored item {key!r} of {collection.name} {problem}", log=log)


def next_version(
    collection: Collection, key: str, newest: Item | None, author: str, change: Change, now: datetime, *, kept: bool
) -> tuple[Item, bytes] | None:
    """Call ``change`` and return the Item of the next version, with its line; None if there is nothing to delete.

    Raises what ``change`` raises, and DamagedItemError where there is no number for it.
    """
    current = None if newest is None or newest.deleted else newest
    value = change(current, now)
    if value is None and current is None:
        return None
    record = None if value is None else collection.decode(value)
    version = newest.version + 1 if newest and (current or collection.history) else 1
    if version >= VERSION_LIMIT:
        raise damaged(collection, key, "its versions are at the end of the numbers")
    item = Item(key, value, record, version, as_precise(now), author, "", value is None, kept)
    line = line_of(item)
    return item._replace(revision=revision_of(line)), line


def check_same(key: str, existing: Iterable[Item], items: Iterable[Item]) -> None:
    """Raise ConflictError unless the existing versions of a key end with all of these Items."""
    remaining = iter(items)
    first = next(remaining, None)
    if first is None:
        return
    existing = (item for item in existing if item.version >= first.version)
    for old, new in zip_longest(existing, chain([first], remaining)):
        if old is None or new is None or line_of(old) != line_of(new):
            raise ConflictError(f"There are other versions of {key!r} already; they were left as they are.")
