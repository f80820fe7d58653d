"""The ``deploymetrics`` command: Flask's own (``run``, ``shell``, ``routes``) and what this service adds."""

import sys

import click
from flask import current_app
from flask.cli import FlaskGroup, with_appcontext

from . import schemas, settings_text
from .accounts import Role, generate_secret, normalized
from .errors import DeploymetricsError
from .parts import parts
from .sources.server import record_start


class Commands(FlaskGroup):
    """Says an error of the project in one line, and exits with 1, instead of a traceback."""

    def invoke(self, ctx):
        try:
            return super().invoke(ctx)
        except DeploymetricsError as error:
            raise click.ClickException(_sentence(error)) from error


def _sentence(error):
    fields = error.extra.get("errors", {})
    return " ".join([error.detail, *(f"{name}: {' '.join(texts)}" for name, texts in fields.items())])


def _create_app():
    from . import create_app

    try:
        return create_app()
    except DeploymetricsError as error:
        raise click.ClickException(error.detail) from error


@click.group(cls=Commands, create_app=_create_app, add_version_option=False)
@click.version_option(package_name="deploymetrics")
def main():
    """A server for deployment metrics. DEPLOYMETRICS_INSTANCE names the instance folder."""


@click.group()
def account():
    """Accounts: who may read and post."""


def _check_name(ctx, param, name):
    return schemas.load(schemas.AccountName(), {"name": normalized(name)})["name"]


_name = click.argument("name", callback=_check_name)
_from_stdin = click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")


@account.command("add")
@_name
@click.option("--role", required=True, type=click.Choice([role.value for role in Role]))
@_from_stdin
@with_appcontext
def add_account(name, role, password_stdin):
    """Add an account. Its secret is generated and printed, unless it comes from standard input."""
    loaded = schemas.load(schemas.NewAccount(), {"name": name, "role": role})
    with_secret(loaded["role"], password_stdin, lambda password: parts().accounts.add(**loaded, password=password))


@account.command("set-password")
@_name
@_from_stdin
@with_appcontext
def set_password(name, password_stdin):
    """Give an account another password, or a WebUI application another secret; its sessions end."""
    record = parts().accounts.find(name)
    role = record.role if record else Role.OPERATOR
    with_secret(role, password_stdin, lambda password: parts().accounts.set_password(name, password))


def with_secret(role, password_stdin, use):
    """Call ``use`` with the password from standard input, or with a generated one, which is then the only output."""
    if not password_stdin:
        secret = generate_secret()
        use(secret)
        click.echo(secret)
        return
    if role is Role.WEBUI_APP:
        raise click.UsageError("The secret of a WebUI application is always generated.")
    try:
        password = sys.stdin.buffer.read().decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise click.UsageError("The password on standard input is not UTF-8.") from None
    use(schemas.load(schemas.NewPassword(), {"password": password})["password"])


@account.command("list")
@with_appcontext
def list_accounts():
    """List the accounts: name, role, and whether they are enabled, separated by tabs."""
    for record in parts().accounts.list():
        click.echo(f"{record.name}\t{record.role}\t{'enabled' if record.enabled else 'disabled'}")
    if damaged := parts().accounts.damaged():
        raise click.ClickException(f"These accounts are damaged, and nobody can use them: {', '.join(damaged)}")


@account.command("disable")
@_name
@with_appcontext
def disable_account(name):
    """Disable an account; its sessions end at once."""
    parts().accounts.disable(name)


@account.command("enable")
@_name
@with_appcontext
def enable_account(name):
    """Enable an account again."""
    parts().accounts.enable(name)


@account.command("remove")
@_name
@with_appcontext
def remove_account(name):
    """Remove an account; its sessions end at once."""
    parts().accounts.remove(name)


@click.command()
@click.option("--example", is_flag=True, help="Print an example of instance/config.py instead.")
def settings(example):
    """Print the settings as a table in reStructuredText: name, default, meaning."""
    click.echo(settings_text.example() if example else settings_text.table(), nl=False)


def _check_bind(bind):
    _, colon, port = bind.rpartition(":")
    if not bind.startswith("unix:") and not (colon and port.isascii() and port.isdecimal() and int(port) < 2**16):
        raise click.BadParameter(f"{bind} is not HOST:PORT, with a port up to 65535.")
    return bind


@click.command()
@click.option("--bind", default="127.0.0.1:52311", show_default=True, metavar="HOST:PORT", help="Where to listen.",
              callback=lambda ctx, param, bind: _check_bind(bind))
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1, 256), help="Processes.")
@click.option("--threads", default=4, show_default=True, type=click.IntRange(1, 256), help="Threads of each process.")
@click.option("--certfile", type=click.Path(exists=True, dir_okay=False), help="The TLS certificate, PEM.")
@click.option("--keyfile", type=click.Path(exists=True, dir_okay=False), help="Its private key, PEM.")
@with_appcontext
def serve(bind, workers, threads, certfile, keyfile):
    """Serve with gunicorn. SIGTERM finishes what is running and stops; SIGHUP reloads."""
    from . import server

    if bool(certfile) != bool(keyfile):
        raise click.UsageError("--certfile and --keyfile go together.")
    accounts = parts().accounts
    server.check_first_start(accounts, bind)
    record_start(parts().service.store, parts().clock)
    options = {
        "bind": bind,
        "workers": workers,
        "threads": threads,
        "certfile": certfile,
        "keyfile": keyfile,
        "when_ready": lambda arbiter: server.make_first_account(accounts, bind, tls=bool(certfile)),
    }
    server.run(options, current_app.instance_path)
