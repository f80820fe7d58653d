"""Commands for documents and their versions: put, history, purge, trim."""

from itertools import islice
from typing import BinaryIO

import click
from flask import current_app

from ..documents.schemas import compact_metrics
from ..errors import BodyTooLargeError
from ..formats.escaping import counted, row
from ..http.precondition_headers import read_precondition
from ..services import services
from .group import AUTHOR, main, person


@main.command()
@click.argument("tag")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1000), help="How many versions.")
def history(tag: str, limit: int) -> None:
    """List the versions of a document, newest first.

    Separated by tabs: version, time, who, size.
    """
    documents = services().documents
    documents.newest(tag)  # raises NotFound if there never was one
    for item in islice(documents.versions(tag), limit):
        size = "deleted" if item.deleted else f"{item.size} bytes"
        click.echo(row(item.version, item.changed_at, item.changed_by, size))


@main.command()
@click.argument("tag")
@click.argument("file", type=click.File("rb"))
@click.option("--if-match", metavar="ETAG", help="Only if this is the current ETag of the document, as a GET shows it.")
@click.option("--create", is_flag=True, help="Only if there is no document with this tag.")
def put(tag: str, file: BinaryIO, if_match: str | None, create: bool) -> None:
    """Store the JSON in FILE as the metrics of the document TAG.

    FILE may be - for standard input. It may be as long as a request's body (MAX_BODY_BYTES). The author is "command
    line".
    """
    limit = current_app.config["MAX_BODY_BYTES"]
    body = file.read(limit + 1)
    if len(body) > limit:
        raise BodyTooLargeError(limit)
    if if_match not in (None, "*") and '"' not in if_match:
        # A shell takes the quotation marks of an ETag away, unless others stand around them.
        if_match = f'"{if_match.removeprefix("W/")}"'
    precondition = read_precondition({"HTTP_IF_MATCH": if_match, "HTTP_IF_NONE_MATCH": "*" if create else None}, None)
    item = services().documents.save(tag, compact_metrics(body, tag), AUTHOR, precondition, by_person=True)
    click.echo(f'version {item.version}, ETag "{item.revision}"')


@main.command()
@click.argument("tag")
@click.argument("version", type=click.IntRange(min=1), required=False)
def purge(tag: str, version: int | None) -> None:
    """Remove a document and its history, or one VERSION of it.

    It goes from history and copies too: for a secret that was posted by mistake. Where the current version goes, the
    document is deleted. Backups and exports still have it.
    """
    number = services().documents.purge(tag, person(), version)
    click.echo(f"{counted(number, 'version')} removed")


@main.command()
def trim() -> None:
    """Remove the old versions that the settings do not keep.

    These are HISTORY_VERSIONS, HISTORY_HOURLY_DAYS and HISTORY_DAYS. Writes do the same a little at a time, and the
    collector once a day; this is for lowered limits, and where there is no collector.
    """
    failed: list[str] = []
    number = services().documents.trim(lambda: False, failed=failed.append)
    click.echo(f"Files or rows of old versions that were removed or written anew: {number}")
    if failed:
        raise click.ClickException(f"{counted(len(failed), 'document')} could not be trimmed.")
