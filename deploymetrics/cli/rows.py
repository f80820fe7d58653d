"""Lists that commands print for people and scripts."""

import click

from ..formats.printable import escaped


def echo_row(*fields: object, err: bool = False) -> None:
    """Print a row: its fields, escaped, with tabs between them; ``err`` prints it on standard error."""
    click.echo("\t".join(escaped(str(field)) for field in fields), err=err)
