"""Which format a client gets, and what is read from its body and its conditions."""

from functools import lru_cache

import msgspec
from flask import current_app, request
from werkzeug.datastructures import MIMEAccept
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.http import parse_accept_header, parse_etags, parse_options_header

from ..documents.service import Condition
from ..errors import BadRequest, BodyTooLarge, NotAcceptable, UnsupportedMediaType
from ..formats import besxml, rawjson
from ..schemas import load
from .arguments import OutputArguments

JSON = "json"
XML = "xml"
XML_ETAG = "-xml"
_SNIFFED = {"", "text/plain", "application/octet-stream", "application/x-www-form-urlencoded"}
_WHITE_SPACE = b" \t\r\n"


@lru_cache(maxsize=1024)
def choose_format(accept, output):
    """``JSON`` or ``XML`` for the Accept header (None: there is none) and the ``output`` argument (None, json, xml).

    Raises NotAcceptable. A browser that opens the URL asks for text/html and prefers XML to JSON; it gets JSON.
    """
    if output is not None:
        return output
    if accept is None or not accept.strip():
        return JSON
    # Parameters such as charset ask for nothing that we could do otherwise.
    weights = [(value.partition(";")[0].strip().lower(), weight) for value, weight in parse_accept_header(accept)]
    if any(value == "text/html" for value, _ in weights):
        return JSON
    accepted = MIMEAccept(weights)
    json = accepted.quality("application/json")
    xml = max(accepted.quality("application/xml"), accepted.quality("text/xml"))
    if json == xml == 0:
        raise NotAcceptable()
    return XML if xml > json else JSON


def requested_format():
    """The format of the answer to the current request; raises NotAcceptable, or BadRequest for another ``output``."""
    environ = request.environ
    output = load(OutputArguments(), request.args)["output"] if environ.get("QUERY_STRING") else None
    return choose_format(environ.get("HTTP_ACCEPT"), output)


def check_answerable():
    """Raise NotAcceptable or BadRequest where the current request cannot be answered, before anything is stored."""
    if requested_format() == XML:
        root_url()  # XML names the document's whole address


def root_url():
    """The URL of the server as the client names it; raises BadRequest for a Host header that is none."""
    if not request.host:
        raise BadRequest("The Host header is not valid.", code="invalid-host")
    return request.url_root


def read_metrics(tag):
    """The current request's body as compact JSON text; raises BadRequest, UnsupportedMediaType or BodyTooLarge."""
    req = request._get_current_object()  # the proxy costs a microsecond at each use
    if req.environ.get("HTTP_CONTENT_ENCODING"):
        raise UnsupportedMediaType("A body with a Content-Encoding is not read.", code="content-encoding")
    reader = choose_reader(req.environ.get("CONTENT_TYPE", ""))
    body = _read_body(req)
    if reader == XML or (reader is None and body.lstrip(_WHITE_SPACE)[:1] == b"<"):
        return besxml.read_document(body, tag)
    return rawjson.compact(body)


def read_object(tag):
    """The current request's body, a small JSON object, as a dict; raises as ``read_metrics`` does."""
    try:
        value = msgspec.json.decode(read_metrics(tag))
    except msgspec.DecodeError:  # a number that no computer holds
        value = None
    if not isinstance(value, dict):
        raise BadRequest("The body is not a JSON object that can be read.", code="malformed-json")
    return value


def _read_body(req):
    try:
        body = req.get_data(cache=False, parse_form_data=False)
    except RequestEntityTooLarge:
        raise
    except Exception as error:
        # Each WSGI server has errors of its own for a chunk that breaks HTTP, and nothing else fails in here.
        raise BadRequest("The body breaks off, or its chunks are not as HTTP says.", code="broken-body") from error
    limit = current_app.config["MAX_BODY_BYTES"]
    if len(body) > limit:
        raise BodyTooLarge(limit)
    if len(body) < (req.content_length or 0):
        # What a client sent before its connection broke can be good JSON: 12 of 1234.
        raise BadRequest("The body is shorter than its Content-Length.", code="broken-body")
    return body


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
    # An empty etag, which werkzeug gives as None, names no document.
    return {etag.removesuffix(XML_ETAG) for etag in found if etag}
