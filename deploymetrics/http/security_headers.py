"""The headers that keep a browser from doing more with an answer than it is for."""

from typing import Any

from flask import Flask
from werkzeug.wrappers import Response

from .requests import current_request
from .urls import in_api

_EVERY = {"X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "same-origin"}
#: What is for programs: opened in a browser, it loads and runs nothing, and stands in no frame.
DATA_HEADERS = {**_EVERY, "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'"}
#: A page shows itself, runs our own script, and is not shown again after the logout.
PAGE_HEADERS = {
    **_EVERY,
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self';"
        " form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def init_app(app: Flask) -> None:
    """Give every answer its headers, also errors where there is no view."""
    app.after_request(harden)


def harden(response: Response) -> Response:
    """Add the headers to an answer that was made without them, unlike those of the API."""
    headers = response.headers
    if "Content-Security-Policy" not in headers:
        headers.update(PAGE_HEADERS if response.mimetype == "text/html" and not in_api() else DATA_HEADERS)
    return response


def transport_headers(environ: dict[str, Any], seconds: int) -> list[tuple[str, str]]:
    """Return what tells a browser that came over HTTPS to use nothing else for so many seconds; nothing for 0."""
    is_told = seconds and environ["wsgi.url_scheme"] == "https"
    return [("Strict-Transport-Security", f"max-age={seconds}")] if is_told else []


def clear_site_data(response: Response) -> Response:
    """Have the browser forget what it has of this site; the cookie is dropped by itself, and others' cookies stay.

    Where others have a part of this origin, it forgets what costs them little.
    """
    response.headers["Clear-Site-Data"] = '"cache"' if current_request().root_path else '"cache", "storage"'
    return response
