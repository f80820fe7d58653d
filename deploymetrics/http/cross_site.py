"""Requests from other sites: protection against forged ones (CSRF), and origins that may read answers (CORS).

A browser adds its cookie, the name and password that it remembers, and what a proxy in front makes of a certificate or
a login there, to every request, whichever page made it. Only a program or a script adds a ``SessionToken`` or a bearer
secret, and no script of another origin can: its browser asks first (CORS), and is told no.
"""

from typing import Any

import flask
from flask import Flask
from werkzeug.wrappers import Response

from ..errors import Forbidden
from .requests import SAFE_METHODS, Request, current_request
from .urls import in_api

_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, HEAD, POST, PUT, DELETE",
    "Access-Control-Allow-Headers": (
        "Authorization, SessionToken, Content-Type, If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since"
    ),
    "Access-Control-Max-Age": "600",
}
_EXPOSED_HEADERS = (
    "ETag, Link, Retry-After, SessionToken, Allow, Deploymetrics-Damaged, Deploymetrics-Damaged-Count, X-Request-ID"
)


def init_app(app: Flask) -> None:
    """Let the origins in the setting CORS_ORIGINS use the API, where there are any; before access is checked."""
    if app.config["CORS_ORIGINS"]:
        app.before_request(answer_preflight)
        app.after_request(allow_origin)


def has_ambient_credential(environ: dict[str, Any]) -> bool:
    """Return True if a browser may have added the credential of a request by itself, whichever page made it."""
    authorization: str = environ.get("HTTP_AUTHORIZATION", "")
    return "HTTP_SESSIONTOKEN" not in environ and authorization[:7].lower() != "bearer "


def check_same_site(request: Request | None = None) -> None:
    """Raise Forbidden for a write, or a read by a script, from another site.

    A page of our own is same-origin; ``none`` is a person who typed the address. Old browsers, and all of them over
    plain HTTP, do not say Sec-Fetch-Site, but send Origin with a write; what sends neither is no browser.
    """
    request = request or current_request()
    environ = request.environ
    site, origin = environ.get("HTTP_SEC_FETCH_SITE"), environ.get("HTTP_ORIGIN")
    if site is not None:
        is_foreign = site not in ("same-origin", "none")
    else:
        is_foreign = origin is not None and origin.lower() != f"{request.scheme}://{request.authority}"
    if not is_foreign or is_from_allowed_origin(request):
        return
    # A person who follows a link, say from a chat, may: the other site cannot read what is shown.
    is_link = (environ.get("HTTP_SEC_FETCH_MODE"), environ.get("HTTP_SEC_FETCH_DEST")) == ("navigate", "document")
    is_read_by_script = in_api(request) and site == "cross-site" and not is_link
    if request.method not in SAFE_METHODS or is_read_by_script:
        detail = "A request from another site is refused where the browser adds the credential by itself."
        raise Forbidden(detail, code="cross-site")


def is_from_allowed_origin(request: Request) -> bool:
    """Return True for a request to the API from an origin in the setting CORS_ORIGINS."""
    return request.headers.get("Origin", "").lower() in request.app.config["CORS_ORIGINS"] and in_api(request)


def answer_preflight() -> Response | None:
    """Answer the preflight request by which a browser asks whether a script of another origin may make a request."""
    request = current_request()
    is_preflight = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
    if is_preflight and is_from_allowed_origin(request):
        return flask.Response(status=204, headers=_PREFLIGHT)
    return None


def allow_origin(response: Response) -> Response:
    """Add the headers by which a browser lets a script of an allowed origin read the answer."""
    request = current_request()
    if in_api():
        response.vary.add("Origin")
        if is_from_allowed_origin(request):
            response.headers["Access-Control-Allow-Origin"] = request.headers["Origin"]
            response.headers["Access-Control-Allow-Credentials"] = "true"
            response.headers["Access-Control-Expose-Headers"] = _EXPOSED_HEADERS
    return response
