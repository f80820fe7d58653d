"""Answers that are documents, in both formats: one, the list, the history.

Those for reading evaluate the precondition of the request first.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any
from urllib.parse import quote, urlencode

from ..clock import as_http_date, from_precise, timestamp_of
from ..documents.paging import Page
from ..documents.service import DOCUMENTS, Document, Entry, Item, Listing, version_json
from ..formats import besxml
from .negotiation import JSON, XML
from .precondition_headers import etag_of
from .requests import Request
from .responses import PRIVATE, Response, client_has, whole_response, with_schema_link

#: The longest list of damaged tags in a header; some proxies and clients take 4 KB of headers, or 100 of a kind.
_MAX_DAMAGED_BYTES = 1000
_PAGING = ("output", "limit", "since", "until")
_PIECE_BYTES = 2**16


def document_response(request: Request, item: Item, before: Callable[[], str]) -> Response:
    """Return one document; 304 where the client has it. Raises PreconditionFailed.

    ``before`` is called where it matters when the version before this one was written.
    """
    headers = _headers(request, item.revision, item.changed_at)
    if client_has(request, item.revision, item.changed_at, before):
        return Response([], headers, 304)
    return _whole_document(request, item, headers)


def saved_response(request: Request, item: Item) -> Response:
    """Return a document that was just stored; its precondition was that of the write."""
    return _whole_document(request, item, _headers(request, item.revision, item.changed_at))


def _whole_document(request: Request, item: Item, headers: dict[str, str]) -> Response:
    if request.format == JSON and item.value is not None:
        return whole_response(item.value, "application/json", headers)
    body = besxml.render_document(element_of(item, request.root))
    return with_schema_link(request, whole_response(body, "application/xml", headers))


def list_response(request: Request, listing: Listing, following: str | None = None) -> Response:
    """Return the documents of a Listing; 304 where the client has it. Raises PreconditionFailed.

    ``following`` is the tag after which the next page begins, if this is one.
    """
    headers = _headers(request, listing.revision, listing.changed_at)
    if listing.damaged:
        shown = ""
        for path in (quote(tag, safe="") for tag in listing.damaged):
            if len(shown) + len(path) > _MAX_DAMAGED_BYTES:
                break
            shown += f", {path}" if shown else path
        headers |= {"Deploymetrics-Damaged": shown, "Deploymetrics-Damaged-Count": str(len(listing.damaged))}
    if following is not None:
        headers["Link"] = _next_page(request, after=following)
    if client_has(request, listing.revision, listing.changed_at):
        return Response([], headers, 304)
    if request.format == XML:
        root = request.root  # the body is made after the request's context is gone
        pairs = zip(listing.items, listing.values())
        return _xml_list(request, headers, (_element(item, DOCUMENTS.decode(value), root) for item, value in pairs))
    return _json_list(headers, _begun(request, listing.array()), listing.array_size)


def history_response(request: Request, page: Page) -> Response:
    """Return a Page of versions, newest first; 304 where the client has it. Raises PreconditionFailed."""
    changed_at = page.items[0].changed_at if page.items else ""
    headers = _headers(request, page.revision, changed_at)
    if page.next is not None:
        headers["Link"] = _next_page(request, before=page.next)
    if client_has(request, page.revision, changed_at):
        return Response([], headers, 304)
    if request.format == XML:
        root = request.root
        return _xml_list(request, headers, (_version_element(item, root) for item in page.items))
    versions = [b",%b" % version_json(item) for item in page.items]
    pieces = chain([b"[" + b"".join(versions[:1])[1:]], versions[1:], [b"]"])
    return _json_list(headers, in_pieces(pieces), sum(map(len, versions)) + (1 if versions else 2))


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


def _json_list(headers: dict[str, str], pieces: Iterable[bytes], size: int) -> Response:
    return Response(pieces, {"Content-Type": "application/json", "Content-Length": str(size), **headers})


def _xml_list(request: Request, headers: dict[str, str], documents: Iterable[besxml.DeploymentMetrics]) -> Response:
    pieces = _begun(request, in_pieces(besxml.render_documents(documents)))
    return with_schema_link(request, Response(pieces, {"Content-Type": "application/xml", **headers}))


def _begun(request: Request, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Return the pieces of a body; the first one is made now, so what fails with it is answered as an error."""
    return pieces if request.method == "HEAD" else chain([next(pieces, b"")], pieces)


def in_pieces(parts: Iterable[bytes], least: int = _PIECE_BYTES) -> Iterator[bytes]:
    """Yield the parts joined into pieces of ``least`` bytes or more, since each that is sent by itself costs time."""
    piece, size = [], 0
    for part in parts:
        piece.append(part)
        size += len(part)
        if size >= least:
            yield b"".join(piece)
            piece, size = [], 0
    yield b"".join(piece)


def element_of(item: Item, root: str, **of_a_version: Any) -> besxml.DeploymentMetrics:
    """Return an Item as besxml shows it; ``root`` is the URL of the server."""
    return _element(item, item.record or DOCUMENTS.decode(item.value or b""), root, **of_a_version)


def _element(item: Item | Entry, document: Document, root: str, **of_a_version: Any) -> besxml.DeploymentMetrics:
    return besxml.DeploymentMetrics(
        tag=document.tag,
        resource=resource_url(document.tag, root),
        modified=from_precise(item.changed_at),
        metrics=bytes(document.metrics),
        last_changed=document.lastChanged,
        **of_a_version,
    )


def _version_element(item: Item, root: str) -> besxml.DeploymentMetrics:
    facts: dict[str, Any] = {"version": item.version, "changed_at": item.changed_at, "changed_by": item.changed_by}
    if item.deleted:
        return besxml.DeploymentMetrics(tag=item.key, resource=resource_url(item.key, root), deleted=True, **facts)
    return element_of(item, root, **facts)


def resource_url(tag: str, root: str) -> str:
    """Return the address of a document in the API; ``root`` is the URL of the server."""
    return f"{root}api/deploymentmetrics/{quote(tag, safe='')}"
