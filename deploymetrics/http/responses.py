"""Responses that are not documents: a small JSON value, a text, CSV, an empty one, an error (problem document).

Those for reading evaluate the precondition of the current request first.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from hashlib import blake2b
from typing import Any
from urllib.parse import quote

import flask
import msgspec
from werkzeug.datastructures import Headers
from werkzeug.http import HTTP_STATUS_CODES

from ..documents.precondition import ANY, is_unmodified
from ..errors import BadRequest, DeploymetricsError, PreconditionFailed
from ..formats import besxml
from .negotiation import JSON, XML, choose_format
from .precondition_headers import etag_of
from .request_ids import request_id_of
from .requests import SAFE_METHODS, Request, current_request
from .security_headers import DATA_HEADERS

SCHEMA_PATH = "xmlschema/BESAPI.xsd"
#: The headers of every answer: what only some accounts may see is kept nowhere on its way.
PRIVATE = {"Vary": "Accept", "Cache-Control": "no-store", **DATA_HEADERS}
#: When what has no Last-Modified was changed: RFC 9110 has If-Unmodified-Since ignored there.
_LONG_AGO = "1970-01-01T00:00:00.000000Z"
#: What no ETag can name.
_NO_REVISION = '"'
_STATUS_LINES = {status: f"{status} {phrase.upper()}" for status, phrase in HTTP_STATUS_CODES.items()}


class Response:
    """A WSGI response that sends its headers and the PRIVATE ones, without working any out from the body."""

    def __init__(self, body: Iterable[bytes], headers: Mapping[str, str], status: int = 200) -> None:
        self.body = body
        self.headers = [*headers.items(), *PRIVATE.items()]
        self.status_code = status

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        """Answer as a WSGI application."""
        start_response(_STATUS_LINES[self.status_code], self.headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else self.body


class FlaskResponse(flask.Response):
    """A Response as Flask needs it, so that hooks can add headers."""

    default_mimetype = None

    def __init__(self, response: Response) -> None:
        super().__init__(response.body, response.status_code, Headers(response.headers))

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        """Answer as a WSGI application; unlike werkzeug's own, with Last-Modified in a 304."""
        start_response(self.status, self.headers.to_wsgi_list())
        return [] if environ["REQUEST_METHOD"] == "HEAD" else self.response  # type: ignore[return-value]


def whole_response(body: bytes, content_type: str, headers: dict[str, str], status: int = 200) -> Response:
    """Return a response with a body in one piece, and its Content-Length."""
    return Response([body], {"Content-Type": content_type, "Content-Length": str(len(body)), **headers}, status)


def json_response(value: object, xml: Callable[[str], bytes] | None = None) -> Response:
    """Return the response with a small value, as JSON or by ``xml`` as XML, or 304 if the client has it.

    ``xml`` is called with the URL of the server. Raises PreconditionFailed, and NotAcceptable where the client asks for
    XML and there is none.
    """
    request = current_request()
    if xml is None:
        request.check_json()
    revision = value_revision(value)
    headers = {"ETag": etag_of(revision, request.format)}
    if request.method in SAFE_METHODS and is_not_modified(request, revision, _LONG_AGO):
        return Response([], headers, 304)
    if xml is not None and request.format == XML:
        return with_schema_link(request, whole_response(xml(request.root), "application/xml", headers))
    return whole_response(msgspec.json.encode(value), "application/json", headers)


def check_value_precondition(value: object | None) -> None:
    """Check the precondition of the request against a value that ``json_response`` shows; raises PreconditionFailed.

    None stands for what is not there. Raises BadRequest for ``If-Unmodified-Since``, since such a value has no date.
    """
    precondition = current_request().precondition
    if precondition.unmodified_since is not None:
        raise BadRequest("This has no Last-Modified; use If-Match with its ETag.", code="invalid-precondition")
    precondition.check(None if value is None else value_revision(value))


def value_revision(value: object) -> str:
    """Return a digest of a value's JSON, as the revision of a value that has no versions in the storage."""
    return blake2b(msgspec.json.encode(value), digest_size=12).hexdigest()


def text_response(text: str, headers: dict[str, str] | None = None) -> Response:
    """Return the response with a text, which has no ETag; raises PreconditionFailed for a request that names one."""
    current_request().precondition.check_match(_NO_REVISION, _LONG_AGO)
    return whole_response(text.encode(), "text/plain", headers or {})


def csv_response(text: str) -> Response:
    """Return the response with a CSV table; raises as ``text_response`` does."""
    current_request().format = JSON  # ``output`` names another one, which no ETag has
    return text_response(text, {"Content-Type": "text/csv; charset=utf-8"})


def empty_response() -> Response:
    """Return the response to a deletion: 204, without a body."""
    return Response([], {}, 204)


def problem_response(error: DeploymetricsError, request: Request) -> Response:
    """Return the response with a problem document (RFC 9457), in the client's format, or JSON where that is unclear."""
    form = JSON
    with suppress(DeploymetricsError):
        form = choose_format(request.environ.get("HTTP_ACCEPT"), None)
        form = request.format
    problem = error.problem(request_id_of(request.environ))
    body = besxml.render_problem(problem) if form == XML else msgspec.json.encode(problem)
    headers = dict(error.headers)
    if isinstance(error, PreconditionFailed) and error.revision:
        headers["ETag"] = etag_of(error.revision, form)
    return whole_response(body, f"application/problem+{form}", headers, error.status)


def is_not_modified(request: Request, revision: str, changed_at: str, before: Callable[[], str] | None = None) -> bool:
    """Return True if the answer is 304, since the client has this revision; raises PreconditionFailed.

    ``If-Modified-Since`` counts only where ``before`` says when the version before was written: a deletion leaves no
    date in a list.
    """
    precondition = request.precondition
    if precondition is ANY:
        return False
    precondition.check_match(revision, changed_at, before or str)
    if precondition.none_match is not None:
        return precondition.none_match_names(revision)
    date = precondition.modified_since
    return date is not None and before is not None and is_unmodified(date, changed_at, before)


def with_schema_link(request: Request, response: Response) -> Response:
    """Add the Link to the XML schema to a response, since the schema's name in the XML leads nowhere by itself."""
    link = f'<{quote(request.root_path.rstrip("/"))}/{SCHEMA_PATH}>; rel="describedby"'
    response.headers.append(("Link", link))  # where there may be one already
    return response
