"""Guesses that come at the same time: the limit of failures is exact, and who is right is not counted."""

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import pytest
from conftest import PASSWORD
from storekit import in_threads

from deploymetrics import create_app
from deploymetrics.accounts import authentication, passwords
from deploymetrics.accounts.service import Role
from deploymetrics.errors import StorageFullError, TooManyAttemptsError, Unauthorized

TRIES = 8
LIMIT = 5
ADDRESS = "192.0.2.1"


@pytest.fixture
def workers(app, tmp_path, clock):
    """The Authenticators of two applications on the same folder, with the accounts jo and sam."""
    both = [one.extensions["deploymetrics"] for one in (app, create_app(tmp_path / "instance", clock=clock))]
    for name in ("jo", "sam"):
        both[0].accounts.add(name, Role.MASTER_OPERATOR, PASSWORD)
    return [services.authenticator for services in both]


@pytest.fixture
def at_once(workers, monkeypatch):
    """Try passwords for a name, each in a thread; all have passed the first look at the limit before any is checked."""
    check = authentication.password_matches

    def try_all(tried, name="jo"):
        together = Barrier(len(tried), timeout=20)
        monkeypatch.setattr(authentication, "password_matches", lambda *args: (together.wait(), check(*args))[1])
        with ThreadPoolExecutor(len(tried)) as pool:
            futures = [
                pool.submit(workers[number % 2].check_password, name, password, ADDRESS)
                for number, password in enumerate(tried)
            ]
        monkeypatch.setattr(authentication, "password_matches", check)
        return Counter(type(future.exception()) for future in futures)

    return try_all


def test_no_more_are_told_that_they_are_wrong_than_the_limit(at_once, clock):
    assert at_once(["wrong"] * TRIES) == {Unauthorized: LIMIT, TooManyAttemptsError: TRIES - LIMIT}
    for delay in (1, 2, 4):  # those that were told nothing were not counted either: the wait doubles once a round
        clock.forward(seconds=delay)
        assert at_once(["wrong"] * TRIES) == {Unauthorized: 1, TooManyAttemptsError: TRIES - 1}


def test_nor_when_the_storage_takes_nothing(at_once, workers, monkeypatch):
    def full(*args):
        raise StorageFullError()

    monkeypatch.setattr(workers[0].throttle.store, "write", full)
    monkeypatch.setattr(workers[1], "check_password", workers[0].check_password)  # what is not stored is one worker's
    assert at_once(["wrong"] * TRIES) == {Unauthorized: LIMIT, TooManyAttemptsError: TRIES - LIMIT}


def test_all_who_are_right_at_once_get_in(at_once):
    assert at_once([PASSWORD] * TRIES) == {type(None): TRIES}


def test_a_right_guess_that_ends_after_the_limit_is_told_nothing(workers, monkeypatch):
    reached, check = Event(), passwords.check_password_hash

    def slow_where_right(stored, password):
        return (password != PASSWORD or reached.wait(20)) and check(stored, password)

    monkeypatch.setattr(passwords, "check_password_hash", slow_where_right)
    with ThreadPoolExecutor(1) as pool:
        right = pool.submit(workers[1].check_password, "jo", PASSWORD, ADDRESS)
        for _ in range(LIMIT):
            with pytest.raises(Unauthorized):
                workers[0].check_password("jo", "wrong", ADDRESS)
        reached.set()
        assert isinstance(right.exception(20), TooManyAttemptsError)


def test_a_success_forgets_no_failures_of_others(at_once, workers):
    at_once(["wrong"] * LIMIT)
    for name, address in (("sam", ADDRESS), ("jo", "192.0.2.2")):
        assert workers[0].check_password(name, PASSWORD, address).name == name
    with pytest.raises(TooManyAttemptsError):
        workers[1].check_password("jo", PASSWORD, ADDRESS)
    workers[0].throttle.per_address = LIMIT + 1
    for expected in (Unauthorized, TooManyAttemptsError):  # the address keeps its failures with all names
        with pytest.raises(expected):
            workers[0].check_password("nobody", "wrong", ADDRESS)


@pytest.mark.parametrize("remember", [60, 0])
def test_what_was_right_lately_is_not_held_up_by_who_guesses(workers, tmp_path, clock, remember):
    client = create_app(tmp_path / "instance", {"CREDENTIAL_CACHE_SECONDS": remember}, clock).test_client()
    assert client.get("/api/login", auth=("jo", PASSWORD)).status_code == 200
    statuses = [client.get("/api/login", auth=("jo", "wrong")).status_code for _ in range(LIMIT + 1)]
    assert statuses == [401] * LIMIT + [429]
    for name, status in (("jo", 200), ("sam", 200)):
        assert client.get("/api/login", auth=(name, PASSWORD)).status_code == status
    assert client.post("/login", data={"name": "jo", "password": PASSWORD}).status_code == 302
    assert client.get("/api/login", auth=("jo", "wrong")).status_code == 401  # and a success resets the count


def test_no_more_hash_at_once_than_leave_threads_to_others(workers, monkeypatch):
    lock, running, most = threading.Lock(), [0], [0]

    def slow(*args):
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.01)
        with lock:
            running[0] -= 1
        return True

    monkeypatch.setattr(passwords, "check_password_hash", slow)
    in_threads(TRIES, lambda: workers[0].check_password("jo", PASSWORD, ADDRESS))
    assert most == [2]
