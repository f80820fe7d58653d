"""The pages for a person's browser: a blueprint, and a module for each part of it.

The pages use the services that the API uses. They rest on the login cookie, so each form passes the door of ``auth``;
they need no script, and the policy below lets none in but our own.
"""

from flask import Blueprint, current_app

from .. import openapi
from ..auth import public
from ..version import VERSION

bp = Blueprint("web", __name__)

_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self';"
    " frame-ancestors 'none'; base-uri 'none'"
)


def parts():
    """The application's services."""
    return current_app.extensions["deploymetrics"]


@bp.get("/openapi.json")
@public
def openapi_document():
    """The OpenAPI document of the API."""
    return openapi.document(current_app, VERSION)


@bp.after_app_request
def harden(response):
    """Headers that keep a browser from doing more with an answer than showing it."""
    headers = response.headers
    headers["X-Content-Type-Options"] = "nosniff"
    if response.mimetype == "text/html":
        headers["Content-Security-Policy"] = _POLICY
        headers["Referrer-Policy"] = "same-origin"
        headers.setdefault("Cache-Control", "no-store")
    return response


from . import accounts_pages, documents, editing, history, login, overview, words  # noqa: E402, F401
