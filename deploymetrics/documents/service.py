"""The rules of documents: reading, writing and deleting them, their histories, and the tag nobody may write.

The API, the pages and the collector read and write documents only through this; export, import and verify use its
storage directly.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

import msgspec

from ..clock import as_last_changed
from ..errors import DamagedItemError, NotFound, ReservedTagError, StorageError
from ..formats import rawjson
from ..schemas import MAX_BYTES
from ..storage import Collection, Record, Storage
from ..storage import Entry as Entry
from ..storage import Item as Item
from ..storage import Listing as Listing
from .paging import Page, first_items
from .precondition import ANY, Precondition
from .reserved import RESERVED_TAG, is_reserved
from .schemas import check_tag

_log = logging.getLogger(__name__)


class Document(Record, frozen=True):
    """A deployment metrics document; ``metrics`` is JSON text that is never parsed into floats."""

    tag: str
    metrics: msgspec.Raw
    lastChanged: str

    @property
    def json(self) -> bytes:
        """The metrics as compact JSON."""
        return bytes(self.metrics)

    def parse(self) -> Any:
        """Return the metrics as ``rawjson.parse`` does."""
        return rawjson.parse(self.json)


#: A page of a history ends early after so many bytes, so that it needs little memory.
PAGE_BYTES = 2**23
_OLDER_IN_A_ROW = 10
_STORED = b'{"tag":%b,"metrics":%b,"lastChanged":"%b"}'
DOCUMENTS = Collection("deploymentmetrics", Document, history=True, copies=True)


class Documents:
    """Deployment metrics over a storage. Documents are the storage's Items with a Document as ``record``."""

    def __init__(self, store: Storage) -> None:
        self.store = store

    def list(self) -> Listing:
        """Return the Listing of all documents, ordered by tag."""
        return self.store.items(DOCUMENTS)

    def list_deleted(self, listing: Listing) -> tuple[Sequence[Item], Sequence[str]]:
        """Return the deletions of tags that are not in the Listing, by tag, and the tags with a damaged history."""
        listed = {*(item.key for item in listing.items), *listing.damaged}
        deletions: list[Item] = []
        damaged: list[str] = []
        for tag in self.store.keys(DOCUMENTS):
            if tag not in listed:
                try:
                    deletions += islice(self.versions(tag), 1)
                except DamagedItemError:
                    damaged.append(tag)
        return [item for item in deletions if item.deleted], damaged  # one created since the Listing is none

    def find(self, tag: str) -> Item | None:
        """Return the current document of a tag, or None."""
        return self.store.read(DOCUMENTS, check_tag(tag))

    def get(self, tag: str) -> Item:
        """Return the current document of a tag; raises NotFound."""
        return _require_item(self.find(tag))

    def check_writable(self, tag: str) -> None:
        """Raise BadRequest or ReservedTagError unless clients may write this tag; call this before a body is read."""
        if len(tag) > MAX_BYTES:
            check_tag(tag)
        if is_reserved(tag):
            raise ReservedTagError()
        check_tag(tag)

    def save(
        self, tag: str, metrics: bytes, author: str, precondition: Precondition = ANY, *, by_person: bool = False
    ) -> Item:
        """Create or update the document of a tag, whose metrics are compact JSON text, and return it.

        ``author`` names the account; what a person wrote stays longer in the history. Raises PreconditionFailed, and
        then nothing was stored.
        """
        self.check_writable(tag)
        return self._write(tag, metrics, author, precondition, by_person)

    def save_platform(self, metrics: bytes, author: str) -> Item:
        """Store the document ``platform``, which only the server's own collector writes."""
        return self._write(RESERVED_TAG, metrics, author, ANY, False)

    def delete(self, tag: str, author: str, precondition: Precondition = ANY) -> None:
        """Delete the document; raises NotFound or PreconditionFailed."""
        self.check_writable(tag)

        def change(current: Item | None, now: datetime) -> None:
            self._check_precondition(precondition, current)
            _require_item(current)

        self.store.write(DOCUMENTS, tag, author, change)

    def history(self, tag: str, before: int | None = None, limit: int = 100, *, since: str = "") -> Page:
        """Return a Page of the history of a tag, newest first; raises NotFound if there never was such a document.

        With ``since`` they are those that were written from that time on, as the storage writes it.
        """
        versions = self.versions(tag, before, since=since)
        items = list(first_items(versions, limit, PAGE_BYTES))
        if not items:
            self.newest(tag)  # raises NotFound if there never was one
        return Page(items, items[-1].version if next(versions, None) else None)

    def newest(self, tag: str) -> Item:
        """Return the newest version of a tag, which may be a deletion; raises NotFound if there never was one."""
        for item in self.versions(tag):
            return item
        raise NotFound("There is no document with this tag, and never was.", code="no-such-tag")

    def oldest(self, tag: str) -> Item:
        """Return the oldest version of a tag that is kept; there has to be one."""
        return next(self.versions(tag, oldest_first=True))

    def versions(
        self, tag: str, before: int | None = None, *, oldest_first: bool = False, since: str = ""
    ) -> Iterator[Item]:
        """Yield the versions of a tag that are kept, newest first by default, and only those below ``before``.

        With ``since`` they are those that were written from that time on, as the storage writes it.
        """
        versions = self.store.history(DOCUMENTS, check_tag(tag), before, oldest_first=oldest_first)
        return _written_since(versions, since) if since else versions

    def version(self, tag: str, version: int, *, or_deletion: bool = False) -> Item:
        """Return the Item of one version; raises NotFound, also for a deletion unless ``or_deletion``."""
        item = self.store.version(DOCUMENTS, check_tag(tag), version)
        if item is None:
            raise NotFound("There is no such version of this tag, or it was too old to keep.", code="no-such-version")
        if item.deleted and not or_deletion:
            raise NotFound("In this version the document was deleted.", code="deleted-version")
        return item

    def purge(self, tag: str, author: str, version: int | None = None) -> int:
        """Remove one version of a tag, or all of them, for good; return how many were removed.

        Where the current version goes the document is deleted, by ``author``. Raises NotFound where there is nothing.
        """
        self.check_writable(tag)
        number = self.store.purge(DOCUMENTS, tag, author, version)
        if number:
            return number
        if version is not None:
            raise NotFound("There is no such version of this tag.", code="no-such-version")
        self.newest(tag)  # raises NotFound if there never was one
        raise NotFound("Of this document nothing is left but that it was deleted.", code="no-such-tag")

    def trim(
        self,
        is_stopped: Callable[[], bool],
        now: datetime | None = None,
        *,
        failed: Callable[[str], object] = lambda tag: None,
    ) -> int:
        """Thin out every history, and repair copies after a crash; return a number as Storage does.

        It ends early when ``is_stopped`` says so. Age is counted up to ``now``, which is the clock's time where it is
        None. A document that cannot be trimmed is logged, and ``failed`` is called with its tag.
        """
        files = 0
        for tag in self.store.keys(DOCUMENTS):
            if is_stopped():
                break
            try:
                files += self.store.trim(DOCUMENTS, tag, now)
            except StorageError as error:
                _log.warning("the history of a document was not thinned out: %s", error.log or error.detail)
                failed(tag)
        return files

    def previous_change(self, item: Item) -> str:
        """Return when the version before an Item was written, or an empty text for the first version.

        Where that version is not kept any more it is the time of the Item itself: it may have been as late.
        """
        if item.version == 1:
            return ""
        earlier = self.store.version(DOCUMENTS, item.key, item.version - 1) or item
        return earlier.changed_at

    def _check_precondition(self, precondition: Precondition, current: Item | None) -> None:
        if current is None:
            precondition.check(None)
        else:
            precondition.check(current.revision, current.changed_at, lambda: self.previous_change(current))

    def _write(self, tag: str, metrics: bytes, author: str, precondition: Precondition, by_person: bool) -> Item:
        name = rawjson.quote(tag).encode()

        def change(current: Item | None, now: datetime) -> bytes:
            if precondition is not ANY:
                self._check_precondition(precondition, current)
            last_changed = as_last_changed(now).encode()
            return _STORED % (name, metrics, last_changed)

        return _require_item(self.store.write(DOCUMENTS, tag, author, change, kept=by_person))


def stored_size(tag: str, metrics: bytes) -> int:
    """Return the size in bytes of a stored document with these metrics."""
    return len(_STORED % (rawjson.quote(tag).encode(), metrics, b"12 Jan 2018 12:00"))


def _written_since(versions: Iterable[Item], since: str) -> Iterator[Item]:
    """Yield the versions, newest first, that were written from ``since`` on; stop at some older ones in a row.

    Fewer than those are of a clock that was behind for a while.
    """
    older = 0
    for item in versions:
        if item.changed_at >= since:
            older = 0
            yield item
        elif (older := older + 1) > _OLDER_IN_A_ROW:
            return


def version_json(item: Item) -> bytes:
    """Return a version as the API's history shows it: author and time, then the document, or ``deleted``."""
    head = {"version": item.version, "changedAt": item.changed_at, "changedBy": item.changed_by}
    if item.value is None:
        return msgspec.json.encode({**head, "tag": item.key, "deleted": True})
    return msgspec.json.encode(head)[:-1] + b"," + item.value[1:]


def _require_item(item: Item | None) -> Item:
    if item is None:
        raise NotFound("There is no document with this tag.", code="no-such-tag")
    return item
