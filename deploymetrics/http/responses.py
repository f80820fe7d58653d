"""Answers in both formats: one document, the list, the history, and problems.

Each function answers the request that it is given, or else the current one. Those for reading evaluate its precondition
first.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from hashlib import blake2b
from itertools import chain
from typing import Any
from urllib.parse import quote, urlencode

import flask
import msgspec
from werkzeug.datastructures import Headers
from werkzeug.http import HTTP_STATUS_CODES

from ..clock import as_http_date, from_precise, timestamp_of
from ..documents.precondition import ANY, is_unmodified
from ..documents.service import DOCUMENTS, Document, Entry, Item, Listing, Page, version_json
from ..errors import BadRequest, DeploymetricsError, PreconditionFailed
from ..formats import besxml
from .negotiation import JSON, XML, choose_format
from .preconditions import etag_of
from .request_ids import request_id_of
from .requests import SAFE_METHODS, Request, current_request
from .security_headers import DATA_HEADERS

SCHEMA_PATH = "xmlschema/BESAPI.xsd"
#: The headers of every answer: what only some accounts may see is kept nowhere on its way.
PRIVATE = {"Vary": "Accept", "Cache-Control": "no-store", **DATA_HEADERS}
#: The longest list of damaged tags in a header; some proxies and clients take 4 KB of headers, or 100 of a kind.
_MAX_DAMAGED_BYTES = 1000
#: When what has no Last-Modified was changed: RFC 9110 has If-Unmodified-Since ignored there.
_LONG_AGO = "1970-01-01T00:00:00.000000Z"
#: What no ETag can name.
_NO_REVISION = '"'
_PAGING = ("output", "limit", "since", "until")
_STATUS_LINES = {status: f"{status} {phrase.upper()}" for status, phrase in HTTP_STATUS_CODES.items()}
_PIECE_BYTES = 2**16


class Response:
    """A response whose headers are complete: they are sent as they are, not worked out again from the body."""

    def __init__(self, body: Iterable[bytes], headers: Mapping[str, str], status: int = 200) -> None:
        self.body = body
        self.headers = headers
        self.status = status
        #: Beside ``headers``, where those may have a Link already.
        self.links: tuple[str, ...] = ()

    def fields(self) -> list[tuple[str, str]]:
        """Return all header fields."""
        return [*self.headers.items(), *(("Link", link) for link in self.links)]

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        """Answer as a WSGI application."""
        start_response(_STATUS_LINES[self.status], self.fields())
        return [] if environ["REQUEST_METHOD"] == "HEAD" else self.body


class FlaskResponse(flask.Response):
    """A Response for Flask, whose hooks may add headers."""

    default_mimetype = None

    def __init__(self, response: Response) -> None:
        super().__init__(response.body, response.status, Headers(response.fields()))

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        """Answer as a WSGI application."""
        start_response(self.status, self.headers.to_wsgi_list())
        return [] if environ["REQUEST_METHOD"] == "HEAD" else self.response  # type: ignore[return-value]


def _whole(body: bytes, content_type: str, headers: dict[str, str], status: int = 200) -> Response:
    return Response([body], {"Content-Type": content_type, "Content-Length": str(len(body)), **headers}, status)


def document_response(item: Item, before: Callable[[], str], request: Request) -> Response:
    """Return one document, or 304 where the client has it; ``before`` returns when the version before it was written.

    Raises PreconditionFailed.
    """
    headers = _headers(request, item.revision, item.changed_at)
    if _client_has(request, item.revision, item.changed_at, before):
        return Response([], headers, 304)
    return _whole_document(request, item, headers)


def saved_response(item: Item, request: Request) -> Response:
    """Return a document that was just stored; its precondition was that of the write."""
    return _whole_document(request, item, _headers(request, item.revision, item.changed_at))


def _whole_document(request: Request, item: Item, headers: dict[str, str]) -> Response:
    if request.format == JSON and item.value is not None:
        return _whole(item.value, "application/json", headers)
    body = besxml.render_document(entry_of(item, request.root))
    return _described(request, _whole(body, "application/xml", headers))


def list_response(request: Request, listing: Listing, following: str | None = None) -> Response:
    """Return the documents of a Listing; 304 where the client has it. Raises PreconditionFailed.

    ``following`` is the tag after which the next page begins, if this is one.
    """
    headers = _headers(request, listing.revision, listing.changed_at)
    if listing.damaged:
        headers |= _damaged(listing.damaged)
    if following is not None:
        headers["Link"] = _next_page(request, after=following)
    if _client_has(request, listing.revision, listing.changed_at):
        return Response([], headers, 304)
    if request.format == XML:
        root = request.root  # the body is made after the request's context is gone
        pairs = zip(listing.items, listing.values())
        return _xml_list(request, headers, (_entry(item, DOCUMENTS.decode(value), root) for item, value in pairs))
    return _json_list(headers, listing.array(), listing.array_size)


def history_response(page: Page) -> Response:
    """Return a Page of versions, newest first; 304 where the client has it. Raises PreconditionFailed."""
    request = current_request()
    changed_at = page.items[0].changed_at if page.items else ""
    headers = _headers(request, page.revision, changed_at)
    if page.next is not None:
        headers["Link"] = _next_page(request, before=page.next)
    if _client_has(request, page.revision, changed_at):
        return Response([], headers, 304)
    if request.format == XML:
        root = request.root
        return _xml_list(request, headers, (_version_entry(item, root) for item in page.items))
    versions = [b",%b" % version_json(item) for item in page.items]
    pieces = chain([b"[" + b"".join(versions[:1])[1:]], versions[1:], [b"]"])
    return _json_list(headers, in_pieces(pieces), sum(map(len, versions)) + (1 if versions else 2))


def json_response(
    value: object, xml: Callable[[str], bytes] | None = None, *, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a value that the storage does not count, as JSON; 304 where the client has it.

    ``xml`` is called with the URL of the server and makes it XML. Raises NotAcceptable where XML is asked for and there
    is none, and PreconditionFailed.
    """
    request = current_request()
    if xml is None:
        request.check_json()
    revision = revision_of(value)
    own = {"ETag": etag_of(revision, request.format), **PRIVATE}
    if request.method in SAFE_METHODS and _client_has(request, revision, _LONG_AGO):
        return Response([], own, 304)
    own |= headers or {}
    if xml is not None and request.format == XML:
        return _described(request, _whole(xml(request.root), "application/xml", own))
    return _whole(msgspec.json.encode(value), "application/json", own)


