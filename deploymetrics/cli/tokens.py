"""Commands for tokens and sessions: by what an account is known."""

from datetime import UTC, datetime

import click

from ..accounts.records import Access
from ..accounts.schemas import MAX_DAYS, NewToken
from ..accounts.tokens import token_in
from ..clock import as_precise
from ..formats.escaping import row
from ..schemas import load
from ..services import services
from .accounts import check_name, print_secret
from .group import AUTHOR, main

_account = click.argument("account", callback=check_name)


@main.group()
def token() -> None:
    """Tokens: credentials of an account for programs."""


@token.command("add")
@_account
@click.argument("name")
@click.option(
    "--days", default=30, show_default=True, type=click.IntRange(0, MAX_DAYS), help="How long it works; 0 is for ever."
)
@click.option(
    "--access",
    default=Access.FULL.value,
    show_default=True,
    type=click.Choice([access.value for access in Access]),
    help="All that its account may do, reading only, or /metrics only.",
)
@click.option("--tag", "tags", multiple=True, help="A pattern of the tags it may use, with * and ?; repeatable.")
def add_token(account: str, name: str, days: int, access: str, tags: tuple[str, ...]) -> None:
    """Give an account a token, whose secret is the only output. It can never do more than the account."""
    typed = {"name": name, "duration": days, "access": access, "tags": list(tags)}
    loaded = load(NewToken(exclude=["user"]), typed)
    secret = services().tokens.add(account, author=AUTHOR, **loaded)[1]
    print_secret(secret, f"The token {name} is there; token revoke takes it away.")


@token.command("list")
@click.argument("account", required=False)
def list_tokens(account: str | None) -> None:
    """List the tokens of an account, or of all.

    Separated by tabs: account, name, id, access, patterns of tags, end and last use.
    """
    records = services().accounts.list() if account is None else [services().accounts.get(account)]
    for record in records:
        uses = services().tokens.uses(record.name)
        for secret in record.tokens:
            tags, times = " ".join(secret.tags), map(_time, (secret.expires, uses.get(secret.hash, 0.0)))
            click.echo(row(record.name, secret.name, secret.id, secret.access, tags, *times))


@token.command("revoke")
@_account
@click.argument("name")
def revoke_token(account: str, name: str) -> None:
    """Revoke the token of that name.

    It works nowhere any more, nor do sessions that began with it.
    """
    services().tokens.revoke(account, token_in(services().accounts.get(account), name=name).id, AUTHOR)


@main.group()
def session() -> None:
    """Sessions: where an account is logged in."""


@session.command("list")
@_account
def list_sessions(account: str) -> None:
    """List the sessions of an account.

    Separated by tabs: id, begin, roughly the last use, address and program.
    """
    for id, login in services().sessions.list(services().accounts.get(account)):
        click.echo(row(id, _time(login.began), _time(login.used_at), login.address, login.agent))


@session.command("end")
@_account
@click.argument("id", required=False)
@click.option("--all", "every", is_flag=True, help="All sessions of the account.")
def end_session(account: str, id: str | None, every: bool) -> None:
    """End a session of an account, or all of them, on every worker."""
    if every == (id is not None):
        raise click.UsageError("Name one session by its id, or all of them by --all.")
    if id is None:
        services().accounts.end_sessions(account)
    else:
        services().sessions.end_listed(account, id)


def _time(seconds: float) -> str:
    return as_precise(datetime.fromtimestamp(seconds, UTC)) if seconds else "-"
