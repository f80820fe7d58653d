"""The end of sessions and of remembered credentials, at once and on every worker."""

import pytest
from accesskit import LIST, basic, token_of
from conftest import PASSWORD

from deploymetrics import create_app
from deploymetrics.accounts.service import Role

ENDINGS = {
    "password": lambda accounts: accounts.set_password("master-operator", "another password"),
    "disabled": lambda accounts: accounts.disable("master-operator"),
    "disabled and enabled": lambda accounts: (accounts.disable("master-operator"), accounts.enable("master-operator")),
    "removed": lambda accounts: accounts.remove("master-operator"),
    "removed and added": lambda accounts: [
        accounts.remove("master-operator"),
        accounts.add("master-operator", Role.MASTER_OPERATOR, PASSWORD),
    ],
}


def cookie_of(browser):
    """The login cookie as a header, to be sent again after it was dropped."""
    return {"Cookie": f"deploymetrics={browser.get_cookie('deploymetrics').value}"}


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_change_of_the_account_ends_its_sessions_at_once(workers, person, master, browser, services, ending):
    person(Role.MASTER_OPERATOR, "who stays")
    sessions = [cookie_of(browser), {"SessionToken": token_of(master)}]
    header = {"Authorization": basic("master-operator", PASSWORD)}
    for worker in workers:
        assert [worker.get(LIST, headers=headers).status_code for headers in (*sessions, header)] == [200] * 3
    ENDINGS[ending](services.accounts)
    for worker in workers:
        assert [worker.get(LIST, headers=headers).status_code for headers in sessions] == [401, 401]
        assert worker.get(LIST, headers=header).status_code == (200 if " and " in ending else 401)


def test_another_role_counts_at_once(workers, person, master, services):
    person(Role.MASTER_OPERATOR, "who stays")
    header = {"Authorization": basic("master-operator", PASSWORD)}
    assert [worker.get(LIST, headers=header).status_code for worker in workers] == [200, 200]
    services.accounts.remove("master-operator")
    services.accounts.add("master-operator", Role.OPERATOR, PASSWORD)
    assert [worker.get(LIST, headers=header).status_code for worker in workers] == [403, 403]


def test_logging_out_ends_the_session_at_once(workers, master, browser):
    cookie, token = cookie_of(browser), {"SessionToken": token_of(master)}
    assert workers[1].post("/logout", headers={**cookie, "Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert workers[0].get(LIST, headers=cookie).status_code == 200
    for headers in (cookie, token):
        assert workers[1].post("/logout", headers=headers).status_code == 302
        assert [worker.get(LIST, headers=headers).status_code for worker in workers] == [401, 401]


def test_a_remembered_credential_is_never_stale(workers, master, services):
    old = PASSWORD
    for number in range(10):
        new = f"password number {number}"
        services.accounts.set_password("master-operator", new)
        for worker in workers:
            answers = [worker.get(LIST, auth=("master-operator", password)) for password in (new, old, new)]
            assert [answer.status_code for answer in answers] == [200, 401, 200]
        old = new


def test_no_password_is_hashed_again_and_again(master, services, hashes):
    assert master.get(LIST).status_code == 200
    hashes.clear()
    for number in range(5):
        services.accounts.add(f"another {number}", Role.OPERATOR, PASSWORD)
        assert master.get(LIST).status_code == 200
    assert hashes == []


def test_without_remembering_each_request_hashes(tmp_path, master, hashes):
    master.client = create_app(tmp_path / "instance", {"CREDENTIAL_CACHE_SECONDS": 0}).test_client()
    for _ in range(3):
        assert master.get(LIST).status_code == 200
    assert len(hashes) == 3
