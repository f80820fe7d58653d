"""Commands for accounts: who may read and post."""

import sys
from collections.abc import Callable

import click
from flask.cli import with_appcontext

from ..accounts.passwords import generate_secret, normalized
from ..accounts.schemas import AccountName, NewAccount, NewPassword
from ..accounts.service import Role
from ..formats.printable import escaped
from ..schemas import load
from ..services import services


@click.group()
def account() -> None:
    """Accounts: who may read and post."""


def _check_name(ctx: click.Context, param: click.Parameter, name: str) -> str:
    checked: str = load(AccountName(), {"name": normalized(name)})["name"]
    return checked


_name = click.argument("name", callback=_check_name)
_role = click.option("--role", required=True, type=click.Choice([role.value for role in Role]))
_from_stdin = click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")


@account.command("add")
@_name
@_role
@_from_stdin
@with_appcontext
def add_account(name: str, role: str, password_stdin: bool) -> None:
    """Add an account. Its secret is generated and printed, unless it comes from standard input."""
    loaded = load(NewAccount(), {"name": name, "role": role})
    with_secret(loaded["role"], password_stdin, lambda password: services().accounts.add(**loaded, password=password))


@account.command("set-password")
@_name
@_from_stdin
@click.option("--keep-old", is_flag=True, help="Let the old secret of a program go on working.")
@with_appcontext
def set_password(name: str, password_stdin: bool, keep_old: bool) -> None:
    """Give an account another password, or a program another secret; its sessions end.

    With --keep-old a program has two secrets until drop-old-secret ends the old one.
    """
    accounts = services().accounts
    record = accounts.find(name)
    role = record.role if record else Role.OPERATOR
    change = accounts.add_secret if keep_old else accounts.set_password
    with_secret(role, password_stdin, lambda password: change(name, password))


@account.command("drop-old-secret")
@_name
@with_appcontext
def drop_old_secret(name: str) -> None:
    """End the older one of a program's two secrets; its sessions end."""
    services().accounts.drop_old_secret(name)


@account.command("set-role")
@_name
@_role
@with_appcontext
def set_role(name: str, role: str) -> None:
    """Give an account another role; its sessions end. A program has a secret, so it keeps its role."""
    services().accounts.set_role(name, Role(role))


def with_secret(role: Role, password_stdin: bool, use: Callable[[str], object]) -> None:
    """Call ``use`` with the password from standard input, or with a generated one, which is then the only output."""
    if not password_stdin:
        secret = generate_secret()
        use(secret)
        click.echo(secret)
        return
    if role.is_program:
        raise click.UsageError("The secret of a program is always generated.")
    try:
        password = sys.stdin.buffer.read().decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise click.UsageError("The password on standard input is not UTF-8.") from None
    use(load(NewPassword(), {"password": password})["password"])


@account.command("list")
@with_appcontext
def list_accounts() -> None:
    """List the accounts: name, role, and whether they are enabled, separated by tabs."""
    for record in services().accounts.list():
        click.echo(f"{escaped(record.name)}\t{record.role}\t{'enabled' if record.enabled else 'disabled'}")


@account.command("disable")
@_name
@with_appcontext
def disable_account(name: str) -> None:
    """Disable an account; its sessions end at once."""
    services().accounts.disable(name)


@account.command("enable")
@_name
@with_appcontext
def enable_account(name: str) -> None:
    """Enable an account again."""
    services().accounts.enable(name)


@account.command("remove")
@_name
@with_appcontext
def remove_account(name: str) -> None:
    """Remove an account; its sessions end at once."""
    services().accounts.remove(name)