def check_value(value: object | None) -> None:
    """Raise PreconditionFailed, or BadRequest, unless what ``json_response`` answers is as the request asks.

    None stands for what is not there.
    """
    precondition = current_request().precondition
    if precondition.unmodified_since is not None:
        raise BadRequest("This has no Last-Modified; use If-Match with its ETag.", code="invalid-precondition")
    precondition.check(None if value is None else revision_of(value))


def revision_of(value: object) -> str:
    """Return the revision of a value that the storage does not count: it differs where its JSON does."""
    return blake2b(msgspec.json.encode(value), digest_size=12).hexdigest()


def text_response(text: str, headers: dict[str, str] | None = None) -> Response:
    """Return a text, which has no ETag; raises PreconditionFailed for a request that names one."""
    current_request().precondition.check_match(_NO_REVISION, _LONG_AGO)
    return _whole(text.encode(), "text/plain", {**PRIVATE, **(headers or {})})


def csv_response(text: str) -> Response:
    """Return a table, which has no ETag; raises PreconditionFailed for a request that names one."""
    current_request().format = JSON  # ``output`` names another one, which no ETag has
    return text_response(text, {"Content-Type": "text/csv; charset=utf-8"})


def empty_response() -> Response:
    """Return the answer to a deletion, which has no body and so no Content-Type."""
    return Response([], PRIVATE, 204)


def problem_response(error: DeploymetricsError, request: Request) -> Response:
    """Return a DeploymetricsError as RFC 9457 says, in the format that was asked for, JSON where that is unclear."""
    form = JSON
    with suppress(DeploymetricsError):
        form = choose_format(request.environ.get("HTTP_ACCEPT"), None)
        form = request.format
    problem = error.problem(request_id_of(request.environ))
    body = besxml.render_problem(problem) if form == XML else msgspec.json.encode(problem)
    headers = {**PRIVATE, **error.headers}
    if isinstance(error, PreconditionFailed) and error.revision:
        headers["ETag"] = etag_of(error.revision, form)
    return _whole(body, f"application/problem+{form}", headers, error.status)


