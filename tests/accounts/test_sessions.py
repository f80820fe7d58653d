"""Sessions: how many there are, what a login costs, and logins while the storage takes nothing."""

import os

import pytest
from accesskit import LIST, token_of
from conftest import PASSWORD

from deploymetrics.accounts import sessions as module
from deploymetrics.accounts.expiry import Sweeper
from deploymetrics.accounts.records import SESSIONS, Account, Role
from deploymetrics.accounts.sessions import MAX_SESSIONS
from deploymetrics.accounts.throttle import FAILURES
from deploymetrics.errors import StorageError, StorageFullError


@pytest.fixture
def account(services, master):
    """The Account of the master operator."""
    return Account(services.accounts.find("master-operator"))


@pytest.fixture(params=[StorageFullError, StorageError])
def disk(request, services, workers, monkeypatch):
    """Let the storage take nothing, or everything again, on every worker."""
    stores = [services.store, *(worker.application.extensions["deploymetrics"].store for worker in workers)]
    writes = [store.write for store in stores]

    def fail(*args, **kwargs):
        raise request.param()

    def switch(*, full):
        for store, write in zip(stores, writes):
            monkeypatch.setattr(store, "write", fail if full else write)

    return switch


def statuses(workers, headers):
    """The status of a request on each worker."""
    return [worker.get(LIST, headers=headers).status_code for worker in workers]


def signed_token(worker):
    """The token of a login while nothing can be stored."""
    token = worker.get("/api/login", auth=("master-operator", PASSWORD)).headers["SessionToken"]
    assert "." in token
    return {"SessionToken": token}


def test_logins_go_on_while_nothing_can_be_stored(workers, master, services, clock, disk):
    disk(full=True)
    headers = signed_token(workers[0])
    assert statuses(workers, headers) == [200, 200]
    clock.forward(seconds=299)
    assert statuses(workers, headers) == [200, 200]
    clock.forward(seconds=1)
    assert statuses(workers, headers) == [401, 401]
    disk(full=False)
    assert "." not in token_of(master)


def test_a_browser_logs_in_and_out_while_nothing_can_be_stored(app, master, workers, disk):
    disk(full=True)
    client = app.test_client()
    assert client.post("/login", data={"name": "master-operator", "password": PASSWORD}).status_code == 302
    assert client.get(LIST).status_code == 200
    cookie = {"Cookie": f"deploymetrics={client.get_cookie('deploymetrics').value}"}
    assert client.post("/logout").status_code == 302
    assert workers[0].get(LIST, headers=cookie).status_code == 401


def test_a_signed_token_ends_with_a_change_of_the_account(workers, master, services, disk):
    disk(full=True)
    headers = signed_token(workers[0])
    disk(full=False)
    assert statuses(workers, headers) == [200, 200]
    services.accounts.set_password("master-operator", "another password")
    assert statuses(workers, headers) == [401, 401]


def test_a_logout_is_stored_as_soon_as_it_can_be(workers, master, clock, disk):
    disk(full=True)
    tokens = [signed_token(workers[0]) for _ in range(2)]
    assert workers[0].post("/logout", headers=tokens[0]).status_code == 302
    assert statuses(workers, tokens[0]) == [401, 200]
    disk(full=False)
    clock.forward(seconds=6)
    assert statuses(workers, tokens[1]) == [200, 200]  # any request has the worker try again
    assert statuses(workers, tokens[0]) == [401, 401]


def test_a_stored_session_ends_as_soon_as_it_can(workers, master, clock, disk):
    headers = {"SessionToken": token_of(master)}
    disk(full=True)
    assert workers[0].post("/logout", headers=headers).status_code == 302
    assert workers[0].get(LIST, headers=headers).status_code == 401
    disk(full=False)
    clock.forward(seconds=6)
    assert statuses(workers, headers) == [401, 401]


@pytest.mark.parametrize(
    "change", [lambda token: token + "x", lambda token: "x" + token, lambda token: token[:-9] + "A" * 9]
)
def test_a_signed_token_cannot_be_changed(workers, master, disk, change):
    disk(full=True)
    token = signed_token(workers[0])["SessionToken"]
    assert statuses(workers, {"SessionToken": change(token)}) == [401, 401]


