"""``deploymetrics serve``."""

import click
from flask import current_app
from flask.cli import with_appcontext

from ..services import services
from ..starts import record_start


def _check_bind(bind):
    _, colon, port = bind.rpartition(":")
    if not bind.startswith("unix:") and not (colon and port.isascii() and port.isdecimal() and int(port) < 2**16):
        raise click.BadParameter(f"{bind} is not HOST:PORT, with a port up to 65535.")
    return bind


@click.command()
@click.option("--bind", default="127.0.0.1:52311", show_default=True, metavar="HOST:PORT", help="Where to listen.",
              callback=lambda ctx, param, bind: _check_bind(bind))
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1, 256), help="Processes.")
@click.option("--threads", default=4, show_default=True, type=click.IntRange(1, 256), help="Threads of each process.")
@click.option("--certfile", type=click.Path(exists=True, dir_okay=False), help="The TLS certificate, PEM.")
@click.option("--keyfile", type=click.Path(exists=True, dir_okay=False), help="Its private key, PEM.")
@with_appcontext
def serve(bind, workers, threads, certfile, keyfile):
    """Serve with gunicorn. SIGTERM finishes what is running and stops; SIGHUP reloads."""
    from .. import server

    if bool(certfile) != bool(keyfile):
        raise click.UsageError("--certfile and --keyfile go together.")
    accounts = services().accounts
    server.check_first_start(accounts, bind)
    record_start(services().service.store, services().clock)
    options = {
        "bind": bind,
        "workers": workers,
        "threads": threads,
        "certfile": certfile,
        "keyfile": keyfile,
        "when_ready": lambda arbiter: server.make_first_account(accounts, bind, tls=bool(certfile)),
    }
    server.run(options, current_app.instance_path)
