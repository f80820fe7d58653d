"""The ``deploymetrics`` command."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from typing import Any

import click
from flask import Flask
from flask.cli import ScriptInfo

from ..config.instance import become_owner, check_exists, existing_instance, find_instance, user_name
from ..config.loading import Settings
from ..errors import DeploymetricsError
from ..formats.escaping import escape
from ..upgrade import check_format
from . import accounts, audit, backup, collect, documents, serve, settings, status, storage, tokens, transfer

COMMANDS: tuple[click.Command, ...] = (
    serve.serve,
    accounts.account,
    tokens.token,
    tokens.session,
    settings.settings,
    status.status,
    audit.audit,
    collect.collect,
    documents.put,
    documents.history,
    documents.purge,
    documents.trim,
    backup.verify,
    transfer.export_documents,
    transfer.import_documents,
    backup.backup,
    backup.restore,
    storage.storage,
)
#: Only these make an instance folder; the others would take a mistyped one for an empty one.
MAKE_INSTANCE = (serve.serve, accounts.add_account, storage.init)
#: These change nothing, so the audit log does not note them.
ONLY_READ = {"serve", "settings", "status", "audit", "collect", "history", "verify", "export", "list"}


class Commands(click.Group):
    """A group of commands that prints an expected error in one line, without a traceback, and exits with 1."""

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        with _errors_in_a_line():  # --help and --version print here
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        with _errors_in_a_line():
            return super().invoke(ctx)


@contextmanager
def _errors_in_a_line() -> Iterator[None]:
    """Turn an expected error into click's, which prints it in one line."""
    try:
        yield
    except DeploymetricsError as error:
        # The cause is for the log of a server; here nobody else would say it.
        raise click.ClickException(escape(f"{error.detail} {error.log or ''}".rstrip())) from error
    except BrokenPipeError:  # whoever read the output has enough of it, which click knows
        raise
    except OSError as error:
        hint = f". The command acts as {user_name(os.geteuid())}." if isinstance(error, PermissionError) else ""
        raise click.ClickException(escape(f"{error}{hint}")) from error
    except (ImportError, LookupError) as error:  # of a module or a codec, after root has become another account
        if all(os.access(file, os.R_OK, effective_ids=True) for file in (__file__, os.__file__)):
            raise
        user = user_name(os.geteuid())
        detail = f"The command acts as {user}, who cannot read all of Python or deploymetrics: {error}."
        raise click.ClickException(f"{detail} Install them outside of root's home.") from error


def _create_app() -> Flask:
    """Return the application for a command: check the folder's format, and act as the folder's owner."""
    from .. import create_app

    ctx = click.get_current_context()
    if ctx.params.get("of_serve"):  # its collector, which gets the settings that serve has checked
        folder = find_instance()
        check_exists(folder)
        return create_app(folder, Settings(json.loads(sys.stdin.buffer.readline()), {}))
    if ctx.command in MAKE_INSTANCE:
        folder = find_instance()
        become_owner(folder)
    else:
        folder = existing_instance()
    if ctx.command is not serve.serve:  # it alone brings an earlier release's folder over, whose server may run
        check_format(str(folder))
    app = create_app(folder)
    if ctx.command.name not in ONLY_READ:
        audit.note_command(app, ctx)
    return app


@click.group(cls=Commands, commands=COMMANDS)
@click.version_option(package_name="deploymetrics")
@click.pass_context
def main(ctx: click.Context) -> None:
    """A server for deployment metrics. DEPLOYMETRICS_INSTANCE names the instance folder."""
    for name, mode in ("stdin", "r"), ("stdout", "w"), ("stderr", "w"):
        if getattr(sys, name) is None:  # it was closed, and a file that is opened later must not get its number
            setattr(sys, name, open(os.devnull, mode))
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal may not have all characters
    ctx.obj = ScriptInfo(create_app=_create_app, set_debug_flag=False)
