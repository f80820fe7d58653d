"""Sign-on by a reverse proxy: the header that it sets, and all that is no such header."""

import pytest
from accesskit import LIST, URL, basic
from conftest import PASSWORD
from problems import assert_problem

from deploymetrics import create_app
from deploymetrics.accounts.service import Role
from deploymetrics.errors import SettingError

SETTINGS = {"REMOTE_USER_HEADER": "X-Remote-User", "PROXIES": 1}


@pytest.fixture
def app_settings():
    """What the application here is set to."""
    return SETTINGS


def says(name):
    """The headers of a request whose proxy says that it is somebody."""
    return {"headers": {"X-Remote-User": name}}


@pytest.fixture
def people(services):
    """Accounts of all kinds."""
    services.accounts.add("alice", Role.MASTER_OPERATOR, PASSWORD)
    services.accounts.add("jürgen", Role.OPERATOR, PASSWORD)
    services.accounts.add("gone", Role.MASTER_OPERATOR, PASSWORD)
    services.accounts.disable("gone")
    services.accounts.add("reports", Role.WEBUI_APP, PASSWORD)


def test_who_is_signed_on_has_the_role_of_the_account(people, nobody):
    assert nobody.get(LIST, **says("alice")).status_code == 200
    assert nobody.post(URL, data="1", **says("alice")).status_code == 200
    assert "alice" in nobody.get("/", **says("alice")).text
    assert_problem(nobody.get(LIST, **says("jürgen".encode().decode("latin-1"))), 403, "role-required")
    assert nobody.get("/api/login", **says("alice")).headers["SessionToken"]
    assert nobody.post("/api/token?name=x", **says("alice")).status_code == 200


@pytest.mark.parametrize("name", ["nobody", "gone", "reports", "ALICE", "alice,alice", "alice, gone", "\xff", "a:b"])
def test_whoever_has_no_account_here_is_refused(people, nobody, name):
    assert_problem(nobody.get(LIST, **says(name)), 403, "no-account")
    answer = nobody.get("/", **says(name))
    assert answer.status_code == 403 and "no enabled account" in answer.text


def test_nobody_is_signed_on_by_an_empty_header(people, nobody):
    assert_problem(nobody.get(LIST, **says("")), 401, "unauthorized")


def test_a_change_of_the_account_holds_at_once(people, nobody, services):
    services.accounts.set_role("jürgen", Role.MASTER_OPERATOR)
    services.accounts.disable("alice")
    assert_problem(nobody.get(LIST, **says("alice")), 403, "no-account")


def test_local_accounts_go_on_working(people, nobody, app):
    for headers, status in (
        ({"Authorization": basic("jürgen", PASSWORD)}, 403),
        ({"Authorization": basic("jürgen", "wrong")}, 401),
        ({"SessionToken": "x"}, 401),
    ):
        assert nobody.get(LIST, headers=headers).status_code == status
        assert nobody.get(LIST, headers={**headers, "X-Remote-User": "alice"}).status_code == status
    client = app.test_client()
    assert client.post("/login", data={"name": "alice", "password": PASSWORD}).status_code == 302
    assert client.get(LIST).status_code == 200


def test_the_header_goes_before_the_login_cookie(people, app):
    client = app.test_client()
    client.post("/login", data={"name": "alice", "password": PASSWORD})
    assert_problem(client.get(LIST, **says("jürgen".encode().decode("latin-1"))), 403, "role-required")
    assert_problem(client.get(LIST, **says("nobody")), 403, "no-account")


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}])
def test_another_site_cannot_write_with_it(people, nobody, headers):
    answer = nobody.post(URL, data="1", headers={"X-Remote-User": "alice", **headers})
    assert_problem(answer, 403, "cross-site")


@pytest.mark.parametrize("others", [{"REMOTE_USER_HEADER": ""}, {}])
def test_without_the_setting_the_header_is_nothing(people, app, others):
    other = create_app(app.instance_path, {"PROXIES": 1, **others})
    assert_problem(other.test_client().get(LIST, **says("alice")), 401, "unauthorized")


def test_the_setting_needs_a_proxy(tmp_path):
    with pytest.raises(SettingError, match="REMOTE_USER_HEADER needs PROXIES"):
        create_app(tmp_path / "other", {"REMOTE_USER_HEADER": "X-Remote-User"})
