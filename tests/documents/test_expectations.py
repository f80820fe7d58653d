"""Whether a document is late, and by which expectations."""

import threading
from datetime import timedelta
from types import SimpleNamespace

import pytest

from deploymetrics.clock import as_precise
from deploymetrics.documents.expectations import Expectations, state_names, state_of


@pytest.mark.parametrize(
    "hours, seconds, name",
    [
        (0, 3600, "fresh"),
        (-2, 3600, "stale"),
        (-2, None, "fresh"),
        (-25, None, "quiet"),
        (23, 3600, "fresh"),  # the clock of another server, or one that was put back a little
        (25, 3600, "stale"),
        (25, None, "quiet"),
        (24 * 1000, 86400, "stale"),
    ],
)
def test_a_time_that_a_clock_which_was_ahead_noted_is_fresh_for_a_day_only(clock, hours, seconds, name):
    now = clock.now()
    changed_at = as_precise(now + timedelta(hours=hours))
    item = SimpleNamespace(key="a", changed_at=changed_at)
    found = state_of(item, seconds, now)
    assert found.name == name
    assert (found.due is not None) == (seconds is not None and hours < 24)
    assert state_names([item], {} if seconds is None else {"a": seconds}, now) == [name]


@pytest.mark.parametrize("number", range(3))
def test_a_thread_with_an_older_list_leaves_nothing_outdated(store, number):
    """It goes on just before the other one keeps the first, second … of what it found."""
    listed, go_on = threading.Event(), threading.Event()

    class Interrupted(Expectations):
        kept = 0

        def of(self, tag):
            seconds = super().of(tag)
            if threading.current_thread() is slow:
                listed.set()
                go_on.wait(20)
            return seconds

        def __setattr__(self, name, value):
            if listed.is_set() and threading.current_thread() is not slow:
                if self.kept == number:
                    go_on.set()
                    slow.join()
                type(self).kept += 1
            super().__setattr__(name, value)

    slow = threading.Thread(target=lambda: expectations.all())
    expectations = Interrupted(store)
    expectations.set("a", 60, "alice")
    slow.start()
    assert listed.wait(20)
    expectations.set("a", 120, "alice")
    expectations.all()
    go_on.set()
    slow.join()
    assert expectations.all() == {"a": 120}
