"""The threads of a worker are there before its first request."""

import threading

import pytest

from deploymetrics.server.thread_pool import thread_pool

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
