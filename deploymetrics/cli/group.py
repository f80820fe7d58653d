"""The group of all commands, and what they share: errors in one line, the application, and notes in the audit log."""

import getpass
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from typing import Any

import click
from flask import Flask
from flask.cli import AppGroup, ScriptInfo

from ..config.instance import become_owner, check_exists, existing_instance, find_instance, user_name
from ..config.loading import Settings
from ..errors import DeploymetricsError
from ..formats.escaping import escape
from ..telemetry import telemetry_of
from ..upgrade import check_format

#: The author of what commands write.
AUTHOR = "command line"
#: Only these make an instance folder; the others would take a mistyped one for an empty one.
MAKE_INSTANCE = {"serve", "account add", "storage init"}
#: These change nothing, so the audit log does not note them.
ONLY_READ = {"serve", "settings", "status", "audit", "collect", "history", "verify", "export", "list"}
#: Parameters that say what a command is about; no other is noted.
_NOTED = ("account", "name", "tag", "version", "role")


class Commands(AppGroup):
    """A group of commands that prints an expected error in one line, without a traceback, and exits with 1."""

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        with _errors_in_a_line():  # --help and --version print here
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        with _errors_in_a_line():
            result = super().invoke(ctx)
            sys.stdout.flush()
            return result

    def main(self, *args: Any, **extra: Any) -> Any:
        try:
            return super().main(*args, **extra)
        finally:
            _drop_refused_output()


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


def _drop_refused_output() -> None:
    """Drop what standard output has refused: Python would try once more at its end, and exit with 120."""
    try:
        if sys.stdout:  # else it was closed
            sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _create_app() -> Flask:
    """Return the application for a command: check the folder's format, and act as the folder's owner."""
    from .. import create_app

    ctx = click.get_current_context()
    command = ctx.command_path.removeprefix(f"{ctx.find_root().command_path} ")
    if ctx.params.get("of_serve"):  # its collector, which gets the settings that serve has checked
        folder = find_instance()
        check_exists(folder)
        return create_app(folder, Settings(json.loads(sys.stdin.buffer.readline()), {}))
    if command in MAKE_INSTANCE:
        folder = find_instance()
        become_owner(folder)
    else:
        folder = existing_instance()
    if command != "serve":  # it alone brings an earlier release's folder over, whose server may run
        check_format(str(folder))
    app = create_app(folder)
    if ctx.command.name not in ONLY_READ:
        _note(app, command, ctx.params)
    return app


def person() -> str:
    """Return the author for the audit log: the user of the system at the command line, by name or number."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = str(os.getuid())
    return f"{AUTHOR} ({name})"


def _note(app: Flask, command: str, params: dict[str, Any]) -> None:
    """Note in the audit log that a command begins which may change something."""
    subjects = (str(params[name]) for name in _NOTED if params.get(name))  # may be bytes that are no text
    telemetry_of(app).audit_log.note(person(), command, what=escape(" ".join(subjects)))


@click.group(cls=Commands)
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
