"""Names of accounts that a person would take for another one."""

import pytest
from conftest import PASSWORD

from deploymetrics.accounts.schemas import AccountName, NewAccount
from deploymetrics.accounts.service import Role
from deploymetrics.errors import AccountError, InvalidFieldsError
from deploymetrics.schemas import load

REFUSED = [
    "collector",
    "Collector",
    "SERVER",
    "ｓｅｒｖｅｒ",
    "command line",
    "command  line",
    "first start",
    "upgrade",
    "-",
    "cóllector",
    "ɕollector",
    "server.",
    "(server)",
    "ad\u200bmin",
    "ad\u00admin",
    "ad\u2060min",
    "admin\ufe0f",
    "admin\U000e0100",
    "ad\u034fmin",
    "a\u00a0b",
    "a\u3000b",
    "\u3164",
    "\u2800",
    "\u202enimda",
    "\u0430dmin",
    "аdmin",
    "aлice",
    "αlice",
    "ѕеrvеr",
    "х\u0445x",
]


@pytest.mark.parametrize("name", REFUSED)
def test_a_name_that_is_refused(name, services):
    with pytest.raises(InvalidFieldsError):
        load(NewAccount(), {"name": name, "role": "operator"})


TAKEN = [
    "admin",
    "server-2",
    "collectors",
    "jörg",
    "müller & söhne",
    "Алиса",
    "Ελένη",
    "田中さん",
    "한국",
    "علي",
    "a.b@c.example",
]


@pytest.mark.parametrize("name", TAKEN)
def test_a_name_that_is_taken(name):
    assert load(NewAccount(), {"name": name, "role": "operator"})["name"] == name


def test_an_account_of_before_can_still_be_named():
    assert load(AccountName(), {"name": "server"})["name"] == "server"


ALIKE = [
    ("alice", "Alice"),
    ("alice", "ＡＬＩＣＥ"),
    ("cop", "сор"),
    ("сор", "COP"),
    ("who stays", "who  stays"),
    ("straße", "STRASSE"),
    ("alice", "alice."),
    ("alice", "_alice_"),
]


@pytest.mark.parametrize(("there", "name"), ALIKE)
def test_two_accounts_that_read_the_same(services, there, name):
    services.accounts.add(there, Role.OPERATOR, PASSWORD)
    with pytest.raises(AccountError, match=there):
        services.accounts.add(name, Role.OPERATOR, PASSWORD)
    for other in ("alicia", "jörg", "jorg", "Кот"):
        services.accounts.add(other, Role.OPERATOR, PASSWORD)
