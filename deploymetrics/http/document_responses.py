"""Responses that are documents, in both formats: one, the list, the history.

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
from ..formats.besxml import document_element, render_document, render_documents
from .negotiation import JSON, XML
from .precondition_headers import etag_of
from .requests import Request
from .responses import Response, is_not_modified, whole_response, with_schema_link

#: The longest list of damaged tags in a header; some proxies and clients take 4 KB of headers, or 100 of a kind.
_MAX_DAMAGED_BYTES = 1000
_PAGING = ("output", "limit", "since", "until")
_PIECE_BYTES = 2**16


def document_response(request: Request, item: Item, previous_change: Callable[[Item], str]) -> Response:
    """Return the response with one document, or 304 if the client has it. Raises PreconditionFailed.

    ``previous_change`` returns when the version before an Item was written; called only where that matters.
    """
    headers = _revision_headers(request, item.revision, item.changed_at)
    if is_not_modified(request, item.revision, item.changed_at, lambda: previous_change(item)):
        return Response([], headers, 304)
    return _document_in_format(request, item, headers)


def saved_response(request: Request, item: Item) -> Response:
    """Return the response with a document that was just stored; its precondition was checked by the write."""
    return _document_in_format(request, item, _revision_headers(request, item.revision, item.changed_at))


def _document_in_format(request: Request, item: Item, headers: dict[str, str]) -> Response:
    if request.format == JSON and item.value is not None:
        return whole_response(item.value, "application/json", headers)
    body = render_document(element_of(item, item.record, request.root))
    return with_schema_link(request, whole_response(body, "application/xml", headers))


def list_response(request: Request, listing: Listing, next_after: str | None = None) -> Response:
    """Return the response with all documents of a Listing, or 304 if the client has it. Raises PreconditionFailed.

    ``next_after`` is the tag after which the next page begins, if this is a page and not the last one.
    """
    headers = _revision_headers(request, listing.revision, listing.changed_at)
    if listing.damaged:
        tags = ""
        for path in (quote(tag, safe="") for tag in listing.damaged):
            if len(tags) + len(path) > _MAX_DAMAGED_BYTES:
                break
            tags += f", {path}" if tags else path
        headers |= {"Deploymetrics-Damaged": tags, "Deploymetrics-Damaged-Count": str(len(listing.damaged))}
    if next_after is not None:
        headers["Link"] = _next_page(request, after=next_after)
    if is_not_modified(request, listing.revision, listing.changed_at):
        return Response([], headers, 304)
    if request.format == XML:
        root = request.root  # the body is made after the request's context is gone
        pairs = zip(listing.items, listing.values())
        return _xml_list(request, headers, (element_of(item, DOCUMENTS.decode(value), root) for item, value in pairs))
    return _json_list(headers, _with_first_made(request, listing.array()), listing.array_size)


def history_response(request: Request, page: Page) -> Response:
    """Return the response with a Page of a history, or 304 if the client has it. Raises PreconditionFailed."""
    changed_at = page.items[0].changed_at if page.items else ""
    headers = _revision_headers(request, page.revision, changed_at)
    if page.next is not None:
        headers["Link"] = _next_page(request, before=page.next)
    if is_not_modified(request, page.revision, changed_at):
        return Response([], headers, 304)
    if request.format == XML:
        root = request.root
        return _xml_list(request, headers, (_version_element(item, root) for item in page.items))
    versions = [b",%b" % version_json(item) for item in page.items]
    pieces = chain([b"[" + b"".join(versions[:1])[1:]], versions[1:], [b"]"])
    return _json_list(headers, in_pieces(pieces), sum(map(len, versions)) + (1 if versions else 2))


def _revision_headers(request: Request, revision: str, changed_at: str) -> dict[str, str]:
    form = request.format
    headers = {"ETag": etag_of(revision, form)}
    if changed_at:
        # Never later than Date, also where the clock was ahead at that write (RFC 9110, 8.8.2.1).
        headers["Last-Modified"] = as_http_date(int(min(timestamp_of(changed_at), time.time())))
    return headers


def _next_page(request: Request, **position: object) -> str:
    """Return the Link header for the next page: the URL of the request, with other paging arguments."""
    arguments = {name: value for name, value in request.args.items() if name in _PAGING} | position
    path = quote(request.path.strip("/"), safe="/")
    return f'<{request.root}{path}?{urlencode(arguments, quote_via=quote)}>; rel="next"'


def _json_list(headers: dict[str, str], pieces: Iterable[bytes], size: int) -> Response:
    return Response(pieces, {"Content-Type": "application/json", "Content-Length": str(size), **headers})


def _xml_list(request: Request, headers: dict[str, str], elements: Iterable[str]) -> Response:
    pieces = _with_first_made(request, in_pieces(render_documents(elements)))
    return with_schema_link(request, Response(pieces, {"Content-Type": "application/xml", **headers}))


def _with_first_made(request: Request, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Return the pieces of a body, of which the first is made now: if that fails, the answer is an error."""
    return pieces if request.method == "HEAD" else chain([next(pieces, b"")], pieces)


def in_pieces(fragments: Iterable[bytes], least: int = _PIECE_BYTES) -> Iterator[bytes]:
    """Join small parts of a body into pieces of ``least`` bytes or more, since each piece that is sent costs time."""
    piece, size = [], 0
    for fragment in fragments:
        piece.append(fragment)
        size += len(fragment)
        if size >= least:
            yield b"".join(piece)
            piece, size = [], 0
    yield b"".join(piece)


def element_of(item: Item | Entry, document: Document, root: str, **of_a_version: Any) -> str:
    """Return the XML element of a document; ``root`` is the URL of the server."""
    resource, modified = resource_url(document.tag, root), from_precise(item.changed_at)
    return document_element(document.tag, resource, modified, document.json, document.lastChanged, **of_a_version)


def _version_element(item: Item, root: str) -> str:
    head: dict[str, Any] = {"version": item.version, "changed_at": item.changed_at, "changed_by": item.changed_by}
    if item.deleted:
        return document_element(item.key, resource_url(item.key, root), deleted=True, **head)
    return element_of(item, item.record, root, **head)


def resource_url(tag: str, root: str) -> str:
    """Return the URL of a document in the API; ``root`` is the URL of the server."""
    return f"{root}api/deploymentmetrics/{quote(tag, safe='')}"
