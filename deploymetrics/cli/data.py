"""Commands for who looks after the data: history, verify, export, import."""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, BinaryIO

import click
from flask.cli import with_appcontext

from ..accounts.service import ACCOUNTS, LEAVING
from ..accounts.sessions import SESSIONS
from ..accounts.throttle import FAILURES
from ..collector.task import COLLECTOR
from ..documents import transfer
from ..documents.expectations import EXPECTATIONS
from ..documents.service import DOCUMENTS
from ..errors import StorageError
from ..formats.printable import escaped
from ..services import services
from ..sources.server import STARTS

KINDS = (DOCUMENTS, EXPECTATIONS, ACCOUNTS, LEAVING, SESSIONS, FAILURES, COLLECTOR, STARTS)


@click.command()
@click.argument("tag")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1000), help="How many versions.")
@with_appcontext
def history(tag: str, limit: int) -> None:
    """Show the versions of a document, newest first: version, time, who, size, separated by tabs."""
    for item in services().service.history(tag, limit=limit).items:
        size = "deleted" if item.deleted else f"{len(item.value)} bytes"
        click.echo(f"{item.version}\t{item.changed_at}\t{escaped(item.changed_by)}\t{size}")


@click.command()
@with_appcontext
def verify() -> None:
    """Read everything that is stored and name what is damaged. Exits with 1 where something is."""
    findings = 0
    for kind in KINDS:
        for what, sentence in services().service.store.verify(kind):
            findings += 1
            click.echo(f"{kind.name}\t{escaped(what)}\t{escaped(sentence)}")
    if findings:
        raise SystemExit(1)
    click.echo("Everything that is stored can be read.", err=True)


class PrivateFile(click.ParamType[BinaryIO]):
    """A file to write that only its owner may read; it replaces one of its name when the command has succeeded."""

    name = "file"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> BinaryIO:
        if value == "-":
            return sys.stdout.buffer
        try:
            return click.get_current_context().with_resource(_replacing(value))
        except OSError as error:
            self.fail(f"{value}: {error.strerror}", param, ctx)


@contextmanager
def _replacing(path: str) -> Iterator[BinaryIO]:
    """Give a draft that takes the place of the file at the end, also where the command exits with a status."""
    if os.path.exists(path) and not os.path.isfile(path):  # a device or a pipe
        with open(path, "wb") as file:
            yield file
        return
    draft = f"{path}.tmp"
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        try:
            yield file
        except SystemExit:
            _rename(file, draft, path)
            raise
        except BaseException:
            os.unlink(draft)
            raise
        _rename(file, draft, path)


def _rename(file: BinaryIO, draft: str, path: str) -> None:
    file.flush()
    os.fsync(file.fileno())
    os.rename(draft, path)


@click.command("export")
@click.argument("file", type=PrivateFile())
@with_appcontext
def export_documents(file: BinaryIO) -> None:
    """Write all documents with their histories, and what is expected of tags, to FILE (- is standard output).

    It has a line of JSON for each version, and no accounts, sessions or settings. Only its owner may read it.
    """
    store = services().service.store
    documents = versions = damaged = 0
    with _progress(store.keys(DOCUMENTS), "Exporting") as tags:
        for tag in tags:
            try:
                lines = transfer.export_tag(store, tag)
            except StorageError as error:
                damaged += 1
                click.echo(escaped(f"{tag}: {error.detail}"), err=True)
                continue
            file.writelines(lines)
            documents, versions = documents + 1, versions + len(lines)
    expectations = transfer.export_expectations(store)
    file.writelines(expectations)
    left_out = f"{damaged} damaged documents, " if damaged else ""
    click.echo(
        f"{documents} documents with {versions} versions and {len(expectations)} expectations exported;"
        f" {left_out}accounts, sessions and settings are left out.",
        err=True,
    )
    if damaged:
        raise SystemExit(1)


@click.command("import")
@click.argument("file", type=click.File("rb"))
@click.option("--dry-run", is_flag=True, help="Say what would be done, and store nothing.")
@with_appcontext
def import_documents(file: BinaryIO, dry_run: bool) -> None:
    """Store the documents, histories and expectations of FILE (- is standard input), as export wrote it.

    Each document is imported wholly or not at all. One that has other versions here is left alone and named; then the
    exit status is 1.
    """
    counts = dict.fromkeys((transfer.IMPORTED, transfer.THERE, transfer.REFUSED), 0)
    with _progress(file, "Importing") as lines:
        for _, outcome, sentence in transfer.import_lines(services().service.store, lines, dry_run=dry_run):
            counts[outcome] += 1
            if sentence:
                click.echo(escaped(sentence), err=True)
    click.echo(", ".join(f"{count} {outcome}" for outcome, count in counts.items()) + (" (dry run)" if dry_run else ""))
    if counts[transfer.REFUSED]:
        raise SystemExit(1)


def _progress(iterable: Iterable[Any], label: str) -> AbstractContextManager[Iterable[Any]]:
    """Return a progress bar on standard error, where that is a terminal."""
    return click.progressbar(iterable, label=label, file=sys.stderr, hidden=not sys.stderr.isatty())
