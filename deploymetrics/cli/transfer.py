"""Commands for documents with their histories: export into a file, and import from one."""

import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from tempfile import TemporaryFile
from typing import Any, BinaryIO

import click
from flask import current_app

from ..documents import transfer
from ..documents.service import DOCUMENTS
from ..errors import BadRequest, StorageError
from ..formats.escaping import counted, escape
from ..services import services
from .group import main

#: A line of an import is as long as this, or so many times MAX_BODY_BYTES; what is longer is no export.
MAX_LINE, MAX_BODIES = 2**26, 8


def _private_file(ctx: click.Context, param: click.Parameter, path: str) -> BinaryIO:
    """Return a file to write that only its owner may read; a new one is removed where the command fails."""
    try:
        return sys.stdout.buffer if path == "-" else ctx.with_resource(_open_private(path))
    except OSError as error:
        raise click.BadParameter(f"{path}: {error.strerror}", ctx, param) from error


@contextmanager
def _open_private(path: str) -> Iterator[BinaryIO]:
    """Open a file to write, without emptying it; as root, where the instance's account may not be able to."""
    is_new = not os.path.exists(path)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
        if os.path.isfile(path):  # else a device or a pipe
            os.fchmod(file.fileno(), 0o600)
        try:
            yield file
        except SystemExit:
            raise
        except BaseException:
            if is_new:
                with suppress(OSError):
                    os.unlink(path)
            raise


@contextmanager
def _draft_of(file: BinaryIO) -> Iterator[BinaryIO]:
    """Give a draft that is copied into the file once it is complete; or standard output itself."""
    if file is sys.stdout.buffer:
        yield file
    else:
        with TemporaryFile() as draft:
            yield draft
            draft.seek(0)
            with suppress(OSError):  # a device or a pipe has no length
                os.ftruncate(file.fileno(), 0)
            shutil.copyfileobj(draft, file)
    file.flush()


@main.command("export")
@click.argument("file", callback=_private_file)
def export_documents(file: BinaryIO) -> None:
    """Write all documents with their histories to FILE.

    FILE may be - for standard output; else only its owner may read it. It has a line of JSON for each version, what is
    expected of tags, and no accounts, sessions or settings.
    """
    store = services().store
    documents = versions = damaged = 0
    with _draft_of(file) as draft, _progress(store.keys(DOCUMENTS), "Exporting") as tags:
        for tag in tags:
            try:
                for line in transfer.export_tag(store, tag):
                    draft.write(line)
                    versions += 1
                documents += 1
            except StorageError as error:
                damaged += 1
                click.echo(escape(f"{tag}: {error.detail}"), err=True)
        expectations = transfer.export_expectations(store)
        draft.writelines(expectations)
    left_out = f"{counted(damaged, 'damaged document')}, " if damaged else ""
    click.echo(
        f"{counted(documents, 'document')} with {counted(versions, 'version')} and"
        f" {counted(len(expectations), 'expectation')} exported;"
        f" {left_out}accounts, sessions and settings are left out.",
        err=True,
    )
    if damaged:
        raise SystemExit(1)


@main.command("import")
@click.argument("file", type=click.File("rb"))
@click.option("--dry-run", is_flag=True, help="Say what would be done, and store nothing.")
def import_documents(file: BinaryIO, dry_run: bool) -> None:
    """Store what export wrote to FILE: documents with their histories.

    FILE may be - for standard input. Each document is imported wholly or not at all. One that has other versions here
    is left alone and named; then the exit status is 1. Expectations are imported as well.
    """
    store = services().store
    counts = dict.fromkeys((transfer.IMPORTED, transfer.THERE, transfer.REFUSED), 0)
    with _progress(_lines_of(file), "Importing") as lines:
        for _, outcome, sentence in transfer.import_lines(store, lines, services().clock, dry_run=dry_run):
            counts[outcome] += 1
            if sentence:
                click.echo(escape(sentence), err=True)
    click.echo(", ".join(f"{count} {outcome}" for outcome, count in counts.items()) + (" (dry run)" if dry_run else ""))
    if counts[transfer.REFUSED]:
        raise SystemExit(1)


def _lines_of(file: BinaryIO) -> Iterator[bytes]:
    """Yield the lines of a file; raises BadRequest for one that is too long to be a version, so that reading ends."""
    limit = max(MAX_LINE, MAX_BODIES * current_app.config["MAX_BODY_BYTES"])
    while line := file.readline(limit + 1):
        if len(line) > limit:
            raise BadRequest(f"This is not an export: it has a line of more than {limit} bytes.")
        yield line


def _progress(iterable: Iterable[Any], label: str) -> AbstractContextManager[Iterable[Any]]:
    """Return a progress bar on standard error, where that is a terminal."""
    return click.progressbar(iterable, label=label, file=sys.stderr, hidden=not sys.stderr.isatty())
