"""Export and import: all documents with their histories as lines of JSON (NDJSON).

A line is a version as the API's history shows it; the lines of a tag stand together, oldest first. After them comes a
line ``{"expectation": {"tag": …, "everySeconds": …}}`` for each expectation.
"""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import chain, groupby, islice, pairwise
from tempfile import SpooledTemporaryFile
from typing import NamedTuple

import msgspec
from marshmallow import EXCLUDE, ValidationError

from ..clock import Clock, as_precise, from_precise
from ..errors import BadRequest, DeploymetricsError, InvalidFieldsError
from ..formats import rawjson
from ..storage import Item, Storage
from .expectations import ExpectationRecord, Expectations, check_seconds
from .reserved import RESERVED_TAG, is_reserved
from .schemas import ExportedVersion, check_tag
from .service import DOCUMENTS, version_json

IMPORTED, THERE, REFUSED = "imported", "already there", "refused"
_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
#: So many bytes of a tag's versions are kept in memory while they are checked, and the others in a temporary file.
_MEMORY_BYTES = 2**23
_HEAD = {"version", "changedAt", "changedBy", "kept", "deleted", "tag", "lastChanged"}


class _Line(NamedTuple):
    """A parsed line of an import.

    ``tag`` is None where it does not say it, and ``problem`` a sentence if it is neither a version nor an expectation.
    The value of ``item`` is in the file of its tag's values, ``size`` bytes long; a deletion has none.
    """

    number: int
    tag: str | None
    item: Item | None = None
    expectation: ExpectationRecord | None = None
    problem: str | None = None
    size: int = 0


def export_tag(store: Storage, tag: str) -> Iterator[bytes]:
    """Yield the lines of one tag, oldest version first; raises StorageError before the first if one is damaged."""
    for _ in store.history(DOCUMENTS, tag):
        pass
    for item in store.history(DOCUMENTS, tag, oldest_first=True):
        line = version_json(item) + b"\n"
        yield b'{"kept":true,' + line[1:] if item.kept else line


def export_expectations(store: Storage, tags: set[str] | None = None) -> list[bytes]:
    """Return the lines of the expectations of all tags, or of some, in the order of the tags."""
    expected = sorted(pair for pair in Expectations(store).all().items() if tags is None or pair[0] in tags)
    return [msgspec.json.encode({"expectation": ExpectationRecord(*pair)}) + b"\n" for pair in expected]


def import_lines(
    store: Storage, lines: Iterable[bytes], clock: Clock, *, dry_run: bool = False
) -> Iterator[tuple[str | None, str, str]]:
    """Import the lines of an export, a tag at a time, each wholly or not at all.

    Yields (tag or None, IMPORTED, THERE or REFUSED, sentence) for each tag and each expectation. A line that cannot be
    read refuses its tag; one without a tag refuses those beside it, whose version it may be. Lines of a tag
    that do not stand with those before are refused, and so is a newest version more than a day ahead of ``clock``; one
    before it shows that a clock was ahead and was put back. ``dry_run`` stores nothing.
    """
    latest = as_precise(clock.now() + timedelta(days=1))
    parsed = (_parse_line(number, line) for number, line in enumerate(lines, 1) if line.strip())
    with_next = pairwise(chain(parsed, [_Line(0, "")]))
    before: str | None = ""
    seen: set[str] = set()
    with SpooledTemporaryFile[bytes](_MEMORY_BYTES) as values:
        for (tag, expectation), pairs in groupby(with_next, key=lambda pair: (pair[0].tag, pair[0].expectation)):
            # Of a file that is no export there may be no end of lines without a tag.
            rows, after = _spool(islice(pairs, 1 if tag is None else None), values)
            if expectation:
                yield tag, *_import_expectation(store, expectation, rows[0].number, dry_run)
                continue
            first = rows[0].item
            is_beside_unreadable = after is None or before is None and first is not None and first.version > 1
            before = tag
            problem = next((row.problem for row in rows if row.problem), None)
            error = problem or _mistake_in(tag, rows, is_beside_unreadable, tag in seen, latest)
            if error or tag is None:
                yield tag, REFUSED, error or ""
                continue
            seen.add(tag)
            try:
                is_new = store.restore(DOCUMENTS, tag, _items(rows, values), dry_run=dry_run)
                yield tag, IMPORTED if is_new else THERE, ""
            except DeploymetricsError as refusal:
                yield tag, REFUSED, f"line {rows[0].number}: {refusal.detail}"


