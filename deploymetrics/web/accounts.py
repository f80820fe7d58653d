"""Accounts, for master operators; and for everyone the password of their own."""

from collections.abc import Callable

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from ..accounts.passwords import generate_secret, normalized
from ..accounts.schemas import NewAccount, NewPassword
from ..accounts.service import Account, Role
from ..errors import AccountError, DeploymetricsError, InvalidFields, TooManyAttempts, Unauthorized
from ..http.access import require_role
from ..schemas import load
from ..services import services
from . import bp
from .filters import visible
from .login import begin_session


@bp.get("/accounts")
@require_role(Role.MASTER_OPERATOR)
def accounts() -> ResponseReturnValue:
    """List the accounts, with the form for a new one."""
    return accounts_page()


@bp.post("/accounts")
@require_role(Role.MASTER_OPERATOR)
def add_account() -> ResponseReturnValue:
    """Add an account with a generated password or secret, which this answer shows once."""
    typed = {"name": normalized(request.form.get("name", "").strip()), "role": request.form.get("role", "")}
    try:
        loaded = load(NewAccount(), typed)
        secret = generate_secret()
        services().accounts.add(**loaded, password=secret, author=current_user.name)
    except (InvalidFields, AccountError) as error:
        return accounts_page(typed=typed, error=sentence(error)), error.status
    return accounts_page(made=(loaded["name"], secret, loaded["role"]))


@bp.post("/accounts/secret")
@require_role(Role.MASTER_OPERATOR)
def new_secret() -> ResponseReturnValue:
    """Give an account a new password or secret, which this answer shows once; its sessions end."""
    name, secret = request.form.get("account", ""), generate_secret()
    try:
        record = services().accounts.set_password(name, secret, current_user.name)
    except AccountError as error:
        return accounts_page(error=error.detail), error.status
    if name == current_user.name:
        begin_session(Account(record))
    return accounts_page(made=(name, secret, record.role))


@bp.post("/accounts/enable")
@require_role(Role.MASTER_OPERATOR)
def enable_account() -> ResponseReturnValue:
    """Enable an account."""
    return changed(lambda name: services().accounts.enable(name, current_user.name), "is enabled")


@bp.post("/accounts/disable")
@require_role(Role.MASTER_OPERATOR)
def disable_account() -> ResponseReturnValue:
    """Disable an account; its sessions end."""
    return changed(lambda name: services().accounts.disable(name, current_user.name), "is disabled")


@bp.get("/accounts/secret", defaults={"change": "secret"})
@bp.get("/accounts/disable", defaults={"change": "disable"})
@bp.get("/accounts/remove", defaults={"change": "remove"})
@require_role(Role.MASTER_OPERATOR)
def ask_to_change(change: str) -> ResponseReturnValue:
    """Ask whether to change an account, before a click does what cannot be taken back."""
    name = request.args.get("account", "")
    record = services().accounts.find(name)
    if record is None:
        return accounts_page(error=f"There is no account {name}."), 404
    return render_template("web/change_account.html", record=record, change=change)


@bp.post("/accounts/remove")
@require_role(Role.MASTER_OPERATOR)
def remove_account() -> ResponseReturnValue:
    """Remove an account; its sessions end."""
    return changed(lambda name: services().accounts.remove(name, current_user.name), "is removed")


def changed(change: Callable[[str], object], done: str) -> ResponseReturnValue:
    """Call ``change`` with the account that the form names, and show the list, or why it could not be changed."""
    name = request.form.get("account", "")
    try:
        change(name)
    except AccountError as error:
        return accounts_page(error=error.detail), error.status
    flash(f"The account {visible(name)} {done}.")
    return redirect(url_for("web.accounts"))


@bp.get("/account")
@require_role(*Role)
def own_account() -> ResponseReturnValue:
    """Show the account that is logged in, with the form for another password."""
    return render_template("web/account.html", error=None, field=None, made=None)


@bp.post("/account")
@require_role(*Role)
def change_own_password() -> ResponseReturnValue:
    """Store another password; all sessions of the account end but this one."""
    name, form = current_user.name, request.form
    try:
        services().credentials.check_password(name, form.get("current-password", ""), request.remote_addr or "")
        chosen = chosen_password()
    except (Unauthorized, TooManyAttempts) as error:
        wrong = isinstance(error, Unauthorized)
        detail = "The current password is wrong." if wrong else error.detail
        page = render_template("web/account.html", error=detail, field="current-password", made=None)
        return page, 400 if wrong else error.status, {} if wrong else error.headers
    except InvalidFields as error:
        return render_template("web/account.html", error=sentence(error), field="new-password", made=None), error.status
    begin_session(Account(services().accounts.set_password(name, chosen, name)))
    if not current_user.is_person:
        return render_template("web/account.html", error=None, field=None, made=(name, chosen, current_user.role))
    flash("Your password is changed. You are logged out everywhere else.")
    return redirect(url_for("web.own_account"))


def chosen_password() -> str:
    """Return the password in the form, typed twice; for a program a generated one. Raises InvalidFields."""
    if not current_user.is_person:
        secret: str = generate_secret()
        return secret
    password: str = request.form.get("new-password", "")
    if password != request.form.get("repeated-password", ""):
        raise InvalidFields({"password": ["The two new passwords differ."]})
    password = load(NewPassword(), {"password": password})["password"]
    return password


def accounts_page(
    made: tuple[str, str, Role] | None = None, typed: dict[str, str] | None = None, error: str | None = None
) -> str:
    """Return the page; ``made`` is (name, secret, role) of what is shown once, ``typed`` what a refused form had."""
    records = services().accounts.list()
    return render_template(
        "web/accounts.html", records=records, roles=list(Role), made=made, typed=typed or {}, error=error
    )


def sentence(error: DeploymetricsError) -> str:
    """Return what is wrong, with the messages of the fields."""
    texts = [f"{name.capitalize()}: {' '.join(found)}" for name, found in error.extra.get("errors", {}).items()]
    return " ".join(texts) or error.detail
