"""Export and import: all documents with their histories as lines of JSON (NDJSON).

A line is a version as the API's history shows it; the lines of a tag stand together, oldest first. After them comes a
line ``{"expectation": {"tag": …, "everySeconds": …}}`` for each expectation.
"""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import chain, groupby, pairwise
from operator import attrgetter
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
_HEAD = {"version", "changedAt", "changedBy", "kept", "deleted", "tag", "lastChanged"}


class _Line(NamedTuple):
    """A parsed line of an import.

    ``tag`` is None where it does not say it, and ``problem`` a sentence if it is neither a version nor an expectation.
    """

    number: int
    tag: str | None
    item: Item | None = None
    expectation: ExpectationRecord | None = None
    problem: str | None = None


class _Mistake(Exception):
    """Why the versions of a tag are not imported, as a sentence."""


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
    seen: set[str] = set()
    for (tag, expectation), group in groupby(_parse_lines(lines), key=attrgetter("tag", "expectation")):
        first = next(lines_of_tag := iter(group))
        if expectation:
            yield tag, *_import_expectation(store, expectation, first.number, dry_run)
            continue
        if tag is None:
            yield tag, REFUSED, first.problem or ""
            continue
        items = _versions(tag, chain([first], lines_of_tag), latest, is_seen=tag in seen)
        seen.add(tag)
        try:
            is_new = store.restore(DOCUMENTS, tag, items, dry_run=dry_run)
            for _ in items:  # those that the storage did not need to see
                pass
            yield tag, IMPORTED if is_new else THERE, ""
        except _Mistake as mistake:
            yield tag, REFUSED, str(mistake)
        except DeploymetricsError as refusal:
            yield tag, REFUSED, f"line {first.number}: {refusal.detail}"


def _versions(tag: str, lines: Iterable[_Line], latest: str, *, is_seen: bool) -> Iterator[Item]:
    """Yield the versions in the lines of a tag; raises _Mistake, for the newest one at the end."""
    number, last, mistake = 0, None, ""
    for line in lines:
        number = number or line.number
        if line.item is None or line.problem:
            raise _Mistake(line.problem)
        if tag != RESERVED_TAG and is_reserved(tag):
            mistake = f"only the server writes what reads as {RESERVED_TAG}"
        elif is_seen:
            mistake = "they do not stand with the others"
        elif last and line.item.version <= last.version:
            mistake = "they are not in order"
        if mistake:
            break
        last = line.item
        yield last
    if last and last.changed_at > latest:
        mistake = f"version {last.version} is of {last.changed_at}, which is more than a day ahead"
    if mistake:
        raise _Mistake(f"line {number}: the versions of {tag!r} were not imported: {mistake}")


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


def _parse_lines(lines: Iterable[bytes]) -> Iterator[_Line]:
    """Yield the lines of an import; a version has a problem beside a line without a tag, which may be of the same."""
    before = edge = _Line(0, "")
    parsed = (_parse_line(number, line) for number, line in enumerate(lines, 1) if line.strip())
    for line, after in pairwise(chain(parsed, [edge])):
        if line.item and (after.tag is None or before.tag is None and line.item.version > 1):
            problem = f"line {line.number}: a line beside it cannot be read, and may be a version of {line.tag!r} too"
            yield line._replace(problem=problem)
        else:
            yield line
        before = line


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
