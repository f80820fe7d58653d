"""The first account, which is made on a first start, and its password."""

import logging
import os
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import click
from flask import Flask

from ..accounts.passwords import generate_password
from ..accounts.records import Role
from ..accounts.service import Accounts
from ..errors import AccountError
from ..services import services
from .startup_checks import is_local

FIRST_ACCOUNT = "admin"
PASSWORD_FILE = "first-password"
HOW_TO_ADD = f"deploymetrics account add {FIRST_ACCOUNT} --role {Role.MASTER_OPERATOR}"
log = logging.getLogger(__name__)


def check_first_start(accounts: Accounts, bind: str) -> None:
    """Refuse to serve without an account, unless on a loopback address, where ``make_first_account`` makes one."""
    if not is_local(bind) and not accounts.exist():
        raise click.ClickException(
            f"There is no account yet, and {bind} is not a loopback address. Make one first:\n    {HOW_TO_ADD}"
        )


def make_first_account(accounts: Accounts, instance: Path, bind: str, *, tls: bool) -> bool:
    """Make the account ``admin`` if there is no account yet, and show its password; return True if it was made.

    A terminal shows it to whoever starts the server. Elsewhere standard output is a log that others keep and read: then
    it is in the file PASSWORD_FILE of the instance folder, as the log says, and has to be changed at the first login.
    To be called once the server listens: a start that fails must not have shown a password that nobody saw. Of servers
    that start at the same time one makes the account.
    """
    if accounts.exist():
        return False
    password = generate_password()
    options, root = _curl(bind, tls)
    with suppress(AccountError):  # another server has made it meanwhile
        if sys.stdout.isatty():
            accounts.add(FIRST_ACCOUNT, Role.MASTER_OPERATOR, password, author="first start")
            click.echo(
                f"Made the master operator {FIRST_ACCOUNT} with the password {password}\n"
                f"It is not shown again. Try:\n    curl {options}-u {FIRST_ACCOUNT}:{password}"
                f" -d '[{{\"bla\": \"3\"}}]' {root}/api/deploymentmetrics/custom"
            )
        else:
            path = instance / PASSWORD_FILE
            _make_in_file(accounts, password, path)
            log.warning(
                "Made the master operator %s. Its password is in the file %s, and is to be changed at the first login:"
                " %s/ in a browser, or deploymetrics account set-password %s",
                *(FIRST_ACCOUNT, path, root, FIRST_ACCOUNT),
            )
        return True
    return False


def _make_in_file(accounts: Accounts, password: str, path: Path) -> None:
    """Make the first account and a file with its password; raises AccountError, without a file, if it exists."""
    fd, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with open(fd, "w") as file:
            file.write(f"{password}\n")
        accounts.add(FIRST_ACCOUNT, Role.MASTER_OPERATOR, password, author="first start", must_change=True)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
    try:
        os.replace(draft, path)
    except OSError as error:
        detail = f"The password of {FIRST_ACCOUNT} is in the file {draft}. {path}: {error.strerror}"
        raise click.ClickException(detail) from error


def announce(app: Flask) -> None:
    """Print the instance folder, and how to make an account if there is none; for servers other than ``serve``."""
    click.echo(f"The instance folder is {app.instance_path}.", err=True)
    if not services(app).accounts.exist():
        click.echo(f"There is no account yet, so nobody can log in. Make one:\n    {HOW_TO_ADD}", err=True)


def _curl(bind: str, tls: bool) -> tuple[str, str]:
    """Return (options, root of URLs) with which curl finds the server."""
    options, scheme = ("-k ", "https") if tls else ("", "http")
    if bind.startswith("unix:"):
        return f"{options}--unix-socket {bind.removeprefix('unix:')} ", f"{scheme}://localhost"
    return options, f"{scheme}://{bind}"
