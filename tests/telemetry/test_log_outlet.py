"""Lines of the logs for a reader that is slow, stands still, or goes away."""

import logging
import os
import select
import threading

import pytest

from deploymetrics.telemetry import log_outlet
from deploymetrics.telemetry.log_outlet import Outlet, OutletHandler


@pytest.fixture
def pipe():
    """Both ends of a pipe; the other one does not wait."""
    ends = os.pipe()
    os.set_blocking(ends[0], False)
    yield ends
    for end in ends:
        os.close(end)


@pytest.fixture
def clock(monkeypatch):
    """A time that only waits for a pipe move on; ``waited`` is how long these were."""

    class Time:
        now = waited = 0.0
        reads = staticmethod(lambda: None)

        def monotonic(self):
            return self.now

    class Poll:
        def register(self, fd, events):
            self.fd = fd

        def poll(self, milliseconds):
            if milliseconds:
                time.now += 0.9 * milliseconds / 1000
                time.waited += 0.9 * milliseconds / 1000
                time.reads()
            return [pair for pair in [(self.fd, select.POLLOUT)] if select.select([], [self.fd], [], 0)[1]]

    time = Time()
    monkeypatch.setattr(log_outlet, "time", time)
    monkeypatch.setattr(log_outlet.select, "poll", Poll)
    return time


def fill(pipe):
    os.set_blocking(pipe[1], False)
    try:
        while True:
            os.write(pipe[1], b"x" * select.PIPE_BUF)
    except BlockingIOError:
        os.set_blocking(pipe[1], True)


def test_a_slow_reader_is_waited_for_a_small_part_of_the_time(pipe, clock):
    """It reads a little whenever somebody has waited for it for 0.9 seconds, and now and then."""
    outlet = Outlet(pipe[1], "a pipe")
    fill(pipe)
    clock.reads = lambda: os.read(pipe[0], select.PIPE_BUF)
    for number in range(20_000):
        outlet.write("/" * 1000)
        clock.now += 0.01
        if number % 50 == 0:
            clock.reads()
    assert 0 < clock.waited < clock.now / 20


def test_a_still_reader_is_waited_for_once(pipe, clock):
    outlet = Outlet(pipe[1], "a pipe")
    fill(pipe)
    for _ in range(100):
        outlet.write("/" * 1000)
        clock.now += 60
    assert clock.waited == pytest.approx(0.9)


def test_a_line_that_was_torn_ends_before_the_next_one(pipe, clock):
    outlet = Outlet(pipe[1], "a pipe")
    fill(pipe)
    os.read(pipe[0], select.PIPE_BUF)
    outlet.write("/" * 3 * select.PIPE_BUF)
    while len(os.read(pipe[0], 2**20)) == 2**20:
        pass
    outlet.write("whole")
    assert os.read(pipe[0], 2**20) == b"\nwhole\n"


def test_of_a_pipe_that_nobody_reads_any_more_nothing_is_raised():
    there, here = os.pipe()
    os.close(there)
    try:
        Outlet(here, "a pipe").write("x")
    finally:
        os.close(here)


@pytest.mark.parametrize("size", [10, 4000, 20_000])
def test_a_traceback_holds_up_nobody(pipe, clock, size):
    """However long it is: its writer waits for no reader but as long as others."""
    handler = OutletHandler(Outlet(pipe[1], "a pipe"), logging.Formatter())

    def write():
        for _ in range(200):
            handler.handle(logging.makeLogRecord({"msg": "failed\n" + "x" * size}))

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    thread.join(60)
    assert not thread.is_alive()
    assert os.read(pipe[0], 2**20).startswith(b"failed\n" + b"x" * size + b"\nfailed")
