"""``deploymetrics settings``: the settings in force, or all of them as text."""

import click

from ..config import documentation
from ..config.instance import existing_instance
from ..config.loading import read_settings
from ..config.settings import SETTINGS, display_value
from ..config.storage_url import FILES


@click.command()
@click.option("--table", is_flag=True, help="Print all settings and what they mean, in reStructuredText.")
@click.option("--example", is_flag=True, help="Print an example of instance/config.py.")
def settings(table: bool, example: bool) -> None:
    """Print the settings in force and where each comes from.

    Secrets are not shown.
    """
    if table or example:
        click.echo(documentation.example() if example else documentation.table(), nl=False)
    else:
        print_in_force()


def print_in_force() -> None:
    """Print the settings in force, a line each with its origin; raises SettingError."""
    folder = existing_instance()
    in_force = read_settings(folder)
    click.echo(f"# The instance folder is {folder}.")
    for row in SETTINGS:
        value, origin = in_force[row.name], in_force.origins.get(row.name, "default")
        if row.name == "SECRET_KEY" and not value and in_force["STORAGE"] == FILES:
            value, origin = "generated", "file secret_key"
        click.echo(f"{row.name} = {display_value(row.name, value)}  # {origin}")
