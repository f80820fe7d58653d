"""What a worker remembers of a credential: how long, and of which account."""

import subprocess
import sys
import threading

import pytest
from accesskit import LIST, basic
from conftest import PASSWORD
from storekit import in_threads

from deploymetrics.accounts import authentication, passwords
from deploymetrics.accounts.service import Role

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
    return lambda: services.credentials.account_of(HEADER, None, ADDRESS)


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
    passwords._hash_of_nobody.cache_clear()
    made = []
    make = passwords.generate_password_hash
    monkeypatch.setattr(passwords, "generate_password_hash", lambda text: made.append(text) or make(text))
    assert not passwords.password_matches(None, "x") and not passwords.password_matches(None, "y")
    assert len(made) == 1
