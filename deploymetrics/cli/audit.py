"""``deploymetrics audit``: the audit log, and what commands write into it."""

import getpass
import os
from itertools import islice

import click
import msgspec
from flask import Flask, current_app
from flask.cli import with_appcontext

from ..formats.escaping import escape, row
from ..telemetry import telemetry_of

#: The author of what commands write.
AUTHOR = "command line"
#: Parameters that say what a command is about; no other is noted.
_NOTED = ("account", "name", "tag", "version", "role")


@click.command()
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 10**9), help="How many lines.")
@click.option("--who", help="Only what this account did.")
@click.option("--json", "as_json", is_flag=True, help="Print each entry as a line of JSON.")
@with_appcontext
def audit(limit: int, who: str | None, as_json: bool) -> None:
    """Show who changed what, who logged in, and who was refused.

    The newest stands last. Separated by tabs: time, who, what was done, to what, status, code of the error, address, id
    of the request. A command has no status: it is noted as it begins, whatever becomes of it.
    """
    entries = (entry for entry in telemetry_of(current_app).audit_log.newest_first() if who in (None, entry.who))
    for entry in reversed(list(islice(entries, limit))):
        if as_json:
            click.echo(msgspec.json.encode(entry))
        else:
            click.echo(row(*(field or "-" for field in msgspec.structs.astuple(entry))))


def person() -> str:
    """Return the author for the audit log: the user of the system at the command line, by name or number."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = str(os.getuid())
    return f"{AUTHOR} ({name})"


def note_command(app: Flask, ctx: click.Context) -> None:
    """Note in the audit log that a command begins which may change something."""
    subjects = (str(ctx.params[name]) for name in _NOTED if ctx.params.get(name))  # may be bytes that are no text
    action = ctx.command_path.partition(" ")[2]
    telemetry_of(app).audit_log.note(person(), action, what=escape(" ".join(subjects)))
