"""``deploymetrics verify``, and the collections that it knows."""

import click
from flask.cli import with_appcontext

from ..accounts.records import ACCOUNTS, SESSIONS
from ..accounts.throttle import FAILURES
from ..accounts.tokens import USES
from ..collector.states import COLLECTOR
from ..collector.webhook import NOTICES
from ..documents.expectations import EXPECTATIONS
from ..documents.headlines import HEADLINES
from ..documents.quotas import QUOTAS
from ..documents.service import DOCUMENTS
from ..services import services
from ..start_record import STARTS
from ..telemetry.health import PROBES
from .rows import echo_row

_OF_DOCUMENTS = (DOCUMENTS, EXPECTATIONS, HEADLINES, QUOTAS)
COLLECTIONS = (*_OF_DOCUMENTS, ACCOUNTS, SESSIONS, USES, FAILURES, COLLECTOR, STARTS, PROBES, NOTICES)


@click.command()
@click.option("--repair", is_flag=True, help="Write the copies anew that are not right.")
@with_appcontext
def verify(repair: bool) -> None:
    """Read everything that is stored and name what is damaged.

    Exits with 1 where something is.
    """
    findings = 0
    for collection in COLLECTIONS:
        for what, sentence in services().store.verify(collection, repair=repair):
            findings += 1
            echo_row(collection.name, what, sentence)
    if findings:
        raise SystemExit(1)
    click.echo("Everything that is stored can be read.", err=True)
