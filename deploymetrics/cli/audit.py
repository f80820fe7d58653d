"""``deploymetrics audit``: the audit log, and what commands write into it."""

from itertools import islice

import click
import msgspec
from flask import current_app

from ..formats.escaping import row
from ..telemetry import telemetry_of
from .group import main


@main.command()
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 10**9), help="How many lines.")
@click.option("--who", help="Only what this account did.")
@click.option("--json", "as_json", is_flag=True, help="Print each entry as a line of JSON.")
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
