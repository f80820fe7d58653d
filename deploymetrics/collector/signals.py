"""Stopping the collector, or a source that hangs: by signals, the end of the parent, a timer and a watchdog."""

import faulthandler
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import FrameType
from typing import TypeVar

#: How long after the timer the watchdog ends the process, in seconds.
GRACE_SECONDS = 3
#: The longest sleep, in seconds: a signal that comes just before a sleep begins does not end it.
_NAP = 1.0
T = TypeVar("T")


class Interrupted(KeyboardInterrupt):
    """Raised in a source to end it. ``except Exception`` does not catch it, and asyncio lets it through."""


class Stop:
    """A flag that tells the collector to stop, set by SIGTERM or SIGINT, which also interrupt its sleep or source."""

    def __init__(self) -> None:
        self.is_set = False
        self._interruptible = False

    def install(self, until: int | None = None) -> "Stop":
        """Handle SIGTERM and SIGINT of this process, and take the end of the stream ``until`` for a SIGTERM."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.set)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a reload is the master's affair
        if until is not None:
            threading.Thread(target=_terminate_at_end, args=(until,), daemon=True).start()
        return self

    def set(self, number: int = 0, frame: FrameType | None = None) -> None:
        """Note that the collector is to stop, and interrupt its sleep or source."""
        self.is_set = True
        self.interrupt()

    def interrupt(self, number: int = 0, frame: FrameType | None = None) -> None:
        """Raise Interrupted in the sleep or source that runs now, if any."""
        if self._interruptible:
            self._interruptible = False
            raise Interrupted

    def wait(self, seconds: float) -> bool:
        """Sleep for so many seconds; return True, at once, if the collector is to stop, else False."""
        until = time.monotonic() + seconds
        while not self.is_set and (seconds_left := until - time.monotonic()) > 0:
            with suppress(Interrupted):
                self._call_interruptibly(partial(time.sleep, min(seconds_left, _NAP)))
        return self.is_set

    def run_limited(self, seconds: float, function: Callable[[], T]) -> T:
        """Return ``function()``; raises Interrupted after so many seconds, or when the collector is to stop.

        A function that does not end within GRACE_SECONDS more ends the process.
        """
        before = signal.signal(signal.SIGALRM, self.interrupt)
        faulthandler.dump_traceback_later(max(seconds, 0) + GRACE_SECONDS, exit=True, file=2)
        # Again and again: one that comes just before a system call begins does not end that.
        signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.001), _NAP)
        try:
            return self._call_interruptibly(function)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            faulthandler.cancel_dump_traceback_later()
            signal.signal(signal.SIGALRM, before)

    def _call_interruptibly(self, function: Callable[[], T]) -> T:
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
