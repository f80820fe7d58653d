"""Slowing down those who guess passwords; test_guessing_at_once.py has what comes at the same time."""

from pathlib import Path

import pytest
from accesskit import basic
from conftest import PASSWORD
from problems import assert_problem

from deploymetrics import create_app
from deploymetrics.accounts.expiry import Sweeper
from deploymetrics.accounts.service import Role
from deploymetrics.errors import StorageFullError


def guess(client, name="master-operator", password="wrong", address="127.0.0.1"):
    """The answer to one try."""
    return client.get("/api/login", auth=(name, password), environ_overrides={"REMOTE_ADDR": address})


def assert_throttled(answer, seconds):
    assert_problem(answer, 429, "too-many-attempts")
    assert answer.headers["Retry-After"] == str(seconds)


def test_guessing_is_slowed_on_every_worker(workers, master, clock):
    for number in range(5):
        assert_problem(guess(workers[number % 2]), 401)
    for delay in (1, 2, 4, 8):
        for worker in workers:
            assert_throttled(guess(worker), delay)
            assert_throttled(guess(worker, password=PASSWORD), delay)
        clock.forward(seconds=delay)
        assert_problem(guess(workers[0]), 401)
    page = workers[1].post("/login", data={"name": "master-operator", "password": PASSWORD})
    assert (page.status_code, page.headers["Retry-After"]) == (429, "16")
    clock.forward(seconds=16)
    assert guess(workers[1], password=PASSWORD).status_code == 200
    for _ in range(5):
        assert_problem(guess(workers[0]), 401)
    assert_throttled(guess(workers[1]), 1)


@pytest.mark.parametrize("is_swept", [True, False])
def test_guesses_are_forgotten(nobody, master, clock, monkeypatch, is_swept):
    if not is_swept:
        monkeypatch.setattr(Sweeper, "sweep", lambda self: None)
    for _ in range(5):
        guess(nobody)
    assert_throttled(guess(nobody), 1)
    clock.forward(seconds=901)
    assert [guess(nobody).status_code for _ in range(6)] == [401] * 5 + [429]


def test_a_success_resets_the_count(nobody, master):
    for _ in range(3):
        assert [guess(nobody).status_code for _ in range(4)] == [401] * 4
        right = {"name": "master-operator", "password": PASSWORD}
        assert nobody.post("/login", data=right).status_code == 302


def without_id(answer):
    """Status, body and headers, but for the id of the request."""
    id = answer.headers.pop("X-Request-ID")
    return answer.status_code, answer.data.replace(id.encode(), b""), sorted(answer.headers)


def test_an_unknown_name_looks_like_a_wrong_password(nobody, master, services, hashes):
    services.accounts.add("off", Role.OPERATOR, PASSWORD)
    services.accounts.disable("off")
    seen = []
    for name, password in (("master-operator", "wrong"), ("unknown", "wrong"), ("off", PASSWORD), ("x" * 65, "wrong")):
        hashes.clear()
        answers = [guess(nobody, name, password) for _ in range(7)]
        seen.append([without_id(answer) for answer in answers] + [len(hashes)])
    assert seen == [seen[0]] * 4 and seen[0][-1] == 5


def test_one_address_cannot_guess_at_many_accounts(tmp_path, nobody, clock):
    client = create_app(tmp_path / "instance", {"GUESSES_PER_ADDRESS": 6}, clock).test_client()
    for number in range(6):
        assert_problem(guess(client, f"name-{number}"), 401)
    assert_throttled(guess(client, "another"), 1)
    elsewhere = {"REMOTE_ADDR": "192.0.2.1"}
    assert_problem(client.get("/api/login", auth=("another", "wrong"), environ_overrides=elsewhere), 401)


def test_an_account_is_not_guessed_at_from_everywhere(nobody, master):
    seen = [guess(nobody, address=f"2001:db8:0:{number:x}::1").status_code for number in range(12)]
    assert seen == [401] * 10 + [429] * 2
    assert guess(nobody, "another").status_code == 401


def test_an_owner_is_not_locked_out_where_the_password_was_right_lately(workers, master, clock):
    assert guess(workers[0], password=PASSWORD, address="192.0.2.1").status_code == 200
    clock.forward(days=20)
    for number in range(11):
        guess(workers[0], address=f"198.51.100.{number}")
    assert guess(workers[1], password=PASSWORD, address="192.0.2.2").status_code == 429
    assert guess(workers[1], password=PASSWORD, address="192.0.2.1").status_code == 200


@pytest.mark.parametrize("credential", ["Bearer old-secret", basic("webui-app", "old-secret"), basic("olga", "old")])
def test_a_program_with_an_old_credential_makes_nobody_else_wait(tmp_path, master, webui, services, clock, credential):
    services.accounts.add("olga", Role.OPERATOR, PASSWORD)
    client = create_app(tmp_path / "instance", {"GUESSES_PER_ADDRESS": 6}, clock).test_client()
    statuses = []
    for _ in range(30):
        clock.forward(seconds=100)
        statuses.append(client.get("/api/login", headers={"Authorization": credential}).status_code)
        services.authenticator.throttle.check("somebody else", "127.0.0.1")
    assert set(statuses) == {401, 429} and statuses.count(401) > 6
    assert guess(client, password=PASSWORD).status_code == 200
    assert client.get("/api/login", headers={"Authorization": f"Bearer {PASSWORD}"}).status_code == 200
    assert_problem(client.get("/api/login", headers={"Authorization": "Bearer another"}), 401)


