"""The rules: which documents there are, who wrote them when, and which tag nobody may write. No Flask in here.

The API, the pages and the collector read and write documents only through this; export, import and verify use its
storage directly.
"""

from bisect import bisect_right
from operator import attrgetter
from typing import NamedTuple

import msgspec

from ..clock import as_last_changed
from ..errors import BadRequest, DamagedItem, NotFound, PreconditionFailed, ReservedTag
from ..formats import rawjson
from ..storage import Kind
from .reserved import RESERVED_TAG, is_reserved
from .schemas import check_tag


class Document(msgspec.Struct, frozen=True):
    """A deployment metrics document; ``metrics`` is JSON text that is never parsed into floats."""

    tag: str
    metrics: msgspec.Raw
    lastChanged: str

    def key(self):
        return self.tag


DOCUMENTS = Kind("deploymentmetrics", Document, history=True)


class Condition(NamedTuple):
    """What ``If-Match`` and ``If-None-Match`` ask of the current state before a write.

    Each is None where the header is missing, ``"*"``, or a set of the storage's etags.
    """

    match: object = None
    none_match: object = None

    def check(self, current):
        """Raise PreconditionFailed unless the current Item (or None) is as asked."""
        if self.match is not None and not _names(self.match, current):
            raise PreconditionFailed()
        if self.none_match is not None and _names(self.none_match, current):
            raise PreconditionFailed()


def _names(etags, current):
    return current is not None and (etags == "*" or current.etag in etags)


ANY = Condition()


class Page(NamedTuple):
    """Some Items, and from which tag or version the next page goes on; None on the last one."""

    items: list
    following: object


def page_of(listing, after=None, limit=None):
    """The Page of a Listing with at most ``limit`` documents, those after the tag ``after``."""
    start = 0 if after is None else bisect_right(listing.items, after, key=attrgetter("key"))
    end = len(listing.items) if limit is None else start + limit
    items = listing.items[start:end]
    return Page(items, items[-1].key if end < len(listing.items) else None)


class Service:
    """Deployment metrics over a storage. Documents are the storage's Items with a Document as ``record``."""

    def __init__(self, store):
        self.store = store

    def list(self):
        """The Listing of all documents, ordered by tag."""
        return self.store.items(DOCUMENTS)

    def deleted(self, listing):
        """Return the deletions (Items, ordered by tag) of tags that are not in the Listing, and the tags of those whose
        history cannot be read."""
        there, items, damaged = {*(item.key for item in listing.items), *listing.damaged}, [], []
        for tag in self.store.keys(DOCUMENTS):
            if tag not in there:
                try:
                    items += self.history(tag, limit=1).items
                except NotFound:  # a first write that broke off
                    pass
                except DamagedItem:
                    damaged.append(tag)
        return [item for item in items if item.deleted], damaged  # one that was created since the Listing is none

    def find(self, tag):
        """The document, or None."""
        return self.store.read(DOCUMENTS, check_tag(tag))

    def get(self, tag):
        """The document; raises NotFound."""
        return _present(self.find(tag))

    def check_writable(self, tag):
        """Raise BadRequest or ReservedTag unless clients may write this tag; for refusing before a body is read."""
        if is_reserved(tag):
            raise ReservedTag()
        check_tag(tag)

    def save(self, tag, metrics, by, condition=ANY):
        """Store compact JSON text as the metrics of a tag and return the document, created or updated.

        ``by`` names the account; raises PreconditionFailed, and then nothing was stored.
        """
        self.check_writable(tag)
        return self._write(tag, metrics, by, condition)

    def save_platform(self, metrics, by):
        """Store what the server's own collector found, under the tag that is reserved for it."""
        return self._write(RESERVED_TAG, metrics, by, ANY)

    def delete(self, tag, by, condition=ANY):
        """Delete the document; raises NotFound or PreconditionFailed."""
        self.check_writable(tag)

        def change(current, at):
            condition.check(current)
            _present(current)

        self.store.write(DOCUMENTS, tag, by, change)

    def history(self, tag, before=None, limit=100):
        """A Page of the versions of a tag, newest first; raises NotFound where there never was one."""
        items = self.store.history(DOCUMENTS, check_tag(tag), before, limit + 1)
        if not items and (before is None or not self.store.history(DOCUMENTS, tag, None, 1)):
            raise NotFound("There is no document with this tag, and never was.", code="no-such-tag")
        return Page(items[:limit], items[limit - 1].version if len(items) > limit else None)

    def version(self, tag, version):
        """The Item of one version; raises NotFound, also for a version that is a deletion."""
        item = self.store.version(DOCUMENTS, check_tag(tag), version)
        if item is None:
            raise NotFound("There is no such version of this tag, or it is past the limits.", code="no-such-version")
        if item.deleted:
            raise NotFound("In this version the document was deleted.", code="deleted-version")
        return item

    def _write(self, tag, metrics, by, condition):
        name = rawjson.quote(tag).encode()

        def change(current, at):
            condition.check(current)
            last_changed = as_last_changed(at).encode()
            return b'{"tag":%b,"metrics":%b,"lastChanged":"%b"}' % (name, metrics, last_changed)

        return self.store.write(DOCUMENTS, tag, by, change)


def _present(item):
    if item is None:
        raise NotFound("There is no document with this tag.", code="no-such-tag")
    return item


def parse_version(text):
    """A version from a URL as a number from 1; raises BadRequest."""
    if not (text.isascii() and text.isdecimal() and text[0] != "0" and len(text) < 19):
        raise BadRequest("A version is a whole number from 1.", code="invalid-version")
    return int(text)
