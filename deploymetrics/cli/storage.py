"""``deploymetrics storage``: the storage that STORAGE names, before and beside what is served from it."""

import click

from .. import maintenance
from ..config.instance import become_owner, existing_instance, find_instance
from ..config.loading import read_settings
from ..formats.escaping import counted, row
from .group import main


@main.group(cls=click.Group)
def storage() -> None:
    """Make, bring over or look at the storage that STORAGE names."""


@storage.command()
def init() -> None:
    """Make the storage.

    That is the tables in a database that is there already, or the instance folder.
    """
    folder = find_instance()
    become_owner(folder)
    click.echo(maintenance.init(str(folder), read_settings(folder)))


@storage.command()
def upgrade() -> None:
    """Bring the storage of an earlier release over.

    Stop its servers first, and make a backup. The first start does the same for an instance folder, and never for a
    database.
    """
    folder = existing_instance()
    click.echo(maintenance.upgrade(str(folder), read_settings(folder)))


@storage.command()
def status() -> None:
    """Say what the storage is, and whether it can be used.

    Exits with 1 where it cannot.
    """
    folder = existing_instance()
    for name, text in maintenance.status(str(folder), read_settings(folder)):
        click.echo(f"{name}: {text}")


@storage.command()
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
def copy(source: str, target: str) -> None:
    """Copy what one storage has to another, and compare both.

    That is documents with their histories, accounts, expectations and what the collector knows. FROM and TO are
    "files:" for the instance folder, "files:FOLDER" for another one, or the URL of a database that "storage init" has
    made the tables of, without a password. The servers of FROM have READ_ONLY set, and TO has no servers yet. What TO
    has already stays as it is. Exits with 1 where both are not the same afterwards.
    """
    folder = find_instance()
    become_owner(folder)
    before = maintenance.storage_at(source, str(folder), make=False)
    after = maintenance.storage_at(target, str(folder), make=True)
    items = versions = 0
    for collection, key, count, problem in maintenance.copy(before, after):
        items += 1
        versions += count
        if problem:
            click.echo(row(collection.name, key, problem), err=True)
    click.echo(f"{counted(items, 'item')} with {counted(versions, 'version')} read.")
    different = list(maintenance.differences(before, after))
    for collection, key in different:
        click.echo(row(collection.name, key, "is not the same in both"), err=True)
    if different:
        number = f"{counted(len(different), 'item')} not the same"
        advice = "Set READ_ONLY there, and copy to an empty TO, since what it has already stays as it is."
        click.echo(f"{number}. Is FROM still written? {advice}", err=True)
        raise SystemExit(1)
    click.echo("Both are the same.")
