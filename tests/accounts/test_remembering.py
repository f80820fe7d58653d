"""What a worker remembers of a credential: how long, and of which account."""

import subprocess
import sys
import threading

import pytest
from accesskit import LIST, basic, token_of
from conftest import PASSWORD
from storekit import in_threads
from werkzeug.security import generate_password_hash

from deploymetrics.accounts import authentication, passwords, service
from deploymetrics.accounts.service import Role
from deploymetrics.errors import StorageFullError

ADDRESS = "192.0.2.1"
HEADER = basic("master-operator", PASSWORD)


@pytest.fixture
def seconds(monkeypatch):
    """The time that the memory goes by, to be set."""
    now = [1000.0]
    monkeypatch.setattr(authentication.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def ask(services, master):
    """Ask who sends the master operator's header."""
    return lambda: services.authenticator.account_of(HEADER, None, ADDRESS)


def test_each_use_renews_what_is_remembered(ask, seconds, hashes):
    for _ in range(5):
        assert ask().name == "master-operator"
        seconds[0] += 59
    assert len(hashes) == 1
    seconds[0] += 2
    ask()
    assert len(hashes) == 2


def test_one_thread_hashes_again_what_has_expired(ask, seconds, hashes):
    ask()
    seconds[0] += 61
    together = threading.Barrier(8, timeout=20)
    in_threads(8, lambda: together.wait() is None or ask())
    assert len(hashes) == 2


def test_what_is_remembered_is_the_account_after_the_check(services, person, ask, monkeypatch, master):
    person(Role.MASTER_OPERATOR, "who stays")
    accounts, check = services.accounts, authentication.password_matches

    def edited_meanwhile(*args):
        monkeypatch.setattr(authentication, "password_matches", check)
        accounts.remove("master-operator")
        accounts.add("master-operator", Role.OPERATOR, PASSWORD)
        return check(*args)

    monkeypatch.setattr(authentication, "password_matches", edited_meanwhile)
    assert [ask().role, ask().role] == [Role.OPERATOR] * 2
    assert master.get(LIST).status_code == 403


def test_an_import_computes_no_hash():
    program = "import hashlib; hashlib.scrypt = None; import deploymetrics"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_the_hash_for_nobody_is_computed_once(monkeypatch):
    passwords._dummy_hash.cache_clear()
    made = []
    make = passwords.generate_password_hash
    monkeypatch.setattr(passwords, "generate_password_hash", lambda *args: made.append(args) or make(*args))
    assert not any(passwords.password_matches("", password, "scrypt:32768:8:3") for password in "xy")
    assert len(made) == 1


def test_a_password_is_hashed_anew_where_the_method_changed(services, master, webui, monkeypatch):
    monkeypatch.setattr(service, "is_hashed_by", passwords.is_hashed_by)
    monkeypatch.setattr(passwords, "generate_password_hash", generate_password_hash)
    before, token = services.accounts.find("master-operator"), token_of(master)
    services.accounts.password_hash = "scrypt:1024:8:1"
    assert master.post("/login", data={"name": "master-operator", "password": PASSWORD}).status_code == 302
    record = services.accounts.find("master-operator")
    assert record.password.startswith("scrypt:1024:8:1$") and record.epoch == before.epoch
    assert services.authenticator.check_password("master-operator", PASSWORD, ADDRESS).record == record
    assert master.get(LIST, auth=None, headers={"SessionToken": token}).status_code == 200
    app = services.accounts.find("webui-app")
    assert webui.get("/api/login").status_code == 200 and services.accounts.find("webui-app") == app


CHANGES = {
    "password": (lambda accounts: accounts.set_password("master-operator", "the new password"), "the new password"),
    "disabled": (lambda accounts: accounts.disable("master-operator"), None),
    "removed": (lambda accounts: accounts.remove("master-operator"), None),
}


@pytest.mark.parametrize(("change", "password"), CHANGES.values(), ids=CHANGES)
def test_an_account_that_changes_while_its_password_is_hashed_anew(
    services, master, person, monkeypatch, change, password
):
    """The new password stays, and the old one is none any more: not now, and not remembered either."""
    person(Role.MASTER_OPERATOR, "who stays")
    make = passwords.generate_password_hash

    def changed_meanwhile(*args):
        monkeypatch.setattr(passwords, "generate_password_hash", make)
        change(services.accounts)
        return make(*args)

    monkeypatch.setattr(service, "is_hashed_by", lambda stored, method: False)
    monkeypatch.setattr(passwords, "generate_password_hash", changed_meanwhile)
    assert [master.get(LIST).status_code for _ in range(3)] == [401] * 3
    assert password is None or services.authenticator.check_password("master-operator", password, ADDRESS)


def test_a_login_does_not_fail_where_a_new_hash_cannot_be_stored(services, master, monkeypatch):
    def fail(*args, **kwargs):
        raise StorageFullError()

    monkeypatch.setattr(service, "is_hashed_by", passwords.is_hashed_by)
    monkeypatch.setattr(services.accounts.store, "write", fail)
    assert services.authenticator.check_password("master-operator", PASSWORD, ADDRESS).name == "master-operator"
