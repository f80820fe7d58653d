"""The page of all accounts, for master operators."""

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from ..accounts.passwords import normalize
from ..accounts.records import Role
from ..accounts.schemas import NewAccount
from ..accounts.service import generate_credential
from ..errors import AccountError, DeploymetricsError, InvalidFieldsError, NotFound
from ..http.access import needs_proof, require_role
from ..schemas import load
from ..services import services
from ..telemetry.audited_requests import noted_by_name
from . import bp
from .template_filters import visible


@bp.get("/accounts")
@require_role(Role.MASTER_OPERATOR)
def accounts() -> ResponseReturnValue:
    """List the accounts, with the form for a new one."""
    return accounts_page()


@bp.post("/accounts")
@require_role(Role.MASTER_OPERATOR)
@needs_proof
@noted_by_name
def add_account() -> ResponseReturnValue:
    """Add an account with a generated password or secret, which this answer shows once."""
    typed = {"name": normalize(request.form.get("name", "").strip()), "role": request.form.get("role", "")}
    try:
        loaded = load(NewAccount(), typed)
        secret = generate_credential(loaded["role"])
        services().accounts.add(**loaded, password=secret, author=current_user.name)
    except (InvalidFieldsError, AccountError) as error:
        return accounts_page(typed=typed, error=sentence(error)), error.status
    return accounts_page(new_secret=(loaded["name"], secret, loaded["role"]))


@bp.post("/accounts/secret")
@require_role(Role.MASTER_OPERATOR)
@needs_proof
def new_secret() -> ResponseReturnValue:
    """Give another account a new password or secret, which this answer shows once; its sessions end."""
    name = request.form.get("account", "")
    if name == current_user.name:
        return accounts_page(error="Your own password is changed on the page of your account, with the old one."), 409
    try:
        secret = generate_credential(services().accounts.get(name).role)
        record = services().accounts.set_password(name, secret, current_user.name)
    except (AccountError, NotFound) as error:
        return accounts_page(error=error.detail), error.status
    return accounts_page(new_secret=(name, secret, record.role))


@bp.get("/accounts/secret", defaults={"change": "secret"})
@bp.get("/accounts/disable", defaults={"change": "disable"})
@bp.get("/accounts/remove", defaults={"change": "remove"})
@require_role(Role.MASTER_OPERATOR)
def ask_to_change(change: str) -> ResponseReturnValue:
    """Ask whether to change an account, before a click does what cannot be taken back."""
    try:
        record = services().accounts.get(request.args.get("account", ""))
    except NotFound as error:
        return accounts_page(error=error.detail), error.status
    return render_template("web/change_account.html", record=record, change=change)


@bp.post("/accounts/enable", endpoint="enable_account", defaults={"change": "enable"})
@bp.post("/accounts/disable", endpoint="disable_account", defaults={"change": "disable"})
@bp.post("/accounts/remove", endpoint="remove_account", defaults={"change": "remove"})
@require_role(Role.MASTER_OPERATOR)
def change_account(change: str) -> ResponseReturnValue:
    """Enable, disable or remove an account, whose sessions end; show the list, or why it could not be changed."""
    accounts, name = services().accounts, request.form.get("account", "")
    changes = {"enable": accounts.enable, "disable": accounts.disable, "remove": accounts.remove}
    try:
        changes[change](name, current_user.name)
    except AccountError as error:
        return accounts_page(error=error.detail), error.status
    flash(f"The account {visible(name)} is {change}d.")
    return redirect(url_for("web.accounts"))


def accounts_page(
    new_secret: tuple[str, str, Role] | None = None, typed: dict[str, str] | None = None, error: str | None = None
) -> str:
    """Render the page; ``new_secret`` is (name, secret, role), shown once, ``typed`` the fields of a refused form."""
    accounts = services().accounts.list()
    return render_template(
        "web/accounts.html", records=accounts, roles=Role, new_secret=new_secret, typed=typed or {}, error=error
    )


def sentence(error: DeploymetricsError) -> str:
    """Return the detail of an error with a capital letter at the start."""
    return error.detail[:1].upper() + error.detail[1:]
