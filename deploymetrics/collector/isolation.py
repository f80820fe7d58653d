"""Runs a source in a process of its own, so that one that hangs, dies or leaks harms nothing but its own answer."""

import logging
import multiprocessing
import os
import signal
import time
from contextlib import suppress
from multiprocessing.connection import wait

import msgspec

from ..sources import Findings, SourceError, metric_name, one_line, place_of, rendered

MAX_ANSWER = 2**20
# A copy of this process, which has no threads: the source is there as it was made, and nothing is imported again.
_CONTEXT = multiprocessing.get_context("fork")
log = logging.getLogger(__name__)


class Outcome(msgspec.Struct, omit_defaults=True):
    """What a source answered, as it comes through the pipe; ``error`` is empty after a success."""

    values: dict[str, str | list[str] | dict[str, str]] = {}
    failed: dict[str, str] = {}
    warning: str = ""
    error: str = ""
    permanent: bool = False


class Running:
    """A source at work; ``close`` are descriptors that its process must not keep."""

    def __init__(self, name, source, seconds, close=()):
        self.name = name
        self.seconds = seconds
        self.until = time.monotonic() + seconds
        self._ended = False
        self._answer, send = _CONTEXT.Pipe(duplex=False)
        self._process = _CONTEXT.Process(target=_run, args=(name, source, seconds, send, close), daemon=True)
        self._process.start()
        send.close()

    def outcome(self, stop):
        """Its Outcome, or None when ``stop`` came first; the process has ended by then."""
        try:
            left = max(0, self.until - time.monotonic())
            if stop.wait(left, self._answer):
                return None
            if not wait([self._answer], 0):
                return Outcome(error=f"There was no answer within {self.seconds} seconds.")
            return self._receive()
        finally:
            self.end()

    def end(self):
        """Kill the process, and those that it started, if they still run."""
        if self._ended:
            return
        self._ended = True
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()  # it may not have got as far as to have a group
        self._process.join()
        self._answer.close()

    def _receive(self):
        try:
            return msgspec.json.decode(self._answer.recv_bytes(MAX_ANSWER), type=Outcome)
        except EOFError:
            return Outcome(error="The process of the source ended without an answer.")
        except OSError:
            return Outcome(error=f"The answer is larger than {MAX_ANSWER} bytes.")


def _run(name, source, seconds, send, close):
    os.setpgid(0, 0)
    os.dup2(2, 1)  # what a source prints is no part of what ``collect`` prints
    for fd in close:
        os.close(fd)
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
        signal.signal(number, signal.SIG_DFL)
    signal.alarm(seconds + 1)  # should nobody be left to kill it
    send.send_bytes(msgspec.json.encode(ask(name, source)))


def ask(name, source):
    """The Outcome of ``source.collect()``, whatever it does."""
    try:
        found = source.collect()
        findings = found if isinstance(found, Findings) else Findings(found)
        values = rendered(findings.values)
        failed = {metric_name(metric): one_line(reason) for metric, reason in findings.failed.items()}
        if failed and not values:
            raise SourceError(f"Every metric failed; the first one: {next(iter(failed.values()))}")
        return Outcome(values, failed, one_line(findings.warning))
    except SourceError as error:
        return Outcome(error=error.detail, permanent=error.permanent)
    except (Exception, SystemExit) as error:
        log.error("source %s: %s at %s", name, type(error).__name__, place_of(error))
        return Outcome(error=f"The source failed with {type(error).__name__}; the log says where.")
