"""Answers in both formats: one document, the list, the history, and problems."""

from hashlib import blake2b
from urllib.parse import quote, urlencode

import msgspec
from flask import Response, request
from werkzeug.datastructures import Headers
from werkzeug.http import parse_etags

from ..clock import as_http_date, from_precise
from ..documents.service import DOCUMENTS
from ..documents.transfer import version_json
from ..errors import DeploymetricsError, NotAcceptable
from ..formats import besxml
from .requests import JSON, XML, XML_ETAG, requested_format, root_url

NO_SNIFFING = {"X-Content-Type-Options": "nosniff"}
_PRIVATE = "private, no-cache"


class WholeResponse(Response):
    """A response whose headers are complete: they are sent as they are, not worked out again from the body."""

    default_mimetype = None

    def __init__(self, body, headers, status=200):
        super().__init__(body, status, Headers(headers))

    def __call__(self, environ, start_response):
        start_response(self.status, self.headers.to_wsgi_list())
        return [] if environ["REQUEST_METHOD"] == "HEAD" else self.response


def answer_document(item):
    """A response with one document (an Item), or 304 where the client has it already."""
    form = requested_format()
    headers = _headers(form, item.revision, item.changed_at)
    if _client_has(headers["ETag"]):
        return _not_modified(headers)
    body = item.value if form == JSON else besxml.render_document(entry_of(item, root_url()))
    return WholeResponse([body], {"Content-Type": f"application/{form}", "Content-Length": str(len(body)), **headers})


def answer_plain(value):
    """A response with a value as JSON, for what has no form in XML; raises NotAcceptable where that is asked for."""
    if requested_format() == XML:
        raise NotAcceptable("This is answered in application/json only.")
    headers = {"Vary": "Accept", "Cache-Control": "no-store", **NO_SNIFFING}
    return Response(msgspec.json.encode(value), headers=headers, content_type="application/json")


def answer_list(listing, page=None):
    """A streamed response with all documents of a Listing, or with a Page of them; 304 where the client has it."""
    form = requested_format()
    headers = _headers(form, listing.revision, listing.changed_at)
    if listing.damaged:
        headers["Deploymetrics-Damaged"] = ", ".join(_path(tag) for tag in listing.damaged)
    if page is not None and page.following is not None:
        headers["Link"] = _next_link(after=page.following)
    if _client_has(headers["ETag"]):
        return _not_modified(headers)
    items = listing.items if page is None else page.items
    if form == XML:
        root = root_url()  # the body is made after the request's context is gone
        return _xml_list(headers, (entry_of(item, root) for item in items))
    return _json_list(headers, listing.pieces if page is None else _json_array(item.value for item in items))


def answer_history(page):
    """A response with a Page of versions (Items, newest first)."""
    form = requested_format()
    headers = _headers(form, _etag_of(page.items), page.items[0].changed_at if page.items else "")
    if page.following is not None:
        headers["Link"] = _next_link(before=page.following)
    if _client_has(headers["ETag"]):
        return _not_modified(headers)
    if form == XML:
        root = root_url()
        return _xml_list(headers, (_version_entry(item, root) for item in page.items))
    return _json_list(headers, _json_array(version_json(item) for item in page.items))


def _json_list(headers, pieces):
    length = str(sum(map(len, pieces)))
    return WholeResponse(pieces, {"Content-Type": "application/json", "Content-Length": length, **headers})


def _json_array(values):
    return [b"[%b]" % b",".join(values)]


def _xml_list(headers, entries):
    return Response(besxml.render_documents(entries), headers=headers, content_type="application/xml")


def _next_link(**where):
    """The Link to the next page: this URL, with another place to go on from."""
    root_url()  # which refuses a Host that is none: the link would lead nowhere
    arguments = urlencode({**request.args, **where}, quote_via=quote)
    return f'<{request.base_url}?{arguments}>; rel="next"'


def _etag_of(items):
    return blake2b("\n".join(item.revision for item in items).encode(), digest_size=12).hexdigest()


def answer_problem(error, *, request_id=None):
    """A response for a DeploymetricsError: RFC 9457 in the format that was asked for, JSON where that is unclear."""
    try:
        form = requested_format()
    except DeploymetricsError:
        form = JSON
    problem = error.problem(request_id)
    body = besxml.render_problem(problem) if form == XML else msgspec.json.encode(problem)
    headers = {"Cache-Control": "no-store", "Vary": "Accept", **NO_SNIFFING, **error.headers}
    return Response(body, error.status, headers, content_type=f"application/problem+{form}")


def _headers(form, etag, changed_at):
    etag = f'"{etag}{XML_ETAG if form == XML else ""}"'
    modified = {"Last-Modified": as_http_date(changed_at)} if changed_at else {}
    return {"ETag": etag, "Vary": "Accept", "Cache-Control": _PRIVATE, **NO_SNIFFING, **modified}


def _client_has(etag):
    header = request.environ.get("HTTP_IF_NONE_MATCH")
    if header is None or request.method not in ("GET", "HEAD"):
        return False
    return header == etag or parse_etags(header).contains_weak(etag.strip('"'))


def _not_modified(headers):
    return WholeResponse([], headers, 304)


def entry_of(item, root):
    """An Item as besxml shows it; ``root`` is the URL of the server."""
    document = item.record or DOCUMENTS.decode(item.value)
    return besxml.Entry(
        tag=document.tag,
        resource=resource_url(document.tag, root),
        modified=from_precise(item.changed_at),
        metrics=bytes(document.metrics),
        last_changed=document.lastChanged,
    )


def _version_entry(item, root):
    """A version as besxml shows it."""
    entry = besxml.Entry(tag=item.key, resource=resource_url(item.key, root)) if item.deleted else entry_of(item, root)
    entry.version, entry.changed_at, entry.changed_by = item.version, item.changed_at, item.changed_by
    entry.deleted = item.deleted
    return entry


def resource_url(tag, root):
    """The address of a document in the API; ``root`` is the URL of the server."""
    return f"{root}api/deploymentmetrics/{_path(tag)}"


def _path(tag):
    return quote(tag, safe="")
