"""The security headers of answers: Content-Security-Policy, Strict-Transport-Security and the like."""

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
    """Add security headers to every answer of ``app``, also to errors."""
    app.after_request(add_security_headers)


def add_security_headers(response: Response) -> Response:
    """Add the security headers to an answer, unless it has them, as those of the API do."""
    headers = response.headers
    if "Content-Security-Policy" not in headers:
        headers.update(PAGE_HEADERS if response.mimetype == "text/html" and not in_api() else DATA_HEADERS)
    return response


def hsts_headers(environ: dict[str, Any], seconds: int) -> list[tuple[str, str]]:
    """Return the Strict-Transport-Security header for a request over HTTPS; nothing for others, or for 0 seconds."""
    has_hsts = seconds and environ["wsgi.url_scheme"] == "https"
    return [("Strict-Transport-Security", f"max-age={seconds}")] if has_hsts else []


def clear_site_data(response: Response) -> Response:
    """Have the browser forget its cache and storage of this site; not its cookies, which others on the host may have.

    Below a prefix, where others have a part of this origin, only the cache is cleared.
    """
    response.headers["Clear-Site-Data"] = '"cache"' if current_request().root_path else '"cache", "storage"'
    return response
