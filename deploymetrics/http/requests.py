"""The request as the API reads it: format, precondition, address, body; each is worked out once, on first use."""

import re
from codecs import BOM_UTF8
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

import flask
import msgspec
from flask import Flask, current_app
from marshmallow import EXCLUDE
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.sansio.utils import get_content_length

from ..documents.precondition import Precondition
from ..documents.schemas import compact_metrics
from ..errors import BadRequest, BodyTooLargeError, NotAcceptable
from ..formats import xmlbody
from ..schemas import load
from .arguments import OutputArguments
from .negotiation import JSON, XML, check_encoding, choose_body_format, choose_format, prefers_csv
from .precondition_headers import read_precondition

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_WHITE_SPACE = b" \t\r\n"
#: The most bytes of a refused body that are read.
_DROPPED = 2**24
# RFC 3986: a name, which may have an underscore, or an address in brackets; then a port.
_AUTHORITY = re.compile(
    r"((?:[a-z0-9._~!$&'()*+,;=-]|%[0-9a-f]{2}){1,255}|\[[0-9a-f]*:[0-9a-f:.]+\])(?::([0-9]{0,5}))?", re.ASCII
)
_DEFAULT_PORTS = {"http": "80", "https": "443"}

if TYPE_CHECKING:
    from functools import cached_property
else:

    class cached_property:  # noqa: N801  a name of functools
        """Work out a property once for each object.

        That of werkzeug is called at each look. That of functools will do from Python 3.12 on: before, it lets only one
        thread read a body.
        """

        def __init__(self, work_out):
            self.work_out = work_out
            self.__doc__ = work_out.__doc__

        def __set_name__(self, owner, name):
            self.name = name

        def __get__(self, obj, owner=None):
            if obj is None:
                return self
            value = obj.__dict__[self.name] = self.work_out(obj)
            return value


