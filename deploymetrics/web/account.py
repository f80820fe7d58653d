"""The page of an account: password, tokens and sessions; its own for everyone, those of others for master operators."""

import csv
import io
import math
from collections.abc import Iterable

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from ..accounts.records import Access, Account, AccountRecord, Role
from ..accounts.schemas import Limits, NewPassword, NewToken
from ..accounts.sessions import id_of
from ..errors import AccountError, Forbidden, InvalidFieldsError, TooManyAttemptsError, Unauthorized
from ..http.access import MASTER_OPERATOR_NEEDED, needs_proof, require_role
from ..schemas import load
from ..services import services
from ..telemetry.audited_requests import noted_by_name
from . import bp
from .accounts import sentence
from .login import begin_session, end_session
from .template_filters import visible


@bp.get("/account")
@require_role(*Role)
def own_account() -> ResponseReturnValue:
    """Show the account that is logged in: its password, tokens and sessions."""
    return account_page(current_user.record)


@bp.get("/accounts/about")
@require_role(Role.MASTER_OPERATOR)
def about_account() -> ResponseReturnValue:
    """Show another account: its tokens, sessions and limits."""
    return account_page(services().accounts.get(request.args.get("account", "")))


@bp.post("/account")
@require_role(*Role)
def change_own_password() -> ResponseReturnValue:
    """Store another password; all sessions of the account end but this one."""
    name, form = current_user.name, request.form
    if not current_user.is_person:
        return account_page(current_user.record, error="A program has tokens and no password."), 400
    try:
        current, address = form.get("current-password", ""), request.remote_addr or ""
        epoch = services().authenticator.check_password(name, current, address).epoch
        if form.get("new-password", "") != form.get("repeated-password", ""):
            raise InvalidFieldsError({"password": ["The two new passwords differ."]})
        chosen = load(NewPassword(), {"password": form.get("new-password", "")})["password"]
    except (Unauthorized, TooManyAttemptsError) as error:
        is_wrong = isinstance(error, Unauthorized)
        detail = "The current password is wrong." if is_wrong else error.detail
        page = account_page(current_user.record, error=detail, field="current-password")
        return page, 400 if is_wrong else error.status, {} if is_wrong else error.headers
    except InvalidFieldsError as error:
        return account_page(current_user.record, error=sentence(error), field="new-password"), error.status
    record = services().accounts.set_password(name, chosen, name, epoch=epoch)
    begin_session(Account(record, proved_at=math.inf))
    flash("Your password is changed. You are logged out everywhere else.")
    return redirect(url_for("web.own_account"))


@bp.post("/account/tokens")
@require_role(*Role)
@needs_proof
@noted_by_name
def add_token() -> ResponseReturnValue:
    """Make a token of one's own or, for master operators, of a program; this answer shows its secret once."""
    owner, form = account_of_form(), request.form
    typed = {"name": form.get("name", "").strip(), "duration": form.get("duration", ""), "access": form.get("access")}
    try:
        loaded = load(NewToken(), {**typed, "tags": split_patterns(form.get("tags", "")), "user": owner.name})
        owner, token, secret = services().tokens.add_for(current_user, loaded.pop("user"), **loaded)
    except (InvalidFieldsError, AccountError) as error:
        return account_page(owner, error=sentence(error), field="token"), error.status
    return account_page(services().accounts.get(owner.name), new_secret=(token.name, secret))


@bp.post("/account/tokens/revoke")
@require_role(*Role)
def revoke_token() -> ResponseReturnValue:
    """Revoke a token of one's own or, for master operators, of anybody."""
    owner, token = services().tokens.find_for(current_user, request.form.get("token", -1, type=int))
    services().tokens.revoke(owner.name, token.id, current_user.name)
    return back_to(owner.name, f"The token {visible(token.name)} is revoked.")


@bp.post("/account/sessions/end")
@require_role(*Role)
def end_sessions() -> ResponseReturnValue:
    """End the session that the form names, or else all sessions of the account.

    The account is one's own or, for master operators, anybody's.
    """
    owner, id = account_of_form(), request.form.get("session", "")
    if not id:
        services().accounts.end_sessions(owner.name, current_user.name)
    else:
        services().sessions.end_listed(owner.name, id)
    is_this = current_user.session_id and id == id_of(current_user.session_id)
    if owner.name == current_user.name and (not id or is_this):
        end_session()
        return redirect(url_for("web.login"))
    return back_to(owner.name, "That session is over." if id else f"{visible(owner.name)} is logged out everywhere.")


@bp.post("/accounts/limits")
@require_role(Role.MASTER_OPERATOR)
def limit_account() -> ResponseReturnValue:
    """Store the form that limits what a program may post."""
    owner, form = account_of_form(), request.form
    typed = {name: form.get(name) or "0" for name in ("documents", "bytes", "posts")}
    try:
        limits = load(Limits(), {**typed, "tags": split_patterns(form.get("tags", ""))})
        services().accounts.set_limits(owner.name, **limits, author=current_user.name)
    except (InvalidFieldsError, AccountError) as error:
        return account_page(owner, error=sentence(error), field="limits"), error.status
    return back_to(owner.name, f"The limits of {visible(owner.name)} are set.")


def split_patterns(line: str) -> list[str]:
    """Return the patterns of tags in a line: a space between them, and quotes around one that has a space itself."""
    rows = csv.reader(io.StringIO(line, newline=None), delimiter=" ", skipinitialspace=True)
    return [pattern for row in rows for pattern in row if pattern]


def join_patterns(patterns: Iterable[str]) -> str:
    """Return the line of which ``split_patterns`` makes the same patterns."""
    line = io.StringIO()
    csv.writer(line, delimiter=" ", lineterminator="").writerow(patterns)
    return line.getvalue()


def account_of_form() -> AccountRecord:
    """Return the account that the form names, by default the current one; raises Forbidden and NotFound."""
    name = request.form.get("account") or current_user.name
    if name != current_user.name and (current_user.role is not Role.MASTER_OPERATOR or current_user.token is not None):
        raise Forbidden(MASTER_OPERATOR_NEEDED, code="role-required")
    return services().accounts.get(name)


def back_to(name: str, message: str) -> ResponseReturnValue:
    """Redirect to the page of an account, which shows the message."""
    flash(message)
    if name == current_user.name:
        return redirect(url_for("web.own_account"))
    return redirect(url_for("web.about_account", account=name))


def account_page(
    record: AccountRecord, new_secret: tuple[str, str] | None = None, error: str | None = None, field: str | None = None
) -> str:
    """Render the page of an account; ``new_secret`` is (name, secret) of a new token, ``field`` that of the error."""
    return render_template(
        "web/account.html",
        record=record,
        is_own=record.name == current_user.name,
        sessions=services().sessions.list(record),
        this_session=id_of(current_user.session_id) if current_user.session_id else None,
        uses=services().tokens.uses(record.name),
        now=services().clock.timestamp(),
        accesses=list(Access),
        tags=join_patterns(record.tags),
        new_secret=new_secret,
        error=error,
        field=field,
    )
