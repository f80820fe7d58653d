"""Login and logout, and what happens when a session ends in the middle of something."""

from urllib.parse import urlsplit

from flask import current_app, flash, redirect, render_template, request, session, url_for
from flask_login import current_user, login_user, logout_user

from ..errors import Forbidden, TooManyAttempts, Unauthorized
from ..http import error_handlers
from ..http.access import check_same_site, has_header_credential, public
from ..http.urls import in_api
from ..services import services
from . import bp

KEPT = "kept."
_NEVER_KEPT = ("password",)
# Not Basic: a browser would put its own window for a name and password in front of the page.
_CHALLENGE = {"WWW-Authenticate": 'Cookie realm="BigFix Server"'}


@bp.get("/login")
@public
def login():
    """The login form."""
    if current_user.is_authenticated:
        return redirect(landing(request.args.get("next")))
    return login_page(landing(request.args.get("next")))


@bp.post("/login")
@public
def log_in():
    """Begin a session, set its cookie, and go where the person was going."""
    check_same_site()
    then = landing(request.form.get("next"))
    name = request.form.get("name", "")
    try:
        account = services().credentials.check_password(
            name, request.form.get("password", ""), request.remote_addr or ""
        )
    except (Unauthorized, TooManyAttempts) as error:
        return login_page(then, kept_fields(), name=name, error=error), error.status, _no_basic(error.headers)
    end_session()
    begin_session(account)
    kept = kept_fields()
    return render_template("web/carry_on.html", then=then, kept=kept) if kept else redirect(then)


@bp.post("/logout")
@public
def log_out():
    """End the session on every worker and drop the cookie."""
    check_same_site()
    end_session()
    flash("You are logged out.")
    return redirect(url_for("web.login"))


@bp.app_errorhandler(Unauthorized)
def ask_to_log_in(error):
    """The login page for whoever needs an account here, with what a form had in it; an error for programs."""
    if in_api() or has_header_credential(request.environ):
        return error_handlers.answer_error(error)
    if request.method != "POST":
        return redirect(url_for("web.login", next=request.script_root + request.full_path.rstrip("?")))
    allow_large_form()
    error = Unauthorized("Your session has ended. What you typed is not lost: log in to continue.")
    then = request.script_root + request.full_path.rstrip("?")
    return login_page(then, typed_fields(), error=error), 401, _CHALLENGE


def begin_session(account):
    """Start a session of the Account and put it into the cookie of this answer."""
    account.session_id = services().sessions.start(account, current_app.config["LOGIN_SECONDS"])
    login_user(account)
    session.permanent = True


def end_session():
    """End the session that the request's cookie names, if any, on every worker."""
    if current_user.is_authenticated and current_user.session_id:
        services().sessions.end(current_user.session_id)
    logout_user()
    session.clear()


def login_page(then, kept=(), name="", error=None):
    """The login form that leads to ``then``, with the (name, value) fields ``kept`` of a form that waits for it."""
    return render_template("web/login.html", then=then, kept=kept, name=name, error=error)


def landing(target):
    """The address to go to after the login: ``target`` if it is one of this site, else the start page."""
    start = url_for("web.index")
    if not target or not target.startswith(start) or target.startswith("//"):
        return start
    if "\\" in target or any(char < " " or char == "\x7f" for char in target) or any(urlsplit(target)[:2]):
        return start
    return start if target.startswith(url_for("web.login")) else target


def typed_fields():
    """(name, value) of what a form of our own site has in it, without passwords; nothing of another site's."""
    try:
        check_same_site()
    except Forbidden:
        return []
    return [(name, value) for name, value in request.form.items(multi=True) if not _is_secret(name)]


def kept_fields():
    """(name, value) of the fields that the login form carries for another form."""
    fields = request.form.items(multi=True)
    return [(name.removeprefix(KEPT), value) for name, value in fields if name.startswith(KEPT)]


@bp.before_request
def allow_large_form():
    """Let the current request's form hold more than a document may: what is too long comes back to whoever typed it."""
    if request.mimetype == "multipart/form-data":
        request.max_content_length = request.max_form_memory_size = form_limit()


def form_limit():
    """How many bytes a form with a document may have; an editor's text is longer than the document (``indented``)."""
    return 8 * current_app.config["MAX_BODY_BYTES"] + 2**16


def _is_secret(name):
    return any(name.endswith(word) for word in _NEVER_KEPT)


def _no_basic(headers):
    return {**headers, **_CHALLENGE} if "WWW-Authenticate" in headers else headers
