"""Passwords whose hash cannot be computed, or is none."""

import subprocess
import sys

import pytest
from accesskit import LIST
from conftest import PASSWORD
from problems import assert_problem

from deploymetrics.accounts import passwords, service
from deploymetrics.accounts.passwords import password_matches

METHOD = "pbkdf2:sha256:1"
# Python says ValueError where OpenSSL has no memory, as it does for nonsense.
PROGRAM = """
import resource
from deploymetrics.accounts.passwords import hash_password, password_matches
from deploymetrics.errors import NoMemoryError
method = "scrypt:32768:8:3"
stored = hash_password("right", method)
pages = int(open("/proc/self/statm").read().split()[0])
_, most = resource.getrlimit(resource.RLIMIT_AS)
resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 2**22, most))
for refused in lambda: password_matches(stored, "right", method), lambda: hash_password("other", method):
    try:
        print(refused())
    except NoMemoryError:
        print("no memory")
resource.setrlimit(resource.RLIMIT_AS, (most, most))
print(password_matches(stored, "right", method))
"""


@pytest.fixture
def no_memory(monkeypatch):
    """OpenSSL has no memory for a hash until this is called."""

    def fail(*args):
        raise ValueError("[digital envelope routines] malloc failure")

    monkeypatch.setattr(passwords, "check_password_hash", fail)
    monkeypatch.setattr(passwords, "generate_password_hash", fail)
    return monkeypatch.undo


def test_a_password_is_not_wrong_because_there_is_no_memory_for_its_hash():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split("\n")[:3] == ["no memory", "no memory", "True"]


def test_who_is_right_is_not_taken_for_one_who_guesses_while_there_is_no_memory(nobody, master, no_memory):
    for _ in range(20):
        answer = nobody.get(LIST, auth=("master-operator", PASSWORD))
        assert_problem(answer, 503, "no-memory")
        assert answer.headers["Retry-After"]
    no_memory()
    assert nobody.get(LIST, auth=("master-operator", PASSWORD)).status_code == 200


def test_a_login_does_not_fail_where_there_is_no_memory_for_a_new_hash(services, master, monkeypatch):
    def fail(*args):
        raise ValueError("malloc failure")

    monkeypatch.setattr(service, "is_hashed_by", lambda stored, method: False)
    monkeypatch.setattr(passwords, "generate_password_hash", fail)
    assert services.authenticator.check_password("master-operator", PASSWORD, "::1").name == "master-operator"


@pytest.mark.parametrize("stored", ["", "nonsense", "scrypt:1$a$b", "scrypt:8:8$a$b", "md5$a$b", f"{METHOD}$a$"])
def test_what_is_no_hash_matches_nothing(stored):
    assert not password_matches(stored, "", METHOD) and not password_matches(stored, "b", METHOD)
