"""Items that are worth nothing after a time, and their removal now and then."""

import threading


class Sweeper:
    """Removes items of a kind once their record's ``expires`` (seconds since 1970) has passed, each ``interval``."""

    def __init__(self, store, clock, kind, interval=300):
        self.store = store
        self.clock = clock
        self.kind = kind
        self.interval = interval
        self._next = 0.0
        self._lock = threading.Lock()

    def sweep_if_due(self):
        """Called where such items are made, so that what is never used again does not pile up."""
        now = self.clock.timestamp()
        with self._lock:
            if now < self._next:
                return
            self._next = now + self.interval
        for item in self.store.items(self.kind).items:
            if self.kind.decode(item.value).expires <= now:
                self.store.write(self.kind, item.key, "server", _unless_renewed(now))


def _unless_renewed(now):
    def delete(current, at):
        return current.value if current and current.record.expires > now else None

    return delete
