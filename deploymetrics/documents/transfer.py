"""All documents with their histories as lines of JSON (NDJSON), out of a storage and into one. No Flask in here.

A line is a version as the API's history shows it; the lines of a tag stand together, oldest first.
"""

from itertools import chain, groupby, pairwise
from operator import itemgetter

import msgspec
from marshmallow import ValidationError

from ..clock import as_precise, from_precise
from ..errors import BadRequest, DeploymetricsError
from ..formats import rawjson
from ..storage import Item
from .reserved import RESERVED_TAG, is_reserved
from .schemas import ExportedVersion, check_tag
from .service import DOCUMENTS, Document, version_json

IMPORTED, THERE, REFUSED = "imported", "already there", "refused"
_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def export_tag(store, tag):
    """The lines, oldest version first, of one tag; raises StorageError for one that is damaged."""
    return [version_json(item) + b"\n" for item in store.history(DOCUMENTS, tag, oldest_first=True)]


def import_lines(store, lines, *, dry_run=False):
    """Store what ``export_tag`` gave, a tag at a time, each wholly or not at all.

    Yields (tag or None, IMPORTED, THERE or REFUSED, sentence) for each tag. A line that cannot be read refuses its tag;
    where it does not say its tag, those beside it of which it may be a version. Lines of a tag that do not stand with
    those before are refused. ``dry_run`` stores nothing.
    """
    before, seen = "", set()
    for (tag, rows), (following, _) in pairwise(chain(_by_tag(lines), [("", [])])):
        number, first, _ = rows[0]
        error = next((problem for _, _, problem in rows if problem), None)
        if not error and (following is None or (before is None and first.version > 1)):
            error = f"line {number}: a line beside those of {tag!r} cannot be read, and may be one of its versions"
        items = [item for _, item, _ in rows]
        mistake = None if error else "they do not stand with the others" if tag in seen else _mistake(tag, items)
        if mistake:
            error = f"line {number}: the versions of {tag!r} were not imported: {mistake}"
        yield tag, *((REFUSED, error) if error else _import_tag(store, tag, items, number, dry_run))
        before = tag
        seen.add(tag)


def _by_tag(lines):
    """Yield (tag or None, [(number, Item or None, sentence or None), …]) for lines of one tag after each other."""
    read = ((number, *_read(number, line)) for number, line in enumerate(lines, 1) if line.strip())
    for tag, rows in groupby(read, key=itemgetter(1)):
        yield tag, [(number, item, problem) for number, _, item, problem in rows]


def _mistake(tag, items):
    """What keeps the versions of a tag from being imported, or None."""
    if is_reserved(tag) and tag != RESERVED_TAG:
        return f"only the server writes what reads as {RESERVED_TAG}"
    for older, newer in pairwise(items):
        if newer.version != older.version + 1:
            return "they are not in order, one by one"
        if newer.changed_at < older.changed_at:
            return f"version {newer.version} is earlier than the one before"
    return None


def _import_tag(store, tag, items, number, dry_run):
    try:
        return (IMPORTED if store.restore(DOCUMENTS, tag, items, dry_run=dry_run) else THERE), ""
    except DeploymetricsError as error:
        return REFUSED, f"line {number}: {error.detail}"


def _read(number, line):
    """(tag or None, Item or None, sentence or None) of a line."""
    tag = None
    try:
        fields = _decode(rawjson.compact(line.strip()))
        tag = check_tag(msgspec.json.decode(fields.get("tag", b'""'), type=str))
        return tag, _item(tag, fields), None
    except ValidationError as error:
        problem = error.normalized_messages()
    except (BadRequest, msgspec.MsgspecError) as error:
        problem = error
    return tag, None, f"line {number}: {problem}"


def _item(tag, fields):
    metrics = fields.pop("metrics", None)
    head = ExportedVersion().load({name: msgspec.json.decode(value) for name, value in fields.items()})
    deleted = head.get("deleted", False)
    if deleted == (metrics is not None) or deleted == ("lastChanged" in head):
        raise ValidationError("A version has metrics and lastChanged, or it is deleted.")
    at = as_precise(from_precise(head["changedAt"]))
    value = None
    if not deleted:
        value = msgspec.json.encode(Document(tag, metrics, head["lastChanged"]))
    return Item(tag, value, None, head["version"], at, head["changedBy"], "", deleted)
