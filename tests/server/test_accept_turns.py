"""Which worker takes a new connection: how long others wait for one that has fewer."""

import errno
import selectors
import socket
import time
from types import SimpleNamespace

import pytest
from gunicorn.config import Config

from deploymetrics.server.accept_turns import GONE, MOST_STEPS, Turn, forget_worker
from deploymetrics.server.worker import FairThreadWorker


@pytest.fixture
def workers():
    """The turns of three workers, none of which takes connections yet."""
    yield [Turn(slot) for slot in range(3)]
    for slot in range(3):
        forget_worker(slot)


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
    forget_worker(third.slot)
    assert steps(other) == 0


@pytest.fixture
def warnings():
    """What the worker has said."""
    return []


@pytest.fixture
def worker(workers, warnings):
    """A worker that was not started."""
    log = SimpleNamespace(warning=lambda *words: warnings.append(words))
    made = FairThreadWorker(0, 0, [], None, 30, Config(), log)
    made.tmp.close()
    made.turn, made.capacity, made.waiting = workers[0], 1, {}
    return made


def test_a_listener_that_was_left_is_not_asked_though_the_poller_had_named_it(worker, warnings):
    """It was readable in the round in which the last answer of a worker that stops was done."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        pass
    worker.accept(listener)
    assert warnings == [] and worker.nr_conns == 0


@pytest.mark.parametrize("error", [errno.ENFILE, errno.EPERM])
def test_a_worker_whose_system_lets_it_take_no_connection_rests(worker, warnings, monkeypatch, error):
    """Else it would run round, and write a line each time."""

    class Refusing(socket.socket):
        def accept(self):
            raise OSError(error, "no")

    with Refusing() as listener, selectors.DefaultSelector() as worker.poller:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        worker.sockets = [listener]
        with socket.create_connection(listener.getsockname()):
            for second in range(3):
                monkeypatch.setattr(time, "monotonic", lambda second=second: 1000 + second)
                for _ in range(100):  # as the loop of the worker does
                    worker.set_accept_enabled(True)
                    for key, _ in worker.poller.select(0):
                        key.data(key.fileobj)
        assert len(warnings) == 3
