"""The one collector process of a deployment: its loop, which holds a lease, and the child process of ``serve``."""

import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from ..config.instance import INSTANCE
from ..errors import DeploymetricsError
from ..storage import Lease as Lease
from .signals import Stop
from .task import DeploymentMetricsCollectorTask
from .webhook import CHECK_SECONDS, Webhook

STOP_SECONDS = 1
#: The lease of the one collector; how often another one tries to get it.
LEASE = "collector"
STANDBY_SECONDS = 1
#: The one process of a deployment that is no worker also looks after old versions, so often.
TRIM_SECONDS = 86400.0
LONGEST_PAUSE = 60
#: The folder with this package, and a program that runs it from there.
_HOME = str(Path(__file__).parents[2])
_MAIN = (
    "import sys; home = sys.argv.pop(1); sys.path[:0] = [] if home in sys.path else [home];"
    " from deploymetrics.cli import main; main(prog_name='deploymetrics')"
)
log = logging.getLogger(__name__)


class CollectorProcess:
    """The collector as a child process of ``serve``, started again when it ends.

    It holds the end of a pipe and stops when the pipe's other end, which only this process has, is gone: so it ends
    with its parent, however that ended. It is a program of its own and shares no state with the workers. Through the
    pipe come its settings, which were checked: whatever config.py has by then, it is started with those in force.
    """

    def __init__(self, instance: str | os.PathLike[str]) -> None:
        self._environment = {**os.environ, INSTANCE: os.fspath(instance)}
        self._process: subprocess.Popen[bytes] | None = None
        self._not_before = 0.0
        self._pause = 1

    def ensure(self, settings: Mapping[str, Any]) -> None:
        """Start the collector with these settings, unless it runs, or has to wait since it ended soon after a start."""
        now = time.monotonic()
        if self._process is not None and self._process.poll() is None or now < self._not_before:
            return
        self.stop()
        lasted = now - self._not_before > LONGEST_PAUSE
        self._pause = 1 if lasted else min(2 * self._pause, LONGEST_PAUSE)
        self._not_before = now + self._pause
        # Not with -m, which would take a package of our name in the current folder, such as an older checkout.
        command = [sys.executable, "-P", "-c", _MAIN, _HOME, "collect", "--forever", "--of-serve"]
        try:
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, env=self._environment)
        except OSError as error:  # no memory, process or file is left
            log.error("The collector is not started: %s", error.strerror)
            return
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(settings).encode() + b"\n")
            self._process.stdin.flush()

    def restart(self, settings: Mapping[str, Any]) -> None:
        """Stop the collector and start it with other settings."""
        self.stop()
        self._not_before = 0.0
        self.ensure(settings)

    def stop(self) -> None:
        """Stop the collector, after a second by force."""
        process, self._process = self._process, None
        if process is None:
            return
        _close_stdin(process)
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def abandon(self) -> None:
        """Forget the collector in a forked worker, and close its end of the pipe, so that only the master holds one."""
        process, self._process = self._process, None
        if process is not None:
            _close_stdin(process)
            process.returncode = 0  # it is not the copy's child


def _close_stdin(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        with suppress(BrokenPipeError):  # it ended before it read its settings
            process.stdin.close()


def collect_forever(
    task: DeploymentMetricsCollectorTask, lease: Lease, stop: Stop, webhook: Webhook | None = None
) -> None:
    """Collect until ``stop``; stand by while another process holds the lease."""
    logged = ""
    while not stop.wait(0):
        try:
            is_ready = lease.acquire()
            heard_at = task.heard_at() if is_ready else None
            logged = ""
        except DeploymetricsError as error:
            is_ready, reason = False, error.log or error.detail
            if reason != logged:  # each second the same would fill the log
                log.error("the collector cannot begin: %s", reason)
            logged = reason
        if is_ready:
            _collect(task, lease, stop, webhook, heard_at)
        lease.release()
        if not is_ready:
            stop.wait(STANDBY_SECONDS)


def _collect(
    task: DeploymentMetricsCollectorTask, lease: Lease, stop: Stop, webhook: Webhook | None, heard_at: datetime | None
) -> None:
    """Run rounds until ``stop`` or loss of the lease; daily thin out versions, by their age at ``heard_at``."""
    log.info("collecting from %s", ", ".join(task.sources))
    first, trimmed_at = True, time.monotonic() - TRIM_SECONDS
    while not stop.wait(_round(task, lease, stop, first, webhook)) and lease.is_held():
        first = False
        try:
            if time.monotonic() - trimmed_at > TRIM_SECONDS:
                # By the time of the round before: a start under a clock that is ahead must cost no history.
                task.documents.trim(lambda: stop.wait(0), heard_at)
                trimmed_at = time.monotonic()
            heard_at = task.heard_at()
        except DeploymetricsError as error:
            log.error("the collector could not thin out old versions: %s %s", error.detail, error.log or "")


def _round(
    task: DeploymentMetricsCollectorTask, lease: Lease, stop: Stop, first: bool, webhook: Webhook | None
) -> float:
    """Run one round: the task if a source is due, and the webhook; return the seconds until the next round."""
    try:
        if first:
            task.note_crash(lease.unfinished)
        if names := task.due(first=first):
            task.run(names, stop, lease.note)
        if webhook is None:
            return task.delay()
        webhook.notify(stop)
        return min(task.delay(), CHECK_SECONDS)
    except DeploymetricsError as error:
        log.error("the collector could not store what it found: %s %s", error.detail, error.log or "")
        return min(30, task.timing.interval) if lease.is_held() else 0
