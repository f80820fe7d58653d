"""What was read at a path, kept while nothing there changed.

One ``stat`` tells whether it did, for a file that is replaced or edited and for a folder in which names come and go. A
time within one clock tick of the look is not relied on, as in the list.
"""

import os
import time

from . import durable


class Remembered:
    """Keeps at most ``most`` results by path; the threads of a process share it."""

    def __init__(self, most):
        self.most = most
        self._kept = {}

    def look(self, path, read, worth_keeping=bool):
        """What ``read()`` gives for ``path``, without calling it where the path is as it was when it gave it."""
        now = time.time_ns()  # before the look: what is there must have been old enough by then
        try:
            stat = os.stat(path)
        except OSError:
            return read()  # which says what is the matter
        kept = self._kept.get(path)
        if kept is not None and kept[0] == durable.signature(stat):
            return kept[1]
        value = read()
        if worth_keeping(value) and not durable.is_young(stat, now):
            if len(self._kept) >= self.most:
                self._kept.clear()
            self._kept[path] = durable.signature(stat), value
        return value
