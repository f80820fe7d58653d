"""Commands for who looks after the data: history, verify, export, import."""

import sys

import click
from flask.cli import with_appcontext

from ..accounts.service import ACCOUNTS
from ..accounts.sessions import SESSIONS
from ..accounts.throttle import FAILURES
from ..collector.task import COLLECTOR
from ..documents import transfer
from ..documents.expectations import EXPECTATIONS
from ..documents.service import DOCUMENTS
from ..errors import StorageError
from ..services import services
from ..sources.server import STARTS

KINDS = (DOCUMENTS, EXPECTATIONS, ACCOUNTS, SESSIONS, FAILURES, COLLECTOR, STARTS)


@click.command()
@click.argument("tag")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1000), help="How many versions.")
@with_appcontext
def history(tag, limit):
    """Show the versions of a document, newest first: version, time, who, size, separated by tabs."""
    for item in services().service.history(tag, limit=limit).items:
        size = "deleted" if item.deleted else f"{len(item.value)} bytes"
        click.echo(f"{item.version}\t{item.changed_at}\t{item.changed_by}\t{size}")


@click.command()
@with_appcontext
def verify():
    """Read everything that is stored and name what is damaged. Exits with 1 where something is."""
    findings = 0
    for kind in KINDS:
        for what, sentence in services().service.store.verify(kind):
            findings += 1
            click.echo(f"{kind.name}\t{what}\t{sentence}")
    if findings:
        raise SystemExit(1)
    click.echo("Everything that is stored can be read.", err=True)


@click.command("export")
@click.argument("file", type=click.File("wb", atomic=True, lazy=False))
@with_appcontext
def export_documents(file):
    """Write all documents with their histories to FILE (- is standard output), a line of JSON for each version."""
    store = services().service.store
    failed = False
    with _progress(store.keys(DOCUMENTS), "Exporting") as tags:
        for tag in tags:
            try:
                file.writelines(transfer.export_tag(store, tag))
            except StorageError as error:
                failed = True
                click.echo(f"{tag}: {error.detail}", err=True)
    if failed:
        raise SystemExit(1)


@click.command("import")
@click.argument("file", type=click.File("rb"))
@click.option("--dry-run", is_flag=True, help="Say what would be done, and store nothing.")
@with_appcontext
def import_documents(file, dry_run):
    """Store the documents and histories of FILE (- is standard input), as export wrote it.

    Each document is imported wholly or not at all. One that has other versions here is left alone and named; then the
    exit status is 1.
    """
    counts = dict.fromkeys((transfer.IMPORTED, transfer.THERE, transfer.REFUSED), 0)
    with _progress(file, "Importing") as lines:
        for _, outcome, sentence in transfer.import_lines(services().service.store, lines, dry_run=dry_run):
            counts[outcome] += 1
            if sentence:
                click.echo(sentence, err=True)
    click.echo(", ".join(f"{count} {outcome}" for outcome, count in counts.items()) + (" (dry run)" if dry_run else ""))
    if counts[transfer.REFUSED]:
        raise SystemExit(1)


def _progress(iterable, label):
    """A progress bar on standard error, where that is a terminal."""
    return click.progressbar(iterable, label=label, file=sys.stderr, hidden=not sys.stderr.isatty())
