"""``deploymetrics collect``: the collector once, for ever, or what is known of it."""

import logging
import sys
from collections.abc import Iterator
from datetime import datetime

import click
from flask import current_app

from ..clock import from_precise
from ..collector.process import LEASE, Lease, collect_forever
from ..collector.signals import Stop
from ..collector.states import SourceState
from ..collector.task import DeploymentMetricsCollectorTask, create_task
from ..collector.webhook import Webhook
from ..documents.reserved import RESERVED_TAG
from ..errors import DeploymetricsError
from ..formats.escaping import counted, on_one_line
from ..formats.logs import formatter
from ..services import services
from ..sources import Context, TextValue
from ..telemetry.log_outlet import Outlet, OutletHandler
from .group import main

FAILED = 1
BUSY = 3


@main.command()
@click.option("--forever", is_flag=True, help="Collect at every interval until a signal ends it.")
@click.option("--status", "show_status", is_flag=True, help="Collect nothing; say what is known of each source.")
@click.option("--retry", is_flag=True, help="Ask also the sources that are waiting after a failure, and every metric.")
@click.option("--of-serve", is_flag=True, hidden=True)
@click.pass_context
def collect(ctx: click.Context, forever: bool, show_status: bool, retry: bool, of_serve: bool) -> None:
    """Collect the document platform once, and print its metrics.

    Exits with 0 when every source answered in full, with 1 when one did not, and with 3 when the collector of another
    process is at work.
    """
    if forever + show_status + retry > 1:
        raise click.UsageError("--forever, --status and --retry exclude each other.")
    if show_status:
        ctx.exit(print_status())
    task = _create_task()
    lease = task.store.lease(LEASE)
    if not forever:
        ctx.exit(_collect_once(task, lease, retry))
    app, settings = services(), current_app.config
    handler = OutletHandler(Outlet(2, "standard error"), formatter(settings["LOG_FORMAT"]))
    logging.basicConfig(level=settings["LOG_LEVEL"].upper(), handlers=[handler])
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it has a line for every request
    url, secret = settings["WEBHOOK_URL"], settings["WEBHOOK_SECRET"]
    webhook = Webhook(url, secret, app.documents, app.expectations, app.clock) if url else None
    collect_forever(task, lease, Stop().install(sys.stdin.fileno() if of_serve else None), webhook)


def _create_task() -> DeploymentMetricsCollectorTask:
    app = services()
    context = Context(current_app.config, current_app.instance_path, app.store, app.documents, app.accounts)
    return create_task(context, app.clock)


def _collect_once(task: DeploymentMetricsCollectorTask, lease: Lease, retry: bool) -> int:
    if not lease.acquire():
        if not retry:
            click.echo(f"The collector of process {lease.holder()} is at work; see collect --status.", err=True)
            return BUSY
        task.retry_soon()
        click.echo(f"Process {lease.holder()} asks the sources again within {counted(task.timing.interval, 'second')}.")
        return 0
    if not retry:
        task.note_crash(lease.unfinished)
    try:
        task.run(task.due(first=True, retry=retry), Stop().install(), lease.note, everything=retry)
    finally:
        lease.release()
    return _print_sources(task, with_values=True)


def print_status() -> int:
    """Print the state of the collector and of its sources; return the exit status."""
    task, status = _create_task(), 0
    holder = task.store.lease(LEASE).holder()
    click.echo(f"collector: {f'process {holder}' if holder else 'not running'}")
    try:
        item = task.documents.find(RESERVED_TAG)
        click.echo(f"document: last written {_time_with_age(item.changed_at if item else '', task.clock.now())}")
    except DeploymetricsError as error:
        click.echo(f"document: {error.detail}")
        status = FAILED
    return max(status, _print_sources(task))


def _print_sources(task: DeploymentMetricsCollectorTask, with_values: bool = False) -> int:
    """Print the state of each source, and its values if asked; return the exit status."""
    states = task.states()
    now = task.clock.now()
    for state in states:
        click.echo("\n".join(_state_lines(state, now, task.is_overdue(state))))
        for metric, value in state.values.items() if with_values else ():
            click.echo(f"  {metric} = {on_one_line(_value_text(value))}")
    return 0 if all(state.is_fresh and not task.is_overdue(state) for state in states) else FAILED


def _state_lines(state: SourceState, now: datetime, overdue: bool) -> Iterator[str]:
    yield f"{state.name}: {'overdue' if overdue else _state_summary(state)}"
    yield f"  last success  {_time_with_age(state.lastSuccess, now)}"
    yield f"  last failure  {_time_with_age(state.lastFailure, now)}{state.reason and f': {state.reason}'}"
    if state.failures and not state.damaged:
        yield f"  next attempt  in {counted(max(0, round(state.nextAttempt - now.timestamp())), 'second')}"
    if state.warning:
        yield f"  warning       {state.warning}"
    for metric, reason in state.failed.items():
        yield f"  {metric} keeps its last value: {reason}"


def _state_summary(state: SourceState) -> str:
    if state.is_fresh:
        return "good"
    if state.damaged:
        return "damaged, and not asked"
    if state.permanent:
        return "failed, and is not asked again soon unless its configuration changes"
    if state.failures:
        return "failed" if state.failures == 1 else f"failed {state.failures} times in a row"
    return "good but for some metrics" if state.lastSuccess else "never asked"


def _time_with_age(text: str, now: datetime) -> str:
    if not text:
        return "never"
    return f"{text} ({counted(round((now - from_precise(text)).total_seconds()), 'second')} ago)"


def _value_text(value: TextValue) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {count}" for name, count in value.items())
    return ", ".join(value) if isinstance(value, list) else value
