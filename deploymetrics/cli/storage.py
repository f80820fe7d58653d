"""``deploymetrics storage``: the storage that STORAGE names, before and beside what is served from it."""

import click

from ..config import Settings, read_settings
from ..config.instance import become_owner, check_exists, check_folder, find_instance


@click.group()
def storage() -> None:
    """Make, bring over or look at the storage that STORAGE names."""


@storage.command()
def init() -> None:
    """Make the storage: the tables in a database that is there already, or the instance folder."""
    from .. import maintenance

    folder = find_instance()
    become_owner(folder)
    click.echo(maintenance.init(str(folder), read_settings(folder)))


@storage.command()
def upgrade() -> None:
    """Bring the storage of an earlier release over; stop its servers first, and make a backup.

    The first start does the same for an instance folder, and never for a database.
    """
    from .. import maintenance

    folder, settings = _existing()
    click.echo(maintenance.upgrade(folder, settings))


@storage.command()
def status() -> None:
    """Say what the storage is and whether it can be used; exits with 1 where it cannot."""
    from .. import maintenance

    folder, settings = _existing()
    for name, text in maintenance.status(folder, settings):
        click.echo(f"{name}: {text}")


def _existing() -> tuple[str, Settings]:
    """Return the instance folder, which has to be there, and the settings."""
    folder = find_instance()
    check_exists(folder)
    become_owner(folder)
    check_folder(folder)
    return str(folder), read_settings(folder)
