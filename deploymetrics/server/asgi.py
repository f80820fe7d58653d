"""From ASGI, which granian speaks, to WSGI, which the application does: environs of requests, heads of answers."""

import sys
import time
from functools import lru_cache
from io import BytesIO
from typing import Any
from urllib.parse import unquote_to_bytes

from ..clock import as_http_date
from . import limits

#: The one value of a header that is taken, and the status for another one.
_ONLY = {b"transfer-encoding": (b"chunked", 501), b"expect": (b"100-continue", 417)}


def environ_of(scope: Any) -> dict[str, Any]:
    """Return the WSGI environ of an ASGI request, without headers that have an underscore and could pass for others."""
    path, query = scope["raw_path"], scope["query_string"].decode("latin-1")
    (host, port), (address, client_port) = scope["server"], scope["client"]
    uri = path.decode("latin-1")
    environ = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1") if b"%" in path else uri,
        "QUERY_STRING": query,
        "RAW_URI": f"{uri}?{query}" if query else uri,
        "SERVER_NAME": host,
        "SERVER_PORT": port,
        "SERVER_PROTOCOL": "HTTP/1.0" if scope["http_version"] == "1" else "HTTP/1.1",
        "SERVER_SOFTWARE": "granian",
        "REMOTE_ADDR": address,
        "REMOTE_PORT": client_port,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": BytesIO(),
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in scope["headers"]:
        if b"_" in name:
            continue
        key = _environ_key(name)
        text = value.decode("latin-1")
        environ[key] = f"{environ[key]},{text}" if key in environ else text
    return environ


@lru_cache(256)
def _environ_key(name: bytes) -> str:
    key = name.decode("latin-1").upper().replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"


def refusal_of(scope: Any) -> int:
    """Return the status with which gunicorn would refuse a request that granian takes; 0 if it would not."""
    if len(scope["method"]) + len(scope["raw_path"]) + len(scope["query_string"]) + 11 > limits.REQUEST_LINE:
        return 414
    headers = scope["headers"]
    if len(headers) > limits.HEADER_FIELDS:
        return 431
    hosts = list[bytes]()
    for name, value in headers:
        if len(name) + len(value) + 2 > limits.HEADER_FIELD:
            return 431
        if name == b"host":
            hosts.append(value)
        elif name in _ONLY and value.lower() != _ONLY[name][0]:
            return _ONLY[name][1]
    # Where none came, granian has an empty one.
    is_named = len(hosts) == 1 and (hosts[0] or scope["http_version"] == "1")
    return 0 if is_named and scope["method"].upper() == scope["method"] else 400


def has_body(environ: dict[str, Any]) -> bool:
    """Return True if a request has a body, which may be empty if it comes in chunks."""
    return environ.get("CONTENT_LENGTH", "0") != "0" or "HTTP_TRANSFER_ENCODING" in environ


def start_message(status: str, headers: list[tuple[str, str]]) -> dict[str, Any]:
    """Return the ASGI message that begins an answer, given what an application passes to ``start_response``.

    It has a Date: granian's own stands still when the clock is put back, until that has caught up.
    """
    fields = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    fields.append((b"date", as_http_date(int(time.time())).encode()))
    return {"type": "http.response.start", "status": int(status[:3]), "headers": fields}
