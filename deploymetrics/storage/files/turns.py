"""Who may write a key: one thread of one process at a time.

The threads of a process take turns. The one whose turn it is locks the newest file of the key against other processes,
and hands that on, locked, to the next thread if one waits: so they need no look at what others may have written.
"""

import fcntl
import math
import threading
import time
from typing import Generic, Protocol, TypeVar

from ...errors import StorageError
from . import disk

#: How long a writer waits for another one, and after what time no more than one of a process does.
LOCK_SECONDS = 10.0
STUCK_SECONDS = 1.0
#: How long the threads of one process may hand a key on while those of others wait.
HAND_ON_SECONDS = 0.005
_LONGEST_PAUSE = 0.0003


class Closable(Protocol):
    """What is handed on, or closed."""

    def close(self) -> None:
        """Let others have it."""


Kept = TypeVar("Kept", bound=Closable)


def wait_for_lock(fd: int, what: str) -> None:
    """Lock an open file, or a folder, against other processes; raises StorageError after LOCK_SECONDS.

    The kernel gives the lock of a process back that was killed.
    """
    pause, began = 0.0001, time.monotonic()
    while not disk.try_lock(fd, fcntl.LOCK_EX):
        if time.monotonic() - began > LOCK_SECONDS:
            raise busy(what)
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


def busy(what: str) -> StorageError:
    """Return the error for what others have locked for too long."""
    return StorageError("Others have been writing this for too long; try again.", log=f"lock: {what} is held")


class Turns(Generic[Kept]):
    """The threads of this process that want to write, in turn; ``kept`` is what the one before handed on.

    Where the thread whose turn it is waits for a process that was stopped, the others give up after STUCK_SECONDS, so
    that readers find a thread.
    """

    def __init__(self) -> None:
        self.kept: Kept | None = None
        self._lock = threading.Lock()
        self._waiting: set[int] = set()
        self._since = 0.0  # since when this turn waits for another process

    def take(self, what: str) -> None:
        """Wait for a turn; raises StorageError where one takes too long."""
        if not self._lock.acquire(blocking=False):
            self._waiting.add(threading.get_ident())
            try:
                self._wait(what)
            finally:
                self._waiting.discard(threading.get_ident())
        self._since = time.monotonic()

    def _wait(self, what: str) -> None:
        deadline = time.monotonic() + LOCK_SECONDS
        while not self._lock.acquire(timeout=0.1):
            now = time.monotonic()
            if now - self._since > STUCK_SECONDS or now > deadline:
                self._waiting.discard(threading.get_ident())
                if self._lock.acquire(blocking=False):  # it was handed on to this thread just now
                    return
                raise busy(what)

    def begin(self) -> None:
        """Note that the turn waits for no other process any more: a slow disk is no reason to give up."""
        self._since = math.inf

    def leave(self, kept: Kept | None = None) -> None:
        """End the turn, and hand on what the next thread may need; without one that waits it is closed."""
        if kept and not self._waiting:
            kept.close()
            kept = None
        self.kept = kept
        self._lock.release()
        if kept and not self._waiting and self._lock.acquire(blocking=False):  # who waited has given up
            self.leave(self.kept)
