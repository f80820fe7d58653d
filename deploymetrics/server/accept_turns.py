"""Turns to accept: a new connection goes to the worker with the fewest, as long as that runs.

All workers wait on one socket, and whoever wakes first takes a new connection. A client that keeps its connections
alive may so end up with nearly all of them on one worker, while the other cores idle (gunicorn issue 3433). Here a
worker that has more than another one leaves a new connection to that for a while: the further it is ahead, the longer.
So it gets far ahead only of a worker that does not run at all.
"""

import mmap
from array import array

SLOTS = 512  # as many workers as there can be, and those that a reload replaces them by
STEP_SECONDS = 0.0005  # enough for an idle worker to wake up
MOST_STEPS = 1000  # then a worker is stuck, and no longer waited for
#: As the number of connections of one that takes none.
GONE = 2**62

# In memory that the master makes and all workers share, by slot: how many connections each has, and how often it has
# looked for a new one.
_memory = memoryview(mmap.mmap(-1, 2 * SLOTS * 8)).cast("q")
_connections, _looks = _memory[:SLOTS], _memory[SLOTS:]
_connections[:] = array("q", [GONE] * SLOTS)


class Turn:
    """Tells a worker, by its slot, when to accept a connection."""

    def __init__(self, slot: int) -> None:
        self.slot = slot
        self._awaited = (slot, 0)  # the worker that is waited for, and how often it had looked by then
        self._steps = 0

    def publish(self, connections: int) -> None:
        """Tell the other workers how many connections this one has, or that it is GONE."""
        _connections[self.slot] = connections

    def has_come(self) -> bool:
        """Return True if this worker may accept a waiting connection now; else ask again after STEP_SECONDS.

        It waits n² steps in all for one that is n behind, and MOST_STEPS at most, until that looks for one again.
        """
        _looks[self.slot] += 1
        connections = _connections.tolist()
        fewest = min(connections)
        slot = connections.index(fewest)
        if self._awaited != (slot, _looks[slot]):
            self._awaited, self._steps = (slot, _looks[slot]), 0
        self._steps += 1
        return self._steps > min((connections[self.slot] - fewest) ** 2, MOST_STEPS)


def forget_worker(slot: int) -> None:
    """Note that the worker of a slot is gone, so that no other waits for it."""
    _connections[slot] = GONE