def test_wrong_secrets_are_slowed_down(nobody, webui):
    wrong = {"headers": {"Authorization": "Bearer wrong"}}
    assert [nobody.get("/api/login", **wrong).status_code for _ in range(6)] == [401] * 5 + [429]


SPELLINGS = [
    [f"192.0.2.1:{40_000 + number}" for number in range(6)],
    ["192.0.2.1", "::ffff:192.0.2.1", "[::ffff:192.0.2.1]:80", "::FFFF:c000:201", "192.0.2.1:9", "192.0.2.1%eth0"],
    [f"[2001:db8::{number}]:40001" for number in range(6)],
    [f"unknown{number}" for number in range(6)],
]


@pytest.mark.parametrize("addresses", SPELLINGS)
def test_one_client_is_one_address_however_it_is_written(nobody, master, addresses):
    assert [guess(nobody, address=address).status_code for address in addresses] == [401] * 5 + [429]


def test_ipv4_clients_of_an_ipv6_socket_are_many(tmp_path, nobody, clock):
    client = create_app(tmp_path / "instance", {"GUESSES_PER_ADDRESS": 6}, clock).test_client()
    for number in range(7):
        guess(client, f"name-{number}", address="::ffff:127.0.0.2")
    assert guess(client, address="::ffff:127.0.0.2").status_code == 429
    assert guess(client, address="::ffff:127.0.0.1").status_code == 401


def test_neighbours_in_one_ipv6_network_count_as_one(nobody, master):
    answers = [
        nobody.get("/api/login", auth=("jo", "x"), environ_overrides={"REMOTE_ADDR": f"2001:db8::{number}"})
        for number in range(6)
    ]
    assert_throttled(answers[5], 1)


def test_a_storage_that_takes_nothing_slows_guessing_all_the_same(app, master, monkeypatch):
    def full(*args):
        raise StorageFullError()

    monkeypatch.setattr(app.extensions["deploymetrics"].store, "write", full)
    statuses = [master.get("/api/login", auth=("master-operator", f"wrong {n}")).status_code for n in range(7)]
    assert statuses[:5] == [401] * 5 and statuses[-1] == 429


def test_nobody_is_told_that_a_password_is_wrong_where_the_accounts_cannot_be_read(app, master, services):
    for file in Path(app.instance_path, "data", "accounts", "accounts").iterdir():
        file.write_bytes(b"{\n")
    for name in ("master-operator", "nobody"):
        assert_problem(master.get("/api/login", auth=(name, "x" * 9)), 503, "damaged-item")
    assert services.accounts.exist()  # so a start does not make the first account again


def test_a_success_under_a_clock_that_was_ahead_is_not_one_of_lately(workers, master, clock):
    clock.forward(days=4000)
    assert guess(workers[0], password=PASSWORD, address="192.0.2.1").status_code == 200
    clock.forward(days=-4000)
    for number in range(11):
        guess(workers[0], address=f"198.51.100.{number}")
    assert guess(workers[1], password=PASSWORD, address="192.0.2.1").status_code == 429


def test_what_a_clock_noted_that_is_a_little_ahead_counts(workers, master, clock):
    assert guess(workers[0], password=PASSWORD, address="192.0.2.1").status_code == 200
    for number in range(11):
        guess(workers[0], address=f"198.51.100.{number}")
    clock.forward(seconds=-1)
    assert guess(workers[1], password=PASSWORD, address="192.0.2.1").status_code == 200


def test_the_longest_wait_of_a_clock_that_is_a_little_ahead_counts(workers, master, clock):
    for _ in range(15):
        clock.forward(seconds=899)
        assert guess(workers[0], name="somebody").status_code == 401
    clock.forward(seconds=-1)
    assert_throttled(guess(workers[1], name="somebody"), 901)


@pytest.mark.parametrize("back", [-4000, 0])
def test_failures_under_a_clock_that_was_ahead_do_not_count(workers, master, clock, back):
    clock.forward(days=4000)
    for _ in range(9):
        guess(workers[0], name="somebody")
        clock.forward(seconds=60)
    clock.forward(days=back)
    answers = [guess(workers[1], name="somebody").status_code for _ in range(2)]
    assert answers == ([401, 401] if back else [401, 429])


def test_a_wait_from_a_clock_that_was_ahead_is_not_kept(app, master, clock):
    clock.forward(days=4000)
    for number in range(7):
        master.get("/api/login", auth=("master-operator", f"wrong {number}"))
    clock.forward(days=-4000)
    assert master.get("/api/login").status_code == 200
