"""Which worker takes a new connection: how long others wait for one that has fewer."""

import pytest

from deploymetrics.server.turns import GONE, MOST_STEPS, Turn, forget


@pytest.fixture
def workers():
    """The turns of three workers, none of which takes connections yet."""
    yield [Turn(slot) for slot in range(3)]
    for slot in range(3):
        forget(slot)


def steps(turn):
    """How often a worker waits before it takes a connection."""
    return next(number for number in range(2 * MOST_STEPS) if turn.has_come())


def test_the_one_with_the_fewest_takes_it_at_once(workers):
    one, other, _ = workers
    one.publish(2)
    other.publish(2)
    assert steps(one) == steps(other) == 0
    one.publish(1)
    assert steps(one) == 0 < steps(other)


def test_the_further_a_worker_is_ahead_the_longer_it_waits(workers):
    one, other, _ = workers
    one.publish(0)
    waited = []
    for connections in range(5):
        other.publish(connections)
        waited.append(steps(other))
        one.has_come()  # it looks, and another one was quicker
    assert waited == [0, 1, 4, 9, 16]


def test_for_one_that_is_stuck_it_waits_half_a_second_in_all(workers):
    one, other, _ = workers
    one.publish(0)
    waited = []
    for connections in range(100):
        other.publish(connections)
        waited.append(steps(other))
    assert sum(waited) <= MOST_STEPS + 100 and waited[-1] == 0
    one.has_come()  # it runs again
    assert steps(other) == MOST_STEPS


def test_nobody_waits_for_one_that_takes_none(workers):
    one, other, third = workers
    one.publish(0)
    other.publish(9)
    one.publish(GONE)
    assert steps(other) == 0
    third.publish(8)
    assert steps(other) == 1
    forget(third.slot)
    assert steps(other) == 0
