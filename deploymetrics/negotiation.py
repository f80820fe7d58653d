"""Which format a client gets, what is read from a body, and answers and errors in both formats."""

from functools import lru_cache

from urllib.parse import quote

import msgspec
from flask import Response, request
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header, parse_etags, parse_options_header

from . import besxml, rawjson
from .clock import as_http_date, from_precise
from .errors import DeploymetricsError, NotAcceptable, UnsupportedMediaType
from .schemas import OutputArguments, load
from .service import DOCUMENTS, Condition

JSON = "json"
XML = "xml"
_XML_TAG = "-xml"
_SNIFFED = {"", "text/plain", "application/octet-stream", "application/x-www-form-urlencoded"}
_WHITE_SPACE = b" \t\r\n"
_PRIVATE = "private, no-cache"


@lru_cache(maxsize=1024)
def choose_format(accept, output):
    """``JSON`` or ``XML`` for the Accept header (None: there is none) and the ``output`` argument (None, json, xml).

    Raises NotAcceptable. A browser that opens the URL asks for text/html and prefers XML to JSON; it gets JSON.
    """
    if output is not None:
        return output
    if accept is None or not accept.strip():
        return JSON
    accepted = parse_accept_header(accept, MIMEAccept)
    if any(value.split(";")[0].strip().lower() == "text/html" for value, _ in accepted):
        return JSON
    json = accepted.quality("application/json")
    xml = max(accepted.quality("application/xml"), accepted.quality("text/xml"))
    if json == xml == 0:
        raise NotAcceptable()
    return XML if xml > json else JSON


def requested_format():
    """The format of the answer to the current request; raises NotAcceptable, or BadRequest for another ``output``."""
    output = load(OutputArguments(), request.args)["output"] if request.query_string else None
    return choose_format(request.environ.get("HTTP_ACCEPT"), output)


def read_metrics(tag):
    """The current request's body as compact JSON text; raises BadRequest, UnsupportedMediaType or BodyTooLarge."""
    if request.environ.get("HTTP_CONTENT_ENCODING"):
        raise UnsupportedMediaType("A body with a Content-Encoding is not read.", code="content-encoding")
    reader = choose_reader(request.environ.get("CONTENT_TYPE", ""))
    body = request.get_data(cache=False, parse_form_data=False)
    if reader == XML or (reader is None and body.lstrip(_WHITE_SPACE)[:1] == b"<"):
        return besxml.read_document(body, tag)
    return rawjson.compact(body)


@lru_cache(maxsize=1024)
def choose_reader(content_type):
    """``JSON``, ``XML``, or None where the body's first character decides; raises UnsupportedMediaType."""
    name, options = parse_options_header(content_type)
    name = name.strip().lower()
    if options.get("charset", "utf-8").lower() not in ("utf-8", "utf8", "us-ascii"):
        raise UnsupportedMediaType("The charset of a body is UTF-8.", code="unsupported-charset")
    if name == "application/json" or (name.count("/") == 1 and name.endswith("+json")):
        return JSON
    if name in ("application/xml", "text/xml") or (name.count("/") == 1 and name.endswith("+xml")):
        return XML
    if name in _SNIFFED:
        return None
    raise UnsupportedMediaType("A body is application/json or application/xml.")


def read_condition():
    """The Condition that the current request's headers put on a write."""
    environ = request.environ
    match, none_match = environ.get("HTTP_IF_MATCH"), environ.get("HTTP_IF_NONE_MATCH")
    if match is None and none_match is None:
        return Condition()
    return Condition(_etags(match, weak=False), _etags(none_match, weak=True))


def _etags(header, weak):
    """None, ``"*"`` or the set of the storage's etags in a header; those of the XML form name the same document."""
    if header is None:
        return None
    etags = parse_etags(header)
    if etags.star_tag:
        return "*"
    found = etags.as_set(include_weak=weak)
    return {etag.removesuffix(_XML_TAG) for etag in found}


def answer_document(item):
    """A response with one document (an Item), or 304 where the client has it already."""
    form = requested_format()
    headers = _headers(form, item.etag)
    headers["Last-Modified"] = as_http_date(from_precise(item.changed_at))
    if _client_has(headers["ETag"]):
        return _not_modified(headers)
    body = item.value if form == JSON else besxml.render_document(_entry(item, request.url_root))
    return Response(body, headers=headers, content_type=f"application/{form}")


def answer_list(listing):
    """A streamed response with all documents of a Listing, or 304 where the client has it already."""
    form = requested_format()
    headers = _headers(form, listing.etag)
    if listing.damaged:
        headers["Deploymetrics-Damaged"] = ", ".join(_path(tag) for tag in listing.damaged)
    if _client_has(headers["ETag"]):
        return _not_modified(headers)
    if form == JSON:
        headers["Content-Length"] = str(2 + sum(map(len, listing.chunks)) + max(len(listing.chunks) - 1, 0))
        body = _json_array(listing.chunks)
    else:
        root = request.url_root  # the body is made after the request's context is gone
        body = besxml.render_documents(_entry(item, root) for item in listing.items)
    return Response(body, headers=headers, content_type=f"application/{form}")


def answer_problem(error, *, request_id=None):
    """A response for a DeploymetricsError: RFC 9457 in the format that was asked for, JSON where that is unclear."""
    try:
        form = requested_format()
    except DeploymetricsError:
        form = JSON
    problem = {"type": "about:blank", "title": error.title, "status": error.status, "detail": error.detail,
               "code": error.code, **error.extra}
    if request_id:
        problem["requestId"] = request_id
    body = besxml.render_problem(problem) if form == XML else msgspec.json.encode(problem)
    headers = {"Cache-Control": "no-store", "Vary": "Accept", **error.headers}
    return Response(body, error.status, headers, content_type=f"application/problem+{form}")


def _headers(form, etag):
    return {"ETag": f'"{etag}{_XML_TAG if form == XML else ""}"', "Vary": "Accept", "Cache-Control": _PRIVATE}


def _client_has(etag):
    header = request.environ.get("HTTP_IF_NONE_MATCH")
    return header is not None and request.method in ("GET", "HEAD") and (header == etag or parse_etags(header).contains_weak(etag.strip('"')))


def _not_modified(headers):
    headers.pop("Content-Length", None)
    return Response(status=304, headers=headers)


def _json_array(chunks):
    yield b"["
    for number, chunk in enumerate(chunks):
        yield b"," + chunk if number else chunk
    yield b"]"


def _entry(item, root):
    """An Item as besxml shows it; ``root`` is the URL of the server."""
    document = item.record or DOCUMENTS.decode(item.value)
    return besxml.Entry(
        tag=document.tag,
        resource=f"{root}api/deploymentmetrics/{_path(document.tag)}",
        modified=from_precise(item.changed_at),
        metrics=bytes(document.metrics),
        last_changed=document.lastChanged,
    )


def _path(tag):
    return quote(tag, safe="")
