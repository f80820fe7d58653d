"""What makes the collector one process per deployment: its lock, its loop, and the child of ``serve``."""

import fcntl
import logging
import os
import subprocess
import sys
import time
from contextlib import suppress

from ..config import INSTANCE
from ..errors import DeploymetricsError
from ..storage.files.disk import FILE_MODE, make_folder
from .isolation import Stop
from .task import DeploymentMetricsCollectorTask

STOP_SECONDS = 1
#: The one process of a deployment that is no worker also looks after old versions, so often.
TIDY_SECONDS = 86400.0
LONGEST_PAUSE = 60
log = logging.getLogger(__name__)


class RunnerLock:
    """The lock that the one collector holds as long as its process lives; the kernel gives it back with the process.

    Its file has the holder's process id, and the source that is being asked. ``unfinished`` is, once the lock is ours,
    the source that was being asked when the holder before ended; empty if there was none.
    """

    def __init__(self, instance: str | os.PathLike[str]) -> None:
        folder = os.path.join(instance, "locks")
        make_folder(folder)
        self._path = os.path.join(folder, "collector")
        self._fd: int | None = None
        self.unfinished = ""

    def acquire(self) -> bool:
        """Return True if it is ours now. Never waits."""
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return False
        self._fd = fd
        self.unfinished = _words(fd)[1]
        self.note()
        return True

    def note(self, source: str = "") -> None:
        """Write down which source is being asked now; none if empty."""
        if self._fd is not None:
            with suppress(OSError):  # a full disk; it is the lock that counts
                os.ftruncate(self._fd, 0)
                os.pwrite(self._fd, f"{os.getpid()}\n{source}\n".encode(), 0)

    def release(self) -> None:
        """Give it back if it is ours."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def holder(self) -> str:
        """Return the process id, as text, of the collector that holds it now; empty if none does."""
        try:
            fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return ""
        try:
            # A shared lock: two that ask at the same time do not take each other for a collector.
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return ""
        except BlockingIOError:
            return _words(fd)[0]
        finally:
            os.close(fd)


def _words(fd: int) -> tuple[str, str]:
    """Return the process id and the source that the lock's file names."""
    first, _, rest = os.pread(fd, 4096, 0).decode(errors="replace").partition("\n")
    return first, rest.strip()


class CollectorProcess:
    """The collector as a child process, started again when it ends.

    It holds the end of a pipe and stops when the pipe's other end, which only this process has, is gone: so it ends
    with its parent, however that ended. It is a program of its own and shares no state with the workers.
    """

    def __init__(self, instance: str | os.PathLike[str]) -> None:
        self._environment = {**os.environ, INSTANCE: os.fspath(instance)}
        self._process: subprocess.Popen[bytes] | None = None
        self._not_before = 0.0
        self._pause = 1

    def ensure(self) -> None:
        """Start it unless it runs, or ended so shortly after its start that a pause is due."""
        now = time.monotonic()
        if self._process is not None and self._process.poll() is None or now < self._not_before:
            return
        self.stop()
        lasted = now - self._not_before > LONGEST_PAUSE
        self._pause = 1 if lasted else min(2 * self._pause, LONGEST_PAUSE)
        self._not_before = now + self._pause
        command = [sys.executable, "-m", "deploymetrics", "collect", "--forever", "--until-stdin-ends"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, env=self._environment)

    def restart(self) -> None:
        """Stop it and start it with the settings of now."""
        self.stop()
        self._not_before = 0.0
        self.ensure()

    def stop(self) -> None:
        """End it, within a second or by force."""
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
        """Forget it, in a copy of this process: the pipe's end must not live on there."""
        process, self._process = self._process, None
        if process is not None:
            _close_stdin(process)
            process.returncode = 0  # it is not the copy's child


def _close_stdin(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()


def collect_forever(task: DeploymentMetricsCollectorTask, lock: RunnerLock, stop: Stop) -> None:
    """Run the task whenever a source is due, until ``stop``; stands by while another process holds ``lock``."""
    while not stop.wait(0):
        if not lock.acquire():
            stop.wait(1)
            continue
        log.info("collecting from %s", ", ".join(task.sources))
        first, tidied_at = True, time.monotonic() - TIDY_SECONDS
        while not stop.wait(_round(task, lock, stop, first)):
            first = False
            if time.monotonic() - tidied_at > TIDY_SECONDS:
                tidied_at = time.monotonic()
                task.service.tidy(lambda: stop.wait(0))
    lock.release()


def _round(task: DeploymentMetricsCollectorTask, lock: RunnerLock, stop: Stop, first: bool) -> float:
    """Run one round and return the seconds until the next."""
    try:
        if first:
            task.blame(lock.unfinished)
        if names := task.due(first=first):
            task.run(names, stop, lock.note)
        return task.delay()
    except DeploymetricsError as error:
        log.error("the collector could not store: %s %s", error.detail, error.log or "")
        return min(30, task.timing.interval)
