"""Login and logout, and keeping a form whose session ended before it was sent."""

from collections.abc import Iterable
from urllib.parse import urlsplit

from flask import current_app, flash, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_user, logout_user

from ..accounts.records import Account
from ..errors import DeploymetricsError, Forbidden, ProofNeededError, TooManyAttemptsError, Unauthorized
from ..http import error_handlers
from ..http.access import has_header_credential, public
from ..http.cross_site import check_same_site
from ..http.requests import current_request
from ..http.security_headers import clear_site_data
from ..http.urls import in_api
from ..services import services
from ..telemetry.audited_requests import always_noted, noted_login
from . import bp

KEPT = "kept."
# What works with a password that is for the first login.
_WITH_FIRST = ("web.own_account", "web.change_own_password", "web.login", "web.log_in", "web.log_out")
_SMALL_FORM = 2**16
_KNOWN = "known"
# Not Basic: a browser would put its own window for a name and password in front of the page.
_CHALLENGE = {"WWW-Authenticate": 'Cookie realm="BigFix Server"'}


@bp.get("/login")
@public
def login() -> ResponseReturnValue:
    """Show the login form."""
    then = landing(request.args.get("next"))
    return redirect(then) if current_user.is_authenticated else login_page(then)


@bp.post("/login")
@public
@noted_login
def log_in() -> ResponseReturnValue:
    """Begin a session, set its cookie, and go where the person was going."""
    check_same_site()
    then = landing(request.form.get("next"))
    name = request.form.get("name", "")
    try:
        account = services().authenticator.log_in(name, request.form.get("password", ""), request.remote_addr or "")
    except (Unauthorized, TooManyAttemptsError) as error:
        headers = {**error.headers, **_CHALLENGE} if isinstance(error, Unauthorized) else error.headers
        return login_page(then, kept_fields(), name=name, error=error), error.status, headers
    end_session()
    begin_session(account)
    request.environ["REMOTE_USER"] = account.name
    kept = kept_fields()
    return render_template("web/continue.html", then=then, kept=kept) if kept else redirect(then)


@bp.post("/logout")
@public
@always_noted
def log_out() -> ResponseReturnValue:
    """End the session on every worker and drop the cookie."""
    check_same_site()
    end_session()
    flash("You are logged out.")
    return clear_site_data(redirect(url_for("web.login")))


@bp.app_errorhandler(Unauthorized)
def ask_to_log_in(error: Unauthorized) -> ResponseReturnValue:
    """Show the login page, which keeps the fields of a form, where an account is needed; programs get the error."""
    if in_api() or has_header_credential(request.environ):
        return error_handlers.answer_error(error)
    then = request.script_root + request.full_path.rstrip("?")
    if request.method != "POST":
        return redirect(url_for("web.login", next=then))
    limit_form()
    name, message = "", "Your session has ended. What you typed is not lost: log in to continue."
    if isinstance(error, ProofNeededError):
        name, message = current_user.name, "You logged in a while ago. For this, type your password again."
    try:
        return login_page(then, typed_fields(), name=name, error=type(error)(message)), 401, _CHALLENGE
    except DeploymetricsError as broken:  # no other handler sees what is raised in one
        return error_handlers.answer_error(broken)


@bp.before_request
def require_new_password() -> ResponseReturnValue | None:
    """Redirect an account whose password must be changed to the form for that."""
    if not current_user.is_authenticated or not current_user.record.must_change or request.endpoint in _WITH_FIRST:
        return None
    flash("Your password was for the first login only. Choose another one.", "request")
    return redirect(url_for("web.own_account"))


def begin_session(account: Account) -> None:
    """Start a session of the Account, and put its token into the login cookie."""
    lifetime = current_app.config["LOGIN_SECONDS"]
    account.session_id = services().sessions.start(account, lifetime, *current_request().client)
    login_user(account)
    session.permanent = session[_KNOWN] = True


def end_session() -> None:
    """End the session in the request's login cookie, if any, on every worker."""
    if current_user.is_authenticated and current_user.session_id:
        services().sessions.end(current_user.session_id)
        request.environ["REMOTE_USER"] = current_user.name
    logout_user()
    was_known = session.get(_KNOWN)
    session.clear()
    if was_known:  # another window may have a form that is not sent yet
        session.permanent = session[_KNOWN] = True


def login_page(
    then: str, kept: Iterable[tuple[str, str]] = (), name: str = "", error: DeploymetricsError | None = None
) -> str:
    """Render the login form, which leads to ``then``; ``kept`` are (name, value) of another form's fields."""
    return render_template("web/login.html", then=then, kept=kept, name=name, error=error)


def landing(target: str | None) -> str:
    """Return the URL to go to after the login: ``target`` if it is an address of this site, else the start page."""
    start = url_for("web.index")
    if not target or not target.startswith(start) or target.startswith(("//", url_for("web.login"))):
        return start
    is_odd = "\\" in target or any(char < " " or char == "\x7f" for char in target) or any(urlsplit(target)[:2])
    return start if is_odd else target


def typed_fields() -> list[tuple[str, str]]:
    """Return (name, value) of the fields in a form of this site, without passwords; none for another site's form."""
    try:
        check_same_site()
    except Forbidden:
        return []
    return [(name, value) for name, value in request.form.items(multi=True) if not name.endswith("password")]


def kept_fields() -> list[tuple[str, str]]:
    """Return (name, value) of the other form's fields that the login form carries."""
    fields = request.form.items(multi=True)
    return [(name.removeprefix(KEPT), value) for name, value in fields if name.startswith(KEPT)]


@bp.before_request
def limit_form() -> None:
    """Set how large the current request's form may be: larger than a document, so that it can be shown again.

    That is for people who are logged in or were, as the signed cookie shows; a stranger's form is small.
    """
    is_large = request.mimetype == "multipart/form-data" and session.get(_KNOWN)
    request.max_content_length = request.max_form_memory_size = form_limit() if is_large else _SMALL_FORM


@bp.app_template_global()
def form_limit() -> int:
    """Return how many bytes a form with a document may have, which is indented in the editor, and so longer."""
    return 8 * int(current_app.config["MAX_BODY_BYTES"]) + _SMALL_FORM
