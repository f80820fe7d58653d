"""The threads of a worker are there before its first request."""

import sys
import threading
import weakref

import pytest
from waiting import wait_for

from deploymetrics.server.thread_pool import Threads, thread_pool

START = threading.Thread.start


def test_requests_are_answered_where_no_further_thread_can_be_started(monkeypatch):
    pool, meeting = thread_pool(3), threading.Barrier(4)

    def start(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    answers = [pool.submit(meeting.wait, 20) for _ in range(3)]
    meeting.wait(20)  # all three at the same time
    assert {answer.result(20) for answer in answers} < {0, 1, 2, 3}
    pool.shutdown()


def test_where_one_cannot_be_started_none_stays(monkeypatch):
    started = []

    def start(thread):
        if len(started) == 2:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        START(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(RuntimeError):
        thread_pool(3)
    for thread in started:
        thread.join(20)
    assert not any(thread.is_alive() for thread in started)


@pytest.fixture
def threads():
    """Two threads, which end with the test."""
    threads = Threads(2)
    yield threads
    threads.end()


def test_threads_call_at_the_same_time_what_they_are_given(threads):
    meeting = threading.Barrier(3)
    for _ in range(2):
        threads.submit(meeting.wait, 20)
    meeting.wait(20)


def test_threads_that_cannot_be_started_are_said(monkeypatch):
    monkeypatch.setattr(threading.Thread, "start", lambda thread: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        Threads(2)


def test_what_is_submitted_is_called_before_threads_end():
    called = []
    threads = Threads(1)
    for number in range(100):
        threads.submit(called.append, number)
    threads.end()
    assert called == list(range(100))


def test_a_thread_goes_on_after_what_it_called_has_failed(caplog):
    called = []
    threads = Threads(1)
    for function in (lambda: 1 / 0, sys.exit, lambda: called.append(1)):
        threads.submit(function)
    threads.end()
    assert called == [1]
    assert [record.message for record in caplog.records] == ["A request was not answered"] * 2


def test_a_thread_that_waits_keeps_nothing_of_what_it_called(threads):
    def call():
        """Do nothing."""

    reference = weakref.ref(call)
    threads.submit(call)
    del call
    wait_for(lambda: reference() is None, "the function to be freed")