class Request(flask.Request):
    """A request, as Flask and the fast path make it, with what the API reads of it.

    What werkzeug makes of the environ for each request is made when it is first looked at: the fast path needs the
    method alone.
    """

    def __init__(self, environ: dict[str, Any], populate_request: bool = True, shallow: bool = False) -> None:
        self.environ = environ
        self.method = environ.get("REQUEST_METHOD", "GET").upper()

    @cached_property
    def app(self) -> Flask:
        """The application that answers: Flask's current one, unless it was set."""
        return cast(Flask, current_app._get_current_object())  # type: ignore[attr-defined]

    @cached_property
    def output(self) -> str | None:
        """The ``output`` argument, ``json``, ``xml`` or None; raises BadRequest for another one."""
        return cast(str | None, load(OutputArguments(unknown=EXCLUDE), self.args)["output"])

    @cached_property
    def format(self) -> str:
        """The format of the answer, ``JSON`` or ``XML``; raises NotAcceptable, or BadRequest as ``output`` does."""
        environ = self.environ
        return choose_format(environ.get("HTTP_ACCEPT"), self.output if environ.get("QUERY_STRING") else None)

    @cached_property
    def prefers_csv(self) -> bool:
        """True if the client asks for CSV, which only some addresses have."""
        return prefers_csv(self.environ.get("HTTP_ACCEPT"), self.args.get("output"))

    @cached_property
    def precondition(self) -> Precondition:
        """The Precondition in the headers; raises BadRequest."""
        return read_precondition(self.environ, self.format if self.method in SAFE_METHODS else None)

    @cached_property
    def authority(self) -> str:
        """The host as the client names it, with a port that is not the scheme's own; empty for an invalid Host."""
        server = f"{self.environ['SERVER_NAME']}:{self.environ['SERVER_PORT']}"
        match = _AUTHORITY.fullmatch(self.environ.get("HTTP_HOST", server).lower())
        if match is None:
            return ""
        host, port = match.groups()
        if not port or port == _DEFAULT_PORTS.get(self.scheme):
            return cast(str, host)
        return f"{host}:{port}" if 1 <= int(port) <= 65535 else ""

    @cached_property
    def root(self) -> str:
        """The URL of the server as the client names it, with a slash at its end; raises BadRequest."""
        if not self.authority:
            raise BadRequest("The Host header is not valid.", code="invalid-host")
        return f"{self.scheme}://{self.authority}{quote(self.root_path.rstrip('/'))}/"

    def check_answerable(self) -> None:
        """Raise NotAcceptable or BadRequest if the answer cannot be given; to be called before anything is stored."""
        if self.format == XML:
            self.root  # noqa: B018  XML names the document's whole address

    def check_json(self) -> None:
        """Raise NotAcceptable if the client asks for XML; for views that answer in JSON only."""
        if self.format == XML:
            raise NotAcceptable("This is answered in application/json only.")

    @property
    def client(self) -> tuple[str, str]:
        """Address and User-Agent of the client, which a session that begins now shows to its owner."""
        return self.remote_addr or "", self.headers.get("User-Agent", "")

    @cached_property
    def body(self) -> bytes:
        """The whole body; raises BodyTooLargeError, or BadRequest if it breaks off."""
        environ, limit = self.environ, self.app.config["MAX_BODY_BYTES"]
        length = get_content_length(environ.get("CONTENT_LENGTH"), environ.get("HTTP_TRANSFER_ENCODING"))
        if length is not None and length > limit:
            raise BodyTooLargeError(limit)
        # Else what follows the body is the client's next request.
        is_ended = environ.get("wsgi.input_terminated")
        try:
            body: bytes = environ["wsgi.input"].read(limit + 1 if is_ended else length or 0)
        except Exception as error:
            # Each WSGI server has errors of its own for a chunk that breaks HTTP, and nothing else fails in here.
            raise BadRequest("The body breaks off, or its chunks are not as HTTP says.", code="broken-body") from error
        if len(body) > limit:
            raise BodyTooLargeError(limit)
        if len(body) < (length or 0):
            # What a client sent before its connection broke can be good JSON: 12 of 1234.
            raise BadRequest("The body is shorter than its Content-Length.", code="broken-body")
        return body

    def drop_body(self) -> None:
        """Read the rest of a refused body, up to a limit, and drop it.

        A connection that is closed with bytes unread is reset, and the client, or a proxy, may never see the answer.
        """
        if self.environ.get("wsgi.input_terminated"):  # only then does reading end where the body does
            with suppress(Exception):
                rest = _DROPPED
                while rest > 0 and (data := self.environ["wsgi.input"].read(min(rest, 2**16))):
                    rest -= len(data)

    def _load_form_data(self) -> None:
        """Read the form, when a field is first looked at; raises as ``body`` does."""
        try:
            super()._load_form_data()
            if self.mimetype == "application/x-www-form-urlencoded":
                self.stream.read(1)  # a chunked one is cut off at its limit, and that is said only here
        except RequestEntityTooLarge as error:
            limit, fields = self.max_content_length or 0, self.max_form_parts
            detail = f"The form is larger than the limit of {limit} bytes, or has more than {fields} fields."
            raise BodyTooLargeError(limit, detail) from error
        except Exception as error:
            raise BadRequest("The form breaks off, or its chunks are not as HTTP says.", code="broken-body") from error

    def read_metrics(self, tag: str) -> bytes:
        """Return the metrics in the body as compact JSON; raises BadRequest, BodyTooLargeError or a 415."""
        environ = self.environ
        if encoding := environ.get("HTTP_CONTENT_ENCODING"):
            check_encoding(encoding)
        if "HTTP_CONTENT_RANGE" in environ:
            raise BadRequest("The body is a part only, by its Content-Range; send all of it.", code="content-range")
        form, body = choose_body_format(environ.get("CONTENT_TYPE", "")), self.body
        if form is None:
            form = XML if body.removeprefix(BOM_UTF8).lstrip(_WHITE_SPACE)[:1] == b"<" else JSON
        if form == XML:
            return xmlbody.read_document(body, tag)
        return compact_metrics(body, tag)

    def read_object(self, tag: str) -> dict[str, Any]:
        """Return the small JSON object in the body; raises as ``read_metrics`` does."""
        try:
            value = msgspec.json.decode(self.read_metrics(tag))
        except msgspec.DecodeError:  # a number that no computer holds
            value = None
        if not isinstance(value, dict):
            raise BadRequest("The body is not a JSON object that can be read.", code="malformed-json")
        return value


class _FromEnviron:
    """An attribute that werkzeug sets in each request; all of them are set when one is first looked at."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, request: Request | None, owner: type[Request]) -> Any:
        if request is None:
            return self
        # Not in the environ as well: that would refer to the request, which would be kept longer.
        flask.Request.__init__(request, request.environ, populate_request=False)
        return vars(request)[self.name]


for _name in vars(flask.Request({})).keys() - {"environ", "method"}:
    setattr(Request, _name, _FromEnviron(_name))


def check_output() -> None:
    """Raise BadRequest unless the argument ``output`` is json or xml; before views that may not look at it."""
    request = current_request()
    view: Any = request.app.view_functions[request.endpoint or ""]
    if request.environ.get("QUERY_STRING") and not view.operation.csv:
        request.output  # noqa: B018


def current_request() -> Request:
    """Return the current request itself, not Flask's proxy, which costs a microsecond at each use."""
    request: Request = flask.request._get_current_object()  # type: ignore[attr-defined]
    return request
