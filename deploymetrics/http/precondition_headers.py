"""The headers of conditional requests: ETags written and read, and dates (RFC 9110, section 13).

An ETag is ours where it is the revision of a document in quotation marks, with ``-xml`` after it in the XML form. A
proxy that compresses an answer changes it: nginx and HAProxy put ``W/`` before it, Apache puts ``-gzip`` into it. Both
still name one version of one document, so here they match as ours do.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from werkzeug.http import parse_date

from ..documents.precondition import ANY, Precondition
from ..errors import BadRequest
from .negotiation import XML

_NAMES = ("HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH", "HTTP_IF_UNMODIFIED_SINCE", "HTTP_IF_MODIFIED_SINCE")
_ETAG = re.compile('(?:W/)?"([^"]*)"')
_OF_PROXIES = re.compile("[-;]{1,2}(?:gzip|deflate|br|zstd)$")
_XML_SUFFIX = "-xml"
_LONGEST_DATE = 40


def etag_of(revision: str, form: str) -> str:
    """Return the ETag of a revision in a format, in its quotation marks."""
    return f'"{revision}{_XML_SUFFIX}"' if form == XML else f'"{revision}"'


def read_precondition(environ: Mapping[str, Any], form: str | None) -> Precondition:
    """Return the Precondition that the headers If-Match, If-None-Match and the like of a request make.

    ``form`` is the format of the answer to a GET, whose ETags are those of the other format no more than of another
    document; None is for a write, which means the document whatever its form. Raises BadRequest for a header of a write
    that says nothing, because to ignore it could overwrite what somebody else wrote.
    """
    if environ.keys().isdisjoint(_NAMES):
        return ANY
    match, none_match, unmodified, modified = map(environ.get, _NAMES)
    precondition = Precondition(
        match=None if match is None else _revisions(match, form),
        none_match=None if none_match is None else _revisions(none_match, form),
        unmodified_since=_date(unmodified),
        modified_since=_date(modified),
    )
    if form is None:
        if none_match is not None and not precondition.none_match:
            raise _invalid("If-None-Match", "an ETag in quotation marks")
        if unmodified is not None and precondition.unmodified_since is None:
            raise _invalid("If-Unmodified-Since", "a date such as Fri, 12 Jan 2018 12:00:00 GMT")
    return precondition


def _invalid(name: str, missing: str) -> BadRequest:
    return BadRequest(f"The header {name} does not have {missing}.", code="invalid-precondition")


def _revisions(header: str, form: str | None) -> frozenset[str] | str:
    """Return ``"*"`` or the revisions in the ETags of a header."""
    if header.strip() == "*":
        return "*"
    etags = (_OF_PROXIES.sub("", etag) for etag in _ETAG.findall(header))
    if form == XML:
        etags = (etag.removesuffix(_XML_SUFFIX) for etag in etags if etag.endswith(_XML_SUFFIX))
    elif form is None:
        etags = (etag.removesuffix(_XML_SUFFIX) for etag in etags)
    return frozenset(etags)


def _date(header: str | None) -> datetime | None:
    """Return the time in an HTTP date, or None for a text that is no date."""
    if header is None or len(header) > _LONGEST_DATE:
        return None
    with suppress(OverflowError):  # of a number that is no day, hour or year
        return parse_date(header)
    return None
