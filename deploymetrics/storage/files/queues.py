"""Who may write a key: one thread of one process at a time, for itself and for those that wait (group commit).

The writes of a process that come while another one is being stored wait in a queue. The thread that gets the next turn
locks the key against other processes, and stores all that wait for the same key at once, with one sync. The others find
their writes stored when their turn comes.
"""

import fcntl
import math
import threading
import time
from contextvars import copy_context
from datetime import datetime

from ...errors import StorageError
from .. import Change, Item
from . import disk

#: How long a writer waits for another one.
LOCK_SECONDS = 10.0
#: After what time no more than one thread waits for a process that was stopped, so that readers find a thread.
STUCK_SECONDS = 1.0
_POLL_SECONDS = 0.1
_LONGEST_PAUSE = 0.0003


class Write:
    """A write of the key whose log is in ``folder``; it ends with an ``item``, which may be None, or an ``error``."""

    __slots__ = ("folder", "author", "change", "kept", "context", "item", "error")

    def __init__(self, folder: str, author: str, change: Change, *, kept: bool) -> None:
        self.folder = folder
        self.author = author
        self.change = change
        self.kept = kept
        self.context = copy_context()
        self.item: Item | None = None
        self.error: Exception | None = None

    def ask(self, current: Item | None, now: datetime) -> bytes | None:
        """Return what ``change`` does, in the context of the thread whose write it is."""
        return self.context.run(self.change, current, now)


class Queue:
    """The threads of this process that want to write, one at a time, and the writes that whoever does can take."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._waiting: list[Write] = []
        self._since = math.inf  # since when the thread whose turn it is waits for another process

    def begin(self, folder: str, write: Write | None = None) -> None:
        """Wait for the turn, with a ``write`` that others may take meanwhile; ``end`` ends the turn.

        Raises StorageError where that takes too long, and nobody has taken it.
        """
        if write:
            self._waiting.append(write)
        deadline = time.monotonic() + LOCK_SECONDS
        try:
            while not self._turn.acquire(timeout=_POLL_SECONDS):
                now = time.monotonic()
                is_stuck = now - self._since > STUCK_SECONDS or now > deadline
                if is_stuck and (write is None or self.withdraw(write)):
                    raise busy(folder)
        except BaseException:
            if write:
                self.withdraw(write)
            raise
        self._since = time.monotonic()

    def note_lock(self) -> None:
        """Note that nobody waits for another process any more: a slow disk is no reason to give up."""
        self._since = math.inf

    def end(self) -> None:
        """Give the turn to another thread."""
        self._since = math.inf
        self._turn.release()

    def take(self, folder: str) -> Write | None:
        """Return a write of the key in ``folder`` that waits, or None; whoever takes it lets it end."""
        for write in list(self._waiting):
            if write.folder == folder and self.withdraw(write):
                return write
        return None

    def withdraw(self, write: Write) -> bool:
        """Take a write out of the queue; False where another thread did."""
        try:
            self._waiting.remove(write)
        except ValueError:
            return False
        return True


def wait_for_lock(fd: int, path: str) -> None:
    """Lock an open file, or a folder, against other processes; raises StorageError after LOCK_SECONDS.

    The kernel gives the lock of a process back that was killed.
    """
    pause, began = 0.0001, time.monotonic()
    while not disk.try_lock(fd, fcntl.LOCK_EX):
        if time.monotonic() - began > LOCK_SECONDS:
            raise busy(path)
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


def busy(path: str) -> StorageError:
    """Return the error for a file or a folder that others have locked for too long."""
    return StorageError("Others have been writing this for too long; try again.", log=f"lock: {path} is held")
