"""Group commit: one thread of one process writes a key at a time, for itself and for the threads that wait.

The writes of a process that come while another one is being stored wait in a queue. The thread that gets the next turn
locks the key against other processes, and stores all that wait for the same key at once, with one sync. The others find
their writes stored when their turn comes.
"""

import fcntl
import math
import threading
import time
from contextvars import Context, copy_context
from dataclasses import dataclass, field

from ...errors import StorageError
from .. import Change, Item
from . import disk

#: How long a writer waits for another one.
LOCK_SECONDS = 10.0
#: After what time no more than one thread waits for a process that was stopped, so that readers find a thread.
STUCK_SECONDS = 1.0
_POLL_SECONDS = 0.1
_LONGEST_PAUSE = 0.0003


@dataclass(slots=True, eq=False)
class Write:
    """A write to the log in ``folder``; once it is done it has an ``item``, which may be None, or an ``error``.

    ``change`` is to be called in ``context``, that of the thread whose write it is.
    """

    folder: str
    author: str
    change: Change
    kept: bool
    context: Context = field(default_factory=copy_context)
    item: Item | None = None
    error: Exception | None = None


class Queue:
    """A queue of the threads of this process that write the same keys, and of their waiting writes.

    ``turn`` is what such a thread has; ``begin`` waits for it, and its release ends it.
    """

    def __init__(self) -> None:
        self.turn = threading.Lock()
        self._waiting: list[Write] = []
        self._since = math.inf  # since when the thread whose turn it is waits for another process

    def begin(self, folder: str, write: Write | None = None) -> None:
        """Wait for the turn, and queue a ``write`` that another thread may take meanwhile.

        Raises StorageError where that takes too long, and nobody has taken it.
        """
        if write:
            self._waiting.append(write)
        deadline = time.monotonic() + LOCK_SECONDS
        try:
            while not self.turn.acquire(timeout=_POLL_SECONDS):
                now = time.monotonic()
                is_stuck = now - self._since > STUCK_SECONDS or now > deadline
                if is_stuck and (write is None or self.withdraw(write)):
                    raise busy(folder)
        except BaseException:
            if write:
                self.withdraw(write)
            raise

    def lock(self, fd: int, path: str) -> None:
        """Lock an open file, or a folder, against other processes; raises StorageError after LOCK_SECONDS.

        The kernel gives the lock of a process back that was killed.
        """
        pause, self._since = 0.0001, time.monotonic()
        try:
            while not disk.try_lock(fd, fcntl.LOCK_EX):
                if time.monotonic() - self._since > LOCK_SECONDS:
                    raise busy(path)
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
        finally:
            self._since = math.inf

    def take(self, folder: str) -> Write | None:
        """Take a waiting write to the log in ``folder`` out of the queue for the caller to store, or return None."""
        for write in list(self._waiting):
            if write.folder == folder and self.withdraw(write):
                return write
        return None

    def withdraw(self, write: Write) -> bool:
        """Take a write out of the queue; return False if another thread has taken it."""
        try:
            self._waiting.remove(write)
        except ValueError:
            return False
        return True


def busy(path: str) -> StorageError:
    """Return the StorageError for a file or folder that others have locked for too long."""
    return StorageError("Others have been writing this for too long; try again.", log=f"lock: {path} is held")
