"""The pages for a person's browser."""

from flask import Blueprint, current_app, redirect, render_template, request, session, url_for
from flask_login import current_user, login_user, logout_user

from . import openapi
from .auth import check_login_form, public
from .errors import TooManyAttempts, Unauthorized
from .version import VERSION

bp = Blueprint("web", __name__)


def parts():
    """The application's services."""
    return current_app.extensions["deploymetrics"]


@bp.get("/")
@public
def index():
    """Who is logged in, and what the account may do."""
    if not current_user.is_authenticated:
        return redirect(url_for("web.login"))
    return render_template("web/index.html")


@bp.get("/login")
@public
def login():
    """The login form."""
    return render_template("web/login.html", name="", error=None)


@bp.post("/login")
@public
def log_in():
    """Begin a session and set its cookie."""
    check_login_form()
    name = request.form.get("name", "")
    try:
        account = parts().credentials.check_password(name, request.form.get("password", ""), request.remote_addr or "")
    except (Unauthorized, TooManyAttempts) as error:
        return render_template("web/login.html", name=name, error=error), error.status, error.headers
    session.clear()
    account.session_id = parts().sessions.start(account, current_app.config["LOGIN_SECONDS"])
    login_user(account)
    session.permanent = True
    return redirect(url_for("web.index"))


@bp.post("/logout")
@public
def log_out():
    """End the session on every worker and drop the cookie."""
    check_login_form()
    if current_user.is_authenticated and current_user.session_id:
        parts().sessions.end(current_user.session_id)
    logout_user()
    session.clear()
    return redirect(url_for("web.login"))


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
        headers["Content-Security-Policy"] = (
            "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
        )
        headers["Referrer-Policy"] = "same-origin"
        headers.setdefault("Cache-Control", "no-store")
    return response
