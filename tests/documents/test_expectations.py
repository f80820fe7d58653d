"""Whether a document is late."""

from datetime import timedelta
from types import SimpleNamespace

import pytest

from deploymetrics.clock import as_precise
from deploymetrics.documents.expectations import state, state_names


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
    found = state(changed_at, seconds, now)
    assert found.name == name
    assert (found.due is not None) == (seconds is not None and hours < 24)
    items = [SimpleNamespace(key="a", changed_at=changed_at)]
    assert state_names(items, {} if seconds is None else {"a": seconds}, now) == [name]
