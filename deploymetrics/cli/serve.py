"""``deploymetrics serve``."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from flask import current_app

from ..accounts.records import Role
from ..config.loading import Settings, load_settings
from ..config.settings import BY_NAME
from ..services import services
from ..start_record import record_start
from ..telemetry import telemetry_of
from .group import main

Command = TypeVar("Command", bound=Callable[..., Any])


def _flag(name: str, **options: Any) -> Callable[[Command], Command]:
    """Return the option of ``serve`` that overrides a setting."""
    row = BY_NAME[name]
    default = f" The default is {row.default}." if row.default else ""
    return click.option(f"--{name.lower()}", name, help=f"{row.help}{default} (setting {name})", **options)


@main.command()
@_flag("BIND", metavar="ADDRESS")
@_flag("SERVER", type=click.Choice(["gunicorn", "granian"]))
@_flag("WORKERS", type=click.IntRange(1, 256))
@_flag("THREADS", type=click.IntRange(1, 256))
@_flag("CERTFILE", type=click.Path(exists=True, dir_okay=False, resolve_path=True))
@_flag("KEYFILE", type=click.Path(exists=True, dir_okay=False, resolve_path=True))
def serve(**flags: Any) -> None:
    """Serve with gunicorn or granian. SIGTERM finishes what is running and stops. SIGHUP reads settings anew.

    Each option goes before the setting of the same name.
    """
    try:
        os.getcwd()
    except FileNotFoundError:  # deleted, as an old checkout may be, and gunicorn asks for it
        os.chdir("/")
    from ..server import first_start
    from ..server.master import Server

    instance = Path(current_app.instance_path)
    flags = {name: value for name, value in flags.items() if value is not None}
    accounts, audit_log = services().accounts, telemetry_of(current_app).audit_log
    first_start.check_first_start(accounts, load_settings(instance, flags)["BIND"])

    def when_ready(settings: Settings) -> None:
        record_start(services().store, services().clock)
        if first_start.make_first_account(accounts, instance, settings["BIND"], tls=bool(settings["CERTFILE"])):
            audit_log.note("first start", "account add", what=f"{first_start.FIRST_ACCOUNT} {Role.MASTER_OPERATOR}")

    Server(instance, flags, when_ready).run()
