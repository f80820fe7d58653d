"""``deploymetrics settings``: the settings as text."""

import click

from ..config import documentation


@click.command()
@click.option("--example", is_flag=True, help="Print an example of instance/config.py instead.")
def settings(example):
    """Print the settings as a table in reStructuredText: name, default, meaning."""
    click.echo(documentation.example() if example else documentation.table(), nl=False)
