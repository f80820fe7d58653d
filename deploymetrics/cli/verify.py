"""``deploymetrics verify``."""

import click
from flask.cli import with_appcontext

from ..maintenance import damages
from ..services import services
from .rows import echo_row


@click.command()
@click.option("--repair", is_flag=True, help="Write anew the copies that are not right.")
@with_appcontext
def verify(repair: bool) -> None:
    """Read everything that is stored and name what is damaged.

    Exits with 1 where something is.
    """
    is_good = True
    for damage in damages(services().store, repair=repair):
        is_good = False
        echo_row(*damage)
    if not is_good:
        raise SystemExit(1)
    click.echo("Everything that is stored can be read.", err=True)
