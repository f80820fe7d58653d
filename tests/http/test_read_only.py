"""READ_ONLY: changes are refused in a sentence, and everything else goes on."""

import pytest
from accesskit import URL, basic
from problems import assert_problem

from deploymetrics.accounts.service import Role

PASSWORD = "correct horse battery"
pytestmark = pytest.mark.parametrize("app_settings", [{"READ_ONLY": True}])


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", URL),
        ("PUT", URL),
        ("DELETE", URL),
        ("PUT", "/api/expectations/custom"),
        ("DELETE", "/api/expectations/custom"),
    ],
)
def test_a_change_is_refused(master, services, save, caplog, method, path):
    save("custom", b"[1]")
    answer = master.open(path, method=method, data="[2]")
    assert caplog.messages == []  # nothing is wrong: a person chose it
    assert_problem(answer, 503, "read-only")
    assert "READ_ONLY" in answer.get_json()["detail"] and answer.headers["Retry-After"] == "60"
    assert master.get(URL).get_json()["metrics"] == [1]


def test_who_may_not_is_told_that_first(operator, nobody):
    assert_problem(operator.post(URL, data="1"), 403, "role-required")
    assert_problem(nobody.post(URL, data="1"), 401, "unauthorized")


def test_logins_go_on(app, master, nobody):
    token = master.get("/api/login").headers["SessionToken"]
    assert nobody.get("/api/help", headers={"SessionToken": token}).status_code == 200
    client = app.test_client()
    assert client.post("/login", data={"name": master.name, "password": PASSWORD}).status_code == 302
    assert client.get("/").status_code == 200
    page = client.post("/accounts", data={"name": "bob", "role": Role.OPERATOR})
    assert page.status_code == 503 and "takes no changes" in page.text
    assert client.post("/logout").status_code == 302
    assert_problem(nobody.get("/api/help", headers={"Authorization": basic("x", "y")}), 401)
