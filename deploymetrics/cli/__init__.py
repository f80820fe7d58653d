"""The ``deploymetrics`` command: Flask's own (``run``, ``shell``, ``routes``) and what this service adds."""

import os
from typing import Any

import click
from flask import Flask
from flask.cli import FlaskGroup

from ..config.instance import account_name, become_owner, check_exists, find_instance
from ..errors import DeploymetricsError
from ..formats.printable import escaped
from . import accounts, audit, backup, collect, data, serve, settings, status, storage, tokens

COMMANDS: tuple[click.Command, ...] = (
    serve.serve,
    accounts.account,
    tokens.token,
    tokens.session,
    settings.settings,
    status.status,
    audit.audit,
    collect.collect,
    data.put,
    data.history,
    data.purge,
    data.trim,
    data.verify,
    data.export_documents,
    data.import_documents,
    backup.backup,
    backup.restore,
    storage.storage,
)
#: Only these make an instance folder; the others would take a mistyped one for an empty one.
MAKE_INSTANCE = (serve.serve, accounts.add_account, storage.init)
#: Only these bring an instance folder of an earlier release over: its server may be running.
UPGRADE_INSTANCE = (serve.serve,)
#: These change nothing, so the audit log does not note them.
ONLY_READ = {"serve", "settings", "status", "audit", "collect", "history", "verify", "export", "list"}


class Commands(FlaskGroup):
    """Says an error of the project or of the system in one line, and exits with 1, instead of a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except DeploymetricsError as error:
            # The cause is for the log of a server; here nobody else would say it.
            raise click.ClickException(escaped(f"{error.detail} {error.log or ''}".rstrip())) from error
        except BrokenPipeError:  # whoever read the output has enough of it, which click knows
            raise
        except OSError as error:
            hint = f". The command acts as {account_name(os.geteuid())}." if isinstance(error, PermissionError) else ""
            raise click.ClickException(escaped(f"{error}{hint}")) from error

    # Flask's group makes an application to look for commands in it; all of ours are in the group itself.
    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        return click.Group.get_command(self, ctx, name)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return click.Group.list_commands(self, ctx)


def _create_app() -> Flask:
    """Return the application for a command, which then acts as the account that has the instance folder."""
    from .. import create_app
    from ..upgrade import check_format

    ctx, folder = click.get_current_context(), find_instance()
    if ctx.command not in MAKE_INSTANCE:
        check_exists(folder)
    become_owner(folder)
    if ctx.command not in UPGRADE_INSTANCE:
        check_format(str(folder))
    app = create_app(folder)
    if ctx.command.name not in ONLY_READ:
        audit.note(app, ctx)
    return app


# No .env of the working folder chooses the instance.
@click.group(cls=Commands, create_app=_create_app, add_version_option=False, load_dotenv=False)
@click.version_option(package_name="deploymetrics")
def main() -> None:
    """A server for deployment metrics. DEPLOYMETRICS_INSTANCE names the instance folder."""


for command in COMMANDS:
    main.add_command(command)
