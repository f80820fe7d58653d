"""Asks a source, so that one that hangs, fails or ends the process harms only its own answer.

Sources run in the collector's own process, one after the other. That process stands alone already: no request waits for
it, and ``serve`` starts it again when it ends. What is left to do is to end a source that takes too long:

- A timer raises Interrupted in it, whatever Python does there.
- A source that hangs in C never sees that. Then a watchdog ends the process; it is a thread of C and needs nothing of
  Python. What the other sources said is stored by then.
- The next process must not fall into the same hole. So the collector's lock names the source that is being asked, and
  one in which a process ended has failed, with the delay that follows a failure.

What a source leaves behind (memory, threads, processes) stays until the collector ends.
"""

import faulthandler
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from functools import partial
from types import FrameType
from typing import TypeVar

import msgspec

from ..sources import Findings, Rendered, Round, Source, SourceError, metric_name, one_line, place_of, rendered

MAX_ANSWER = 2**20
#: How long after the timer the watchdog ends the process, in seconds.
GRACE_SECONDS = 3
#: The longest sleep, in seconds: a signal that comes just before a sleep begins does not end it.
_NAP = 1.0
T = TypeVar("T")
log = logging.getLogger(__name__)


class Outcome(msgspec.Struct):
    """What a source answered. ``error`` is empty after a success; after a failure the rest is what was found before."""

    values: dict[str, Rendered] = {}
    failed: dict[str, str] = {}
    warning: str = ""
    asked: dict[str, float] = {}
    error: str = ""
    permanent: bool = False


class Interrupted(KeyboardInterrupt):
    """Ends what a source does. ``except Exception`` does not catch it, and asyncio lets it through."""


class Stop:
    """Becomes true with SIGTERM or SIGINT, and ends what is interruptible then: a sleep, or a source."""

    def __init__(self) -> None:
        self.is_set = False
        self._interruptible = False

    def install(self, until: int | None = None) -> "Stop":
        """Let the signals of this process set it, or the end of the stream with the descriptor ``until``."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.set)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a reload is the master's affair
        if until is not None:
            threading.Thread(target=_terminate_at_end, args=(until,), daemon=True).start()
        return self

    def set(self, number: int = 0, frame: FrameType | None = None) -> None:
        """Make it true."""
        self.is_set = True
        self.interrupt()

    def interrupt(self, number: int = 0, frame: FrameType | None = None) -> None:
        """Raise Interrupted in what is interruptible now."""
        if self._interruptible:
            self._interruptible = False
            raise Interrupted

    def wait(self, seconds: float) -> bool:
        """Return True as soon as it is true, and False if it is not for so many seconds."""
        until = time.monotonic() + seconds
        while not self.is_set and (left := until - time.monotonic()) > 0:
            with suppress(Interrupted):
                self._interruptibly(partial(time.sleep, min(left, _NAP)))
        return self.is_set

    def limited(self, seconds: float, function: Callable[[], T]) -> T:
        """Return ``function()``. Raises Interrupted after so many seconds, or when this becomes true.

        A function that does not end within GRACE_SECONDS more ends the process.
        """
        before = signal.signal(signal.SIGALRM, self.interrupt)
        faulthandler.dump_traceback_later(max(seconds, 0) + GRACE_SECONDS, exit=True, file=2)
        # Again and again: one that comes just before a system call begins does not end that.
        signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.001), _NAP)
        try:
            return self._interruptibly(function)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            faulthandler.cancel_dump_traceback_later()
            signal.signal(signal.SIGALRM, before)

    def _interruptibly(self, function: Callable[[], T]) -> T:
        try:
            self._interruptible = True
            if self.is_set:
                raise Interrupted
            return function()
        finally:
            self._interruptible = False


def _terminate_at_end(fd: int) -> None:
    while os.read(fd, 4096):
        pass
    main = threading.main_thread().ident
    assert main is not None
    signal.pthread_kill(main, signal.SIGTERM)  # to that thread: only there does a signal end a sleep


def ask(name: str, source: Source, current: Round, stop: Stop) -> Outcome | None:
    """Return the Outcome of the source, whatever it does; None if ``stop`` came first."""
    try:
        with redirect_stdout(sys.stderr):  # what a source prints is no part of what ``collect`` prints
            outcome = stop.limited(current.left(), lambda: _outcome(source, current))
    except SourceError as error:
        return Outcome(error=error.detail, permanent=error.permanent)
    except KeyboardInterrupt:
        return None if stop.is_set else Outcome(error=f"There was no answer within {current.seconds:g} seconds.")
    except (Exception, SystemExit) as error:
        log.error("source %s: %s at %s", name, type(error).__name__, place_of(error))
        return Outcome(error=f"The source failed with {type(error).__name__}; the log says where.")
    return outcome


def _outcome(source: Source, current: Round) -> Outcome:
    try:
        answer = source.collect_round(current)
    except SourceError as error:
        if error.findings is None:
            raise
        return msgspec.structs.replace(_checked(error.findings), error=error.detail, permanent=error.permanent)
    outcome = _checked(answer if isinstance(answer, Findings) else Findings(answer))
    if outcome.failed and not outcome.values and not outcome.asked:
        name, reason = next(iter(outcome.failed.items()))
        raise SourceError(f"Every metric failed; {name}: {reason}")
    return outcome


def _checked(findings: Findings) -> Outcome:
    """Return the Outcome in which a metric whose value is nonsense, or too large, has failed."""
    values, failed = rendered(findings.values)
    failed |= {metric_name(metric): one_line(reason) for metric, reason in findings.failed.items()}
    asked = {metric_name(metric): float(when) for metric, when in findings.asked.items()}
    sizes = {metric: len(msgspec.json.encode(value)) for metric, value in values.items()}
    total = sum(sizes.values())
    for metric in sorted(sizes, key=sizes.__getitem__, reverse=True):
        if total <= MAX_ANSWER:
            break
        failed[metric] = f"The values of the source take more than {MAX_ANSWER} bytes, this one {sizes[metric]}."
        total -= sizes[metric]
        del values[metric]
    return Outcome(values, failed, one_line(findings.warning), asked)