def _spool(pairs: Iterable[tuple[_Line, _Line]], values: SpooledTemporaryFile[bytes]) -> tuple[list[_Line], str | None]:
    """Put the values of a tag's lines into a file; return the lines without values, and the next line's tag."""
    values.seek(0)
    values.truncate()
    rows: list[_Line] = []
    after: str | None = ""
    for row, next_row in pairs:
        if row.item and row.item.value is not None:
            row = row._replace(item=row.item._replace(value=None), size=values.write(row.item.value))
        rows.append(row)
        after = next_row.tag
    return rows, after


def _items(rows: list[_Line], values: SpooledTemporaryFile[bytes]) -> Iterator[Item]:
    """Yield the versions of a tag's lines, with their values from the file."""
    values.seek(0)
    for row in rows:
        if row.item:
            yield row.item._replace(value=values.read(row.size)) if row.size else row.item


def _mistake_in(
    tag: str | None, rows: list[_Line], is_beside_unreadable: bool, is_seen: bool, latest: str
) -> str | None:
    """Return why the versions of a tag are not imported, as a sentence; None if they can be."""
    number = rows[0].number
    if is_beside_unreadable:
        return f"line {number}: a line beside those of {tag!r} cannot be read, and may be one of its versions"
    items = [row.item for row in rows if row.item]
    if tag and tag != RESERVED_TAG and is_reserved(tag):
        mistake = f"only the server writes what reads as {RESERVED_TAG}"
    elif is_seen:
        mistake = "they do not stand with the others"
    elif any(newer.version <= older.version for older, newer in pairwise(items)):
        mistake = "they are not in order"
    elif items and items[-1].changed_at > latest:
        mistake = f"version {items[-1].version} is of {items[-1].changed_at}, which is more than a day ahead"
    else:
        return None
    return f"line {number}: the versions of {tag!r} were not imported: {mistake}"


def _import_expectation(store: Storage, record: ExpectationRecord, number: int, dry_run: bool) -> tuple[str, str]:
    expectations = Expectations(store)
    present = expectations.of(record.tag)
    if present == record.everySeconds:
        return THERE, ""
    if present is not None:
        return REFUSED, f"line {number}: {record.tag!r} is expected every {present} seconds here"
    if not dry_run:
        expectations.set(record.tag, record.everySeconds, "import")
    return IMPORTED, ""


def _parse_line(number: int, line: bytes) -> _Line:
    tag = None
    try:
        members = _decode(rawjson.compact(line.strip(), rawjson.AROUND_METRICS))
        if "expectation" in members:
            record = msgspec.json.decode(members["expectation"], type=ExpectationRecord)
            check_tag(record.tag)
            check_seconds(record.everySeconds)
            return _Line(number, record.tag, expectation=record)
        tag = check_tag(msgspec.json.decode(members.get("tag", b'""'), type=str))
        return _Line(number, tag, _item(tag, members))
    except ValidationError as error:
        problem = str(InvalidFieldsError(error.normalized_messages()))  # type: ignore[no-untyped-call]
    except (BadRequest, msgspec.MsgspecError) as error:
        problem = str(error)  # not the error, which has this frame, and both would stay until the garbage is searched
    return _Line(number, tag, problem=f"line {number}: {problem}")


def _item(tag: str, members: dict[str, msgspec.Raw]) -> Item:
    """Return the version in a line; members that no document has, from files written by hand, stay in its value."""
    head = ExportedVersion(unknown=EXCLUDE).load(
        {name: msgspec.json.decode(text) for name, text in members.items() if name in _HEAD}
    )
    deleted = head.get("deleted", False)
    if deleted == ("metrics" in members) or deleted == ("lastChanged" in head):
        raise ValidationError("A version has metrics and lastChanged, or it is deleted.")
    document = {
        "tag": tag,
        "metrics": members.pop("metrics", None),
        "lastChanged": head.get("lastChanged"),
        **{name: text for name, text in members.items() if name not in _HEAD},
    }
    value = None if deleted else msgspec.json.encode(document)
    at = as_precise(from_precise(head["changedAt"]))
    return Item(tag, value, None, head["version"], at, head["changedBy"], "", deleted, head.get("kept", False))
