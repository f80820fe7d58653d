"""``deploymetrics settings``: the settings in force, or all of them as text that is made of their rows."""

import textwrap

import click

from ..config.instance import existing_instance
from ..config.loading import read_settings
from ..config.settings import PREFIX, SETTINGS, display_value
from ..config.storage_url import FILES
from .group import main

_INTRODUCTION = f'''\
"""Settings of this server. Copy this file to config.py and keep the lines that you change.

Each can be set in the environment as well, as {PREFIX}<NAME>, which goes first.
"""
'''


@main.command(with_appcontext=False)
@click.option("--table", is_flag=True, help="Print all settings and what they mean, in reStructuredText.")
@click.option("--example", is_flag=True, help="Print an example of instance/config.py.")
def settings(table: bool, example: bool) -> None:
    """Print the settings in force and where each comes from.

    Secrets are not shown.
    """
    if table or example:
        click.echo(example_text() if example else table_text(), nl=False)
    else:
        print_in_force()


def table_text() -> str:
    """Return the settings as a list table in reStructuredText."""
    rows = [".. list-table::", "   :header-rows: 1", "", "   * - Name", "     - Default", "     - Meaning"]
    for row in SETTINGS:
        default = "" if row.default in (None, "", {}, ()) else f"``{row.default}``"
        rows += [f"   * - ``{row.name}``", f"     - {default}".rstrip(), f"     - {row.help}"]
    return "\n".join(rows) + "\n"


def example_text() -> str:
    """Return a ``config.py`` in which every setting stands with its default, commented out."""
    paragraphs = [_INTRODUCTION]
    for row in SETTINGS:
        words = textwrap.fill(row.help, 118, initial_indent="# ", subsequent_indent="# ")
        paragraphs.append(f"{words}\n# {row.name} = {row.default!r}\n")
    return "\n".join(paragraphs)


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
