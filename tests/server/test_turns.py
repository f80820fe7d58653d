"""Which worker takes a new connection: how long others wait for one that has fewer."""

import socket
from types import SimpleNamespace

import pytest
from gunicorn.config import Config

from deploymetrics.server.turns import GONE, MOST_STEPS, Turn, forget
from deploymetrics.server.worker import FairThreadWorker


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


def test_a_listener_that_was_left_is_not_asked_though_the_poller_had_named_it(workers):
    """It was readable in the round in which the last answer of a worker that stops was done."""
    warnings = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        worker = FairThreadWorker(
            0, 0, [listener], None, 30, Config(), SimpleNamespace(warning=lambda *words: warnings.append(words))
        )
    worker.tmp.close()
    worker.turn, worker.capacity, worker.waiting = workers[0], 1, {}
    worker.accept(listener)
    assert warnings == [] and worker.nr_conns == 0
