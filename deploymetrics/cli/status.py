"""``deploymetrics status``: how this instance is, on one page."""

import platform
import sys
from shutil import disk_usage

import click
from flask import current_app

from ..config.storage_url import without_password
from ..errors import DeploymetricsError
from ..formats.escaping import counted, escape
from ..services import services
from ..start_record import last_start
from ..telemetry import telemetry_of
from ..version import VERSION
from .collect import print_status
from .group import main
from .settings import print_in_force


@main.command()
def status() -> None:
    """Show how this instance is, on one page.

    That is version, instance folder, storage, collector, and the settings in force with where each comes from. Exits
    with 1 where the storage does not read and write, a document is damaged, or the collector has failed.
    """
    click.echo(f"deploymetrics {VERSION}, Python {platform.python_version()} ({sys.executable})")
    storage_is_good = _print_storage()
    click.echo()
    collector_is_good = not print_status() or not current_app.config["COLLECT"]
    click.echo()
    print_in_force()
    if not (storage_is_good and collector_is_good):
        raise SystemExit(1)


def _print_storage() -> bool:
    """Print how the storage is; return True if it is good."""
    app, settings = services(), current_app.config
    health = telemetry_of(current_app).health
    try:
        details = health.details()
        click.echo(f"serve last started: {last_start(app.store) or 'never'}")
        counts = f"{counted(details['documents'], 'document')}, {len(details['damaged'])} damaged"
        click.echo(f"storage: {without_password(settings['STORAGE'])}, {counts}")
        for tag in details["damaged"]:
            click.echo(f"  damaged: {escape(tag)}")
        health.check()
    except DeploymetricsError as error:
        click.echo(f"storage: {error.detail} {escape(error.log or '')}".rstrip())
        return False
    click.echo(f"  reads{'; READ_ONLY is set' if health.is_read_only else ' and writes'}")
    disk = disk_usage(current_app.instance_path)
    click.echo(f"  {disk.free / 1e6:,.0f} MB of {disk.total / 1e6:,.0f} MB are free")
    return not details["damaged"]