@pytest.mark.parametrize("lifetime", [300, 3600])
def test_no_session_outlives_the_limit(services, account, clock, lifetime):
    services.sessions.limit = 1000
    token = services.sessions.start(account, lifetime)
    for _ in range(3):
        clock.forward(seconds=299)
        assert services.sessions.resume(token)
    clock.forward(seconds=102)
    assert services.sessions.resume(token)
    clock.forward(seconds=1)
    assert services.sessions.resume(token) is None


@pytest.mark.parametrize(("behind", "is_alive"), [(0.01, True), (59, True), (61, False), (5 * 365 * 86400, False)])
def test_a_session_of_another_clock_lives_where_that_may_just_be_a_little_ahead(
    services, master, clock, behind, is_alive
):
    """Servers beside each other never have the same time to the millisecond, and a clock is put back now and then."""
    account = services.authenticator.check_password("master-operator", PASSWORD, "::1")
    token = services.sessions.start(account, 300)
    clock.forward(seconds=-behind)
    found = services.sessions.resume(token)
    assert (found is not None) == is_alive
    assert found is None or found.is_proved
    services.sessions.start(account, 300)  # which removes those that are over
    assert (services.sessions.resume(token) is not None) == is_alive


def test_an_account_has_so_many_sessions_and_the_others_end_first(services, account, monkeypatch):
    monkeypatch.setattr(module, "MAX_SESSIONS", 5)
    browser = services.sessions.start(account, 8 * 3600)
    tokens = [services.sessions.start(account, 300) for _ in range(10)]
    assert [services.sessions.resume(token) is not None for token in tokens] == [False] * 6 + [True] * 4
    assert services.sessions.resume(browser) and MAX_SESSIONS == 500


def test_expired_sessions_go_with_the_next_login(services, account, clock):
    for lifetime in [300] * 20 + [3600]:
        services.sessions.start(account, lifetime)
    clock.forward(seconds=301)
    services.sessions.start(account, 300)
    (item,) = services.sessions.store.items(SESSIONS).items
    assert len(services.sessions.store.read(SESSIONS, item.key).record.sessions) == 2


def test_a_session_that_ends_while_it_is_used_stays_so(services, account, clock, monkeypatch):
    token, find = services.sessions.start(account, 300), services.accounts.find
    clock.forward(seconds=60)
    with monkeypatch.context() as patch:
        patch.setattr(services.accounts, "find", lambda name: (services.sessions.end(token), find(name))[1])
        services.sessions.resume(token)
    assert services.sessions.resume(token) is None


def test_each_call_looks_at_a_few_expired_items(services, clock, monkeypatch):
    throttle = services.authenticator.throttle
    for number in range(100):
        throttle.count_wrong_secret("wrong", f"192.0.2.{number}")
    store, looked = throttle.store, []
    clock.forward(days=1)
    read = store.read
    monkeypatch.setattr(store, "read", lambda *args: looked.append(args) or read(*args))
    sweeper = Sweeper(store, clock, FAILURES)
    for call in range(1, 4):
        sweeper.sweep()
        assert len(looked) == 24 * call
        assert len(store.keys(FAILURES)) == 100 - 24 * call
    sweeper.sweep()
    sweeper.sweep()
    assert store.keys(FAILURES) == []


def test_what_cannot_be_swept_holds_up_no_login(services, account, clock, disk):
    services.sessions.start(account, 300)
    clock.forward(days=1)
    disk(full=True)
    services.authenticator.throttle._sweeper.sweep()
    services.sessions._sweeper.sweep()


def test_logins_and_wrong_passwords_sync_nothing(master, nobody, services, monkeypatch):
    def log_in_and_out():
        nobody.get("/api/login", auth=("master-operator", "wrong"))
        token = {"SessionToken": token_of(master)}
        nobody.post("/login", data={"name": "master-operator", "password": PASSWORD})
        assert nobody.post("/logout", headers=token).status_code == 302

    log_in_and_out()
    synced = []
    for name in ("fsync", "fdatasync"):
        monkeypatch.setattr(os, name, lambda fd: synced.append(os.readlink(f"/proc/self/fd/{fd}")))
    log_in_and_out()
    assert synced == []
    services.accounts.add("another", Role.OPERATOR, PASSWORD)
    assert synced
