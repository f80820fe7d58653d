"""Slowing down those who guess passwords; test_guessing_at_once.py has what comes at the same time."""

from pathlib import Path

from conftest import PASSWORD
from problems import assert_problem

from deploymetrics import create_app
from deploymetrics.accounts.service import Role
from deploymetrics.errors import StorageFull


def guess(client, name="master-operator", password="wrong"):
    """The answer to one try."""
    return client.get("/api/login", auth=(name, password))


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


def test_guesses_are_forgotten(nobody, master, clock):
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


def test_an_unknown_name_looks_like_a_wrong_password(nobody, master, services, hashes):
    services.accounts.add("off", Role.OPERATOR, PASSWORD)
    services.accounts.disable("off")
    seen = []
    for name, password in (("master-operator", "wrong"), ("unknown", "wrong"), ("off", PASSWORD), ("x" * 65, "wrong")):
        hashes.clear()
        answers = [guess(nobody, name, password) for _ in range(7)]
        seen.append([(answer.status_code, answer.data, sorted(answer.headers)) for answer in answers] + [len(hashes)])
    assert seen == [seen[0]] * 4 and seen[0][-1] == 5


def test_one_address_cannot_guess_at_many_accounts_or_secrets(tmp_path, nobody, clock):
    client = create_app(tmp_path / "instance", {"GUESSES_PER_ADDRESS": 6}, clock).test_client()
    for number in range(3):
        assert_problem(guess(client, f"name-{number}"), 401)
        assert_problem(client.get("/api/login", headers={"Authorization": f"Bearer {number}"}), 401)
    assert_throttled(guess(client, "another"), 1)
    assert_throttled(client.get("/api/login", headers={"Authorization": "Bearer x"}), 1)
    elsewhere = {"REMOTE_ADDR": "192.0.2.1"}
    assert_problem(client.get("/api/login", auth=("another", "wrong"), environ_overrides=elsewhere), 401)


def test_neighbours_in_one_ipv6_network_count_as_one(nobody, master):
    answers = [
        nobody.get("/api/login", auth=("jo", "x"), environ_overrides={"REMOTE_ADDR": f"2001:db8::{number}"})
        for number in range(6)
    ]
    assert_throttled(answers[5], 1)


def test_a_storage_that_takes_nothing_slows_guessing_all_the_same(app, master, monkeypatch):
    def full(*args):
        raise StorageFull()

    monkeypatch.setattr(app.extensions["deploymetrics"].service.store, "write", full)
    statuses = [master.get("/api/login", auth=("master-operator", f"wrong {n}")).status_code for n in range(7)]
    assert statuses[:5] == [401] * 5 and statuses[-1] == 429


def test_an_account_that_is_damaged_looks_like_one_that_is_not_there(app, master):
    Path(app.instance_path, "accounts", "broken.json").write_bytes(b"{")
    answers = [master.get("/api/login", auth=(name, "x" * 9)) for name in ("broken", "nobody")]
    assert answers[0].data == answers[1].data and answers[0].status_code == 401


def test_a_wait_from_a_clock_that_was_ahead_is_not_kept(app, master, clock):
    clock.forward(days=4000)
    for number in range(7):
        master.get("/api/login", auth=("master-operator", f"wrong {number}"))
    clock.forward(days=-4000)
    assert master.get("/api/login").status_code == 200
