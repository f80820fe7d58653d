"""One answer for threads that ask at the same time, and never one that was asked for before a thread came."""

import threading
import time

import pytest
from waiting import wait_for

from deploymetrics.errors import StorageError
from deploymetrics.storage.sql.shared_answer import SharedAnswer

WAITING = 5


class Source:
    """What is asked: it counts how often it is, and answers with that number or fails, when it is let."""

    def __init__(self, fails=False):
        self.fails = fails
        self.began = 0
        self.let = threading.Semaphore(0)

    def __call__(self):
        self.began += 1
        number = self.began
        self.let.acquire()
        if self.fails:
            raise StorageError(log=f"answer {number}")
        return number


def ask_in_threads(source):
    """Ask in one thread, and in WAITING ones while that waits; what the first one got, and the others."""
    together, found, come = SharedAnswer(source), [], []

    def ask():
        come.append(1)
        try:
            found.append(together())
        except StorageError as error:
            found.append(error.log)

    threads = [threading.Thread(target=ask) for _ in range(1 + WAITING)]
    threads[0].start()
    wait_for(lambda: source.began == 1, "the first to ask")
    for thread in threads[1:]:
        thread.start()
    wait_for(lambda: len(come) == len(threads), "all to come")
    source.let.release(1 + WAITING)
    for thread in threads:
        thread.join()
    first, *others = found
    return first, set(others)


def test_those_that_wait_share_an_answer_that_was_asked_for_after_they_came():
    source = Source()
    first, others = ask_in_threads(source)
    assert first == 1 and others <= {2, 3}  # 3 for one that had come, and was not waiting yet
    assert source.began <= 3


def test_who_comes_for_it_later_gets_what_was_asked_for_since_and_nothing_older():
    source = Source()
    source.let.release(3)
    together = SharedAnswer(source)
    before = time.perf_counter()
    assert [together(), together(before), together(before)] == [1, 1, 1]
    assert together(time.perf_counter()) == 2
    assert together(before) == 2


def test_a_failure_is_shared_too():
    source = Source(fails=True)
    first, others = ask_in_threads(source)
    assert first == "answer 1" and others <= {"answer 2", "answer 3"}
    assert source.began <= 3


def test_one_after_the_other_asks_anew():
    source = Source()
    source.let.release(3)
    together = SharedAnswer(source)
    assert [together(), together(), together()] == [1, 2, 3]


def test_what_failed_is_asked_again():
    answers = iter([StorageError(), 2])

    def ask():
        answer = next(answers)
        if isinstance(answer, StorageError):
            raise answer
        return answer

    together = SharedAnswer(ask)
    with pytest.raises(StorageError):
        together()
    assert together() == 2


def test_each_thread_raises_an_error_of_its_own():
    source = Source(fails=True)
    source.let.release()
    together, before, errors = SharedAnswer(source), time.perf_counter(), []
    for _ in range(2):
        with pytest.raises(StorageError) as raised:
            together(before)
        errors.append(raised.value)
    assert source.began == 1 and errors[0] is not errors[1]
    assert [error.log for error in errors] == ["answer 1", "answer 1"]
