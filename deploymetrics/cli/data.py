"""Commands for who looks after the data: put, history, purge, trim, verify, export, import."""

import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from itertools import islice
from tempfile import TemporaryFile
from typing import Any, BinaryIO

import click
from flask.cli import with_appcontext

from ..accounts.records import SESSIONS
from ..accounts.service import ACCOUNTS
from ..accounts.throttle import FAILURES
from ..accounts.tokens import USES
from ..collector.task import COLLECTOR
from ..collector.webhook import NOTICES
from ..documents import transfer
from ..documents.expectations import EXPECTATIONS
from ..documents.headlines import HEADLINES
from ..documents.precondition import Precondition
from ..documents.quotas import QUOTAS
from ..documents.service import DOCUMENTS
from ..errors import StorageError
from ..formats import rawjson
from ..formats.printable import escaped
from ..services import services
from ..starts import STARTS
from ..telemetry.health import PROBES
from .audit import person

AUTHOR = "command line"
ABOUT_DOCUMENTS = (DOCUMENTS, EXPECTATIONS, HEADLINES, QUOTAS)
COLLECTIONS = (*ABOUT_DOCUMENTS, ACCOUNTS, SESSIONS, USES, FAILURES, COLLECTOR, STARTS, PROBES, NOTICES)


@click.command()
@click.argument("tag")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1000), help="How many versions.")
@with_appcontext
def history(tag: str, limit: int) -> None:
    """Show the versions of a document, newest first: version, time, who, size, separated by tabs."""
    service = services().service
    service.history(tag, limit=1)  # which says so where there is none
    for item in islice(service.store.history(DOCUMENTS, tag), limit):
        size = "deleted" if item.deleted else f"{len(item.value or b'')} bytes"
        click.echo(f"{item.version}\t{item.changed_at}\t{escaped(item.changed_by)}\t{size}")


@click.command()
@click.argument("tag")
@click.argument("file", type=click.File("rb"))
@click.option("--if-match", metavar="ETAG", help="Only if this is the current ETag of the document, as a GET shows it.")
@click.option("--create", is_flag=True, help="Only if there is no document with this tag.")
@with_appcontext
def put(tag: str, file: BinaryIO, if_match: str | None, create: bool) -> None:
    """Store the JSON in FILE (- is standard input) as the metrics of the document TAG; the author is "command line"."""
    revision = if_match and if_match.removeprefix("W/").strip('"')
    precondition = Precondition(frozenset([revision]) if revision else None, "*" if create else None)
    metrics = rawjson.compact(file.read())
    item = services().service.save(tag, metrics, AUTHOR, precondition, by_person=True)
    click.echo(f'version {item.version}, ETag "{item.revision}"')


@click.command()
@click.argument("tag")
@click.argument("version", type=click.IntRange(min=1), required=False)
@with_appcontext
def purge(tag: str, version: int | None) -> None:
    """Remove VERSION of the document TAG, or all of it, from document, history and copies: a secret posted by mistake.

    Where the current version goes, the document is deleted. Backups and exports have it still.
    """
    number = services().service.purge(tag, person(), version)
    click.echo(f"{number} version{'s' * (number != 1)} removed")


@click.command()
@with_appcontext
def trim() -> None:
    """Remove what is past HISTORY_VERSIONS, HISTORY_HOURLY_DAYS and HISTORY_DAYS, for every document.

    Writes do the same a little at a time, and the collector once a day; this is for lowered limits, and where there is
    no collector.
    """
    files = services().service.tidy(lambda: False)
    click.echo(f"{files} files of old versions removed or shortened")


@click.command()
@click.option("--repair", is_flag=True, help="Write copies that are not right again.")
@with_appcontext
def verify(repair: bool) -> None:
    """Read everything that is stored and name what is damaged. Exits with 1 where something is."""
    findings = 0
    for collection in COLLECTIONS:
        for what, sentence in services().service.store.verify(collection, repair=repair):
            findings += 1
            click.echo(f"{collection.name}\t{escaped(what)}\t{escaped(sentence)}")
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
    """Give a draft that is copied into the file at the end, also where the command exits with a status.

    Into the file, and not renamed to it: who opened it as root may have become an account that cannot rename it there.
    """
    is_new = not os.path.exists(path)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file, TemporaryFile() as draft:
        if os.path.isfile(path):  # else a device or a pipe
            os.fchmod(file.fileno(), 0o600)
        try:
            try:
                yield draft
            except SystemExit:
                _copy(draft, file)
                raise
            _copy(draft, file)
        except SystemExit:
            raise
        except BaseException:
            if is_new:
                with suppress(OSError):
                    os.unlink(path)
            raise


def _copy(draft: BinaryIO, file: BinaryIO) -> None:
    draft.seek(0)
    with suppress(OSError):  # a device or a pipe has no length
        os.ftruncate(file.fileno(), 0)
    shutil.copyfileobj(draft, file)
    file.flush()


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
                for line in transfer.export_tag(store, tag):
                    file.write(line)
                    versions += 1
                documents += 1
            except StorageError as error:
                damaged += 1
                click.echo(escaped(f"{tag}: {error.detail}"), err=True)
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
    store = services().service.store
    counts = dict.fromkeys((transfer.IMPORTED, transfer.THERE, transfer.REFUSED), 0)
    with _progress(file, "Importing") as lines:
        for _, outcome, sentence in transfer.import_lines(store, lines, services().clock, dry_run=dry_run):
            counts[outcome] += 1
            if sentence:
                click.echo(escaped(sentence), err=True)
    click.echo(", ".join(f"{count} {outcome}" for outcome, count in counts.items()) + (" (dry run)" if dry_run else ""))
    if counts[transfer.REFUSED]:
        raise SystemExit(1)


def _progress(iterable: Iterable[Any], label: str) -> AbstractContextManager[Iterable[Any]]:
    """Return a progress bar on standard error, where that is a terminal."""
    return click.progressbar(iterable, label=label, file=sys.stderr, hidden=not sys.stderr.isatty())