def _client_has(request: Request, revision: str, changed_at: str = "", before: Callable[[], str] | None = None) -> bool:
    """Return True for 304; raises PreconditionFailed.

    ``If-Modified-Since`` counts only where ``before`` says when the version before was written: a deletion leaves no
    date in a list.
    """
    precondition = request.precondition
    if precondition is ANY:
        return False
    precondition.check_match(revision, changed_at, before or str)
    if precondition.none_match is not None:
        return precondition.names_none(revision)
    date = precondition.modified_since
    return date is not None and before is not None and is_unmodified(date, changed_at, before)


def _headers(request: Request, revision: str, changed_at: str) -> dict[str, str]:
    form = request.format
    headers = {"ETag": etag_of(revision, form), **PRIVATE}
    if changed_at:
        # Never later than Date, also where the clock was ahead at that write (RFC 9110, 8.8.2.1).
        headers["Last-Modified"] = as_http_date(int(min(timestamp_of(changed_at), time.time())))
    return headers


def _next_page(request: Request, **where: object) -> str:
    """Return the Link to the next page: this URL, with another place to go on from."""
    arguments = {name: value for name, value in request.args.items() if name in _PAGING} | where
    path = quote(request.path.strip("/"), safe="/")
    return f'<{request.root}{path}?{urlencode(arguments, quote_via=quote)}>; rel="next"'


def _damaged(tags: Sequence[str]) -> dict[str, str]:
    """Return headers that name documents which cannot be read: how many there are, and the first of them."""
    shown = ""
    for tag in map(_path, tags):
        if len(shown) + len(tag) > _MAX_DAMAGED_BYTES:
            break
        shown += f", {tag}" if shown else tag
    return {"Deploymetrics-Damaged": shown, "Deploymetrics-Damaged-Count": str(len(tags))}


def _json_list(headers: dict[str, str], pieces: Iterable[bytes], size: int) -> Response:
    return Response(pieces, {"Content-Type": "application/json", "Content-Length": str(size), **headers})


def _xml_list(request: Request, headers: dict[str, str], entries: Iterable[besxml.Entry]) -> Response:
    pieces = in_pieces(besxml.render_documents(entries))
    return _described(request, Response(pieces, {"Content-Type": "application/xml", **headers}))


def in_pieces(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the parts joined into pieces of some size, because sending each one by itself costs more than it does."""
    piece, size = [], 0
    for part in parts:
        piece.append(part)
        size += len(part)
        if size >= _PIECE_BYTES:
            yield b"".join(piece)
            piece, size = [], 0
    yield b"".join(piece)


def _described(request: Request, response: Response) -> Response:
    """Return the response with a Link to the schema: the name that stands in the XML leads nowhere by itself."""
    response.links = (f'<{quote(request.root_path.rstrip("/"))}/{SCHEMA_PATH}>; rel="describedby"',)
    return response


def entry_of(item: Item, root: str) -> besxml.Entry:
    """Return an Item as besxml shows it; ``root`` is the URL of the server."""
    return _entry(item, item.record or DOCUMENTS.decode(item.value or b""), root)


def _entry(item: Item | Entry, document: Document, root: str) -> besxml.Entry:
    return besxml.Entry(
        tag=document.tag,
        resource=resource_url(document.tag, root),
        modified=from_precise(item.changed_at),
        metrics=bytes(document.metrics),
        last_changed=document.lastChanged,
    )


def _version_entry(item: Item, root: str) -> besxml.Entry:
    entry = besxml.Entry(tag=item.key, resource=resource_url(item.key, root)) if item.deleted else entry_of(item, root)
    entry.version, entry.changed_at, entry.changed_by = item.version, item.changed_at, item.changed_by
    entry.deleted = item.deleted
    return entry


def resource_url(tag: str, root: str) -> str:
    """Return the address of a document in the API; ``root`` is the URL of the server."""
    return f"{root}api/deploymentmetrics/{_path(tag)}"


def _path(tag: str) -> str:
    return quote(tag, safe="")
