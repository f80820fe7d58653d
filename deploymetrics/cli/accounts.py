"""Commands for accounts: who may read and post."""

import sys
from collections.abc import Callable

import click

from ..accounts.passwords import normalize
from ..accounts.records import Role
from ..accounts.schemas import AccountName, Limits, NewAccount, NewPassword
from ..accounts.service import generate_credential
from ..formats.escaping import escape, row
from ..schemas import load
from ..services import services
from .group import main


@main.group()
def account() -> None:
    """Accounts: who may read and post."""


def check_name(ctx: click.Context, param: click.Parameter, name: str) -> str:
    return str(load(AccountName(), {"name": normalize(name)})["name"])


_name = click.argument("name", callback=check_name)
_role = click.option("--role", required=True, type=click.Choice([role.value for role in Role]), help="What it may do.")
#: More than any password; what is longer is not read to its end.
_MAX_INPUT = 2**16
_from_stdin = click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")


@account.command("add")
@_name
@_role
@_from_stdin
def add_account(name: str, role: str, password_stdin: bool) -> None:
    """Add an account. Its password is generated and printed, or comes from standard input; a program gets a token."""
    loaded = load(NewAccount(), {"name": name, "role": role})
    accounts = services().accounts
    _with_secret(name, loaded["role"], password_stdin, lambda password: accounts.add(**loaded, password=password))


@account.command("set-password")
@_name
@_from_stdin
def set_password(name: str, password_stdin: bool) -> None:
    """Give an account another password; its sessions end.

    A program gets one new token in place of all it has. To replace a token without a gap, use "token add" and then
    "token revoke".
    """
    accounts = services().accounts
    role = accounts.get(name).role
    _with_secret(name, role, password_stdin, lambda password: accounts.set_password(name, password))


@account.command("set-role")
@_name
@_role
def set_role(name: str, role: str) -> None:
    """Give an account another role; its sessions end. A program has no password, so it keeps its role."""
    services().accounts.set_role(name, Role(role))


def _with_secret(name: str, role: Role, password_stdin: bool, use: Callable[[str], object]) -> None:
    """Call ``use`` with the password from standard input, or with a generated one, which is then printed."""
    if not password_stdin:
        secret = generate_credential(role)
        use(secret)
        print_secret(secret, f"The account {name} has it; account set-password gives it another one.")
        return
    if role.is_program:
        raise click.UsageError("The token of a program is always generated.")
    try:
        password = sys.stdin.buffer.read(_MAX_INPUT).decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise click.UsageError("The password on standard input is not UTF-8.") from None
    use(load(NewPassword(), {"password": password})["password"])


def print_secret(secret: str, remedy: str) -> None:
    """Print a secret that is in force; raises an error with ``remedy`` where it reached nobody."""
    try:
        click.echo(secret)
    except OSError as error:  # a disk that is full, a pipe that nobody reads any more
        raise click.ClickException(escape(f"The secret could not be printed: {error}. {remedy}")) from error


@account.command("list")
def list_accounts() -> None:
    """List the accounts.

    Separated by tabs: name, role, and whether it is enabled.
    """
    for record in services().accounts.list():
        click.echo(row(record.name, record.role, "enabled" if record.enabled else "disabled"))


@account.command("disable")
@_name
def disable_account(name: str) -> None:
    """Disable an account; its sessions end at once."""
    services().accounts.disable(name)


@account.command("enable")
@_name
def enable_account(name: str) -> None:
    """Enable an account again."""
    services().accounts.enable(name)


@account.command("remove")
@_name
def remove_account(name: str) -> None:
    """Remove an account; its sessions end at once."""
    services().accounts.remove(name)


@account.command("limit")
@_name
@click.option("--tag", "tags", multiple=True, help="A pattern of the tags it may use, with * and ?; repeatable.")
@click.option("--documents", default=0, type=click.IntRange(0), help="How many documents it may have.")
@click.option("--bytes", "size", default=0, type=click.IntRange(0), help="How many bytes these may have together.")
@click.option("--posts-a-minute", default=0, type=click.IntRange(0), help="How often it may post in a minute.")
def limit_account(name: str, tags: tuple[str, ...], documents: int, size: int, posts_a_minute: int) -> None:
    """Limit what an account may post. A limit that is not given, or is 0, is lifted."""
    limits = load(Limits(), {"tags": list(tags), "documents": documents, "bytes": size, "posts": posts_a_minute})
    services().accounts.set_limits(name, **limits)
