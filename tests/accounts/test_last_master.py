"""The last enabled master operator cannot be lost, whoever asks and however many at once."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from conftest import PASSWORD

from deploymetrics import create_app
from deploymetrics.accounts.service import Role
from deploymetrics.errors import AccountError

NAMES = ("alice", "bob", "carol")


def enabled(accounts):
    """The names of the enabled master operators."""
    return [record.name for record in accounts.list() if record.enabled and record.role is Role.MASTER_OPERATOR]


def attempt(call):
    """Whether the call went through."""
    try:
        call()
    except AccountError as error:
        assert error.code == "last-master-operator"
        return False
    return True


@pytest.fixture
def workers(tmp_path):
    """The accounts of two applications on the same folder."""
    return [create_app(tmp_path / "instance").extensions["deploymetrics"].accounts for _ in range(2)]


@pytest.mark.parametrize("ending", ["disable", "remove"])
def test_of_all_who_go_at_once_one_stays(workers, ending):
    for name in NAMES:
        workers[0].add(name, Role.MASTER_OPERATOR, PASSWORD)
    with ThreadPoolExecutor(6) as pool:
        for _ in range(8):
            for name in set(NAMES) - set(enabled(workers[0])):
                if workers[0].find(name):
                    workers[0].enable(name)
                else:
                    workers[0].add(name, Role.MASTER_OPERATOR, PASSWORD)
            calls = [partial(getattr(workers[at % 2], ending), name) for at, name in enumerate(NAMES)]
            done = list(pool.map(attempt, calls))
            assert len(enabled(workers[1])) == 3 - sum(done) == 1


def test_others_do_not_count(services):
    accounts = services.accounts
    accounts.add("alice", Role.MASTER_OPERATOR, PASSWORD)
    accounts.add("olga", Role.OPERATOR, PASSWORD)
    accounts.add("off", Role.MASTER_OPERATOR, PASSWORD)
    accounts.disable("off")
    assert not attempt(lambda: accounts.remove("alice"))
    assert not attempt(lambda: accounts.set_role("alice", Role.OPERATOR))
    accounts.set_role("alice", Role.MASTER_OPERATOR)
    accounts.remove("olga")
    accounts.remove("off")
    assert enabled(accounts) == ["alice"]


def test_a_role_is_changed_between_people(services):
    accounts = services.accounts
    for name, role in (("alice", Role.MASTER_OPERATOR), ("olga", Role.OPERATOR), ("app", Role.WEBUI_APP)):
        accounts.add(name, role, PASSWORD)
    before = accounts.find("olga").epoch
    assert accounts.set_role("olga", Role.MASTER_OPERATOR).epoch != before
    assert enabled(accounts) == ["alice", "olga"]
    for name, role in (("olga", Role.WEBUI_APP), ("app", Role.OPERATOR)):
        with pytest.raises(AccountError, match="tokens and no password"):
            accounts.set_role(name, role)
