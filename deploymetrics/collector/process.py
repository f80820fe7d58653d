"""What makes the collector one process per deployment: its lock, its signals, its loop, and the child of ``serve``."""

import fcntl
import logging
import os
import signal
import subprocess
import sys
import time
from multiprocessing.connection import wait

from ..config import INSTANCE
from ..errors import DeploymetricsError
from ..storage.files.disk import FILE_MODE, make_folder

STOP_SECONDS = 1
LONGEST_PAUSE = 60
log = logging.getLogger(__name__)


class RunnerLock:
    """The lock that the one collector holds as long as its process lives; the kernel gives it back with the process."""

    def __init__(self, instance):
        folder = os.path.join(instance, "locks")
        make_folder(folder)
        self._path = os.path.join(folder, "collector")
        self.fd = None

    def acquire(self):
        """Whether it is ours now; never waits."""
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return False
        os.truncate(fd, 0)
        os.write(fd, b"%d\n" % os.getpid())
        self.fd = fd
        return True

    def release(self):
        """Give it back, if it is ours."""
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None

    def holder(self):
        """The process id, as text, of the collector that holds it now; empty when none does."""
        try:
            fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return ""
        try:
            # A shared lock: two that ask at the same time do not take each other for a collector.
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return ""
        except BlockingIOError:
            return os.read(fd, 32).decode().strip()
        finally:
            os.close(fd)


class Stop:
    """Becomes true with SIGTERM, SIGINT or ``set()``, or when the stream ``until`` ends; every wait ends at once."""

    def __init__(self, until=None):
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        self.fds = (self._read, self._write)
        self._until = [] if until is None else [until]

    def install(self):
        """Let the signals of this process set it."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.set())
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a reload is the master's affair
        return self

    def set(self):
        """Make it true."""
        try:
            os.write(self._write, b".")
        except BlockingIOError:
            pass  # it is full of earlier ones

    def wait(self, seconds, *others):
        """Whether it is true; ends when it is, when one of the connections ``others`` has something, or in time."""
        stops = [self._read, *self._until]
        ready = wait([*stops, *others], seconds)
        return any(stop in ready for stop in stops)

    def close(self):
        """Close its pipe."""
        for fd in self.fds:
            os.close(fd)


class CollectorProcess:
    """The collector as a child process, started again when it ends.

    It holds the end of a pipe and stops when the pipe's other end, which only this process has, is gone: so it ends
    with its parent, however that ended. It is a program of its own and shares no state with the workers.
    """

    def __init__(self, instance):
        self._environment = {**os.environ, INSTANCE: os.fspath(instance)}
        self._process = None
        self._not_before = 0.0
        self._pause = 1

    def ensure(self):
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

    def restart(self):
        """Stop it and start it with the settings of now."""
        self.stop()
        self._not_before = 0.0
        self.ensure()

    def stop(self):
        """End it, within a second or by force."""
        process, self._process = self._process, None
        if process is None:
            return
        process.stdin.close()
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def abandon(self):
        """Forget it, in a copy of this process: the pipe's end must not live on there."""
        process, self._process = self._process, None
        if process is not None:
            process.stdin.close()
            process.returncode = 0  # it is not the copy's child


def collect_forever(task, lock, stop):
    """Run the task whenever a source is due, until ``stop``; stands by while another process holds ``lock``."""
    while not stop.wait(0):
        if not lock.acquire():
            stop.wait(1)
            continue
        log.info("collecting from %s", ", ".join(task.sources))
        first = True
        while not stop.wait(_round(task, lock, stop, first)):
            first = False
    lock.release()


def _round(task, lock, stop, first):
    """One round; the seconds until the next."""
    try:
        if names := task.due(first=first):
            task.run(names, stop, (lock.fd, *stop.fds))
        return task.delay()
    except DeploymetricsError as error:
        log.error("the collector could not store: %s %s", error.detail, error.log or "")
        return min(30, task.timing.interval)
