"""Who may write a key: one thread of one process at a time, for itself and for those that wait (group commit).

The writes of a process that come while another one is being stored wait in a queue. The first of them leads: it locks
the key against other processes, and stores all that wait for the same key at once, with one sync. Then it hands on to
the next one, with the lock if that is of the same key: so a key that many write needs no look at what others may have
written.
"""

import fcntl
import math
import threading
import time
from collections import deque
from contextvars import copy_context
from typing import Generic, Protocol, TypeVar

from ...errors import StorageError
from .. import Change, Item
from . import disk

#: How long a writer waits for another one, and after what time no more than one of a process does.
LOCK_SECONDS = 10.0
STUCK_SECONDS = 1.0
_LONGEST_PAUSE = 0.0003


class Closable(Protocol):
    """What is handed on, or closed."""

    def close(self) -> None:
        """Let others have it."""


Kept = TypeVar("Kept", bound=Closable)


class Write:
    """A write of the key whose log is in ``folder``; it ends with an ``item``, which may be None, or an ``error``.

    One without a ``change`` leads for something else. ``context`` is that of the thread whose write it is.
    """

    __slots__ = ("folder", "author", "change", "kept", "context", "item", "error", "is_leading", "_woken")

    def __init__(self, folder: str, author: str = "", change: Change | None = None, *, kept: bool = False) -> None:
        self.folder = folder
        self.author = author
        self.change = change
        self.kept = kept
        self.context = copy_context()
        self.item: Item | None = None
        self.error: Exception | None = None
        self.is_leading = False
        self._woken = threading.Lock()  # who waits takes it, once another thread has let it go
        self._woken.acquire()

    def wait(self, seconds: float) -> bool:
        """Return True when it has ended or is to lead, False after so many seconds."""
        return self._woken.acquire(timeout=seconds)

    def wake(self) -> None:
        """Let who waits go on."""
        self._woken.release()


class Queue(Generic[Kept]):
    """The writes of this process that want to lead, in turn; ``kept`` is what the one before handed on.

    Where the one that leads waits for a process that was stopped, the others give up after STUCK_SECONDS, so that
    readers find a thread.
    """

    def __init__(self) -> None:
        self.kept: Kept | None = None
        self._lock = threading.Lock()
        self._waiting: deque[Write] = deque()
        self._is_led = False
        self._since = 0.0  # since when the one that leads waits for another process

    def enter(self, write: Write) -> bool:
        """Wait, and return True when the write is to lead, False when another one stored it.

        Raises StorageError where that takes too long, and nobody has begun to store it.
        """
        with self._lock:
            if self._is_led:
                self._waiting.append(write)
            else:
                self._is_led = write.is_leading = True
                self._since = time.monotonic()
        deadline = time.monotonic() + LOCK_SECONDS
        try:
            while not write.is_leading and not write.wait(0.1):
                now = time.monotonic()
                if (now - self._since > STUCK_SECONDS or now > deadline) and self._withdraw(write):
                    raise busy(write.folder)
        except BaseException:
            if not self._withdraw(write) and write.is_leading:  # it was interrupted
                self.leave(self.kept)
            raise
        return write.is_leading

    def _withdraw(self, write: Write) -> bool:
        """Take a write out of the queue; False where it leads or is being stored."""
        with self._lock:
            if write not in self._waiting:
                return False
            self._waiting.remove(write)
            return True

    def begin(self) -> None:
        """Note that the one that leads waits for no other process any more: a slow disk is no reason to give up."""
        self._since = math.inf

    def take(self, folder: str) -> list[Write]:
        """Return the writes of the key in ``folder`` that wait; whoever takes them lets them end."""
        if not self._waiting:
            return []
        with self._lock:
            taken = [write for write in self._waiting if write.change and write.folder == folder]
            self._waiting = deque(write for write in self._waiting if write not in taken)
            return taken

    def leave(self, kept: Kept | None) -> None:
        """Let the next write lead, and hand on what it may need; without one that waits it is closed."""
        with self._lock:
            if self._waiting:
                self.kept = kept
                self._since = time.monotonic()
                write = self._waiting.popleft()
                write.is_leading = True
                write.wake()
                return
            self.kept = None
            if kept:
                kept.close()
            self._is_led = False


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
