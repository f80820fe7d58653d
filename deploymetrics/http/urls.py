"""URLs: routing by the path alone, which paths are the API's, and what is answered or refused before it is routed.

werkzeug decodes the path, and two things get lost on the way.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import Any
from urllib.parse import quote, unquote_to_bytes

import flask
from flask import Request, Response, current_app
from werkzeug import routing
from werkzeug.routing import Map, MapAdapter

from ..errors import BadRequest

_TAGS = "/api/deploymentmetrics/"
#: Addresses outside of the API that programs ask.
_FOR_PROGRAMS = frozenset({"/api", "/metrics", "/healthz", "/readyz"})


def in_api(request: Request | None = None) -> bool:
    """Return True if a request, by default the current one, is for programs: for the API, /metrics and so on."""
    path = (request or flask.request).path
    return path.startswith("/api/") or path in _FOR_PROGRAMS


class Rule(routing.Rule):
    """A rule that compiles its URL builder when that is first used: compiling all of them is most of a start."""

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        compiled = cache(partial(super()._compile_builder, append_unknown))
        return lambda rule, **values: compiled()(rule, **values)


def bind_adapter(url_map: Map, environ: dict[str, Any]) -> MapAdapter:
    """Return the adapter that finds the route of a request, by its path alone: the Host header is not looked at."""
    script_name, path, query = (
        environ.get(name, "").encode("latin-1").decode(errors="replace")
        for name in ("SCRIPT_NAME", "PATH_INFO", "QUERY_STRING")
    )
    scheme, method = environ["wsgi.url_scheme"], environ["REQUEST_METHOD"]
    return url_map.bind("", script_name, url_scheme=scheme, default_method=method, path_info=path, query_args=query)


def answer_for_whole_server() -> Response | None:
    """Answer ``OPTIONS *``, and ``OPTIONS http://host`` by which clients of proxies say the same."""
    environ = flask.request.environ
    if environ["REQUEST_METHOD"] != "OPTIONS" or environ["PATH_INFO"] not in ("*", ""):
        return None
    methods = set[str]().union(*(rule.methods or () for rule in current_app.url_map.iter_rules()))
    return Response(headers={"Allow": ", ".join(sorted(methods))})


def raw_path(environ: dict[str, Any]) -> str:
    """Return the path of a request as it was sent; encoded anew where the server does not say that."""
    raw: str = environ.get("RAW_URI") or environ.get("REQUEST_URI") or quote(environ["PATH_INFO"].encode("latin-1"))
    return raw.partition("?")[0]


def is_plain_url(environ: dict[str, Any]) -> bool:
    """Return True if the URL of a request has no query, and a path of ASCII characters of which none is encoded."""
    return not environ.get("QUERY_STRING") and environ["PATH_INFO"].isascii() and "%" not in raw_path(environ)


def check_path() -> None:
    """Raise BadRequest for an encoded slash in a tag, and for a path that is not UTF-8.

    Decoded, the first would split the path, and the second would be a replacement character.
    """
    raw = raw_path(flask.request.environ)
    if "%" not in raw:
        return
    path = flask.request.path
    if path.startswith(_TAGS) and "%2f" in raw.lower():
        raise BadRequest("The tag is not valid. It has a slash.", code="invalid-tag")
    if "\ufffd" in path:
        try:
            # From the URL as it was sent: Flask's own server replaces such bytes in PATH_INFO already.
            unquote_to_bytes(raw).decode()
        except UnicodeDecodeError:
            raise BadRequest("The path is not UTF-8.", code="invalid-tag") from None
