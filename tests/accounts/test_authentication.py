"""Every kind of credential, right and wrong: Basic, bearer secrets, session tokens, and the login cookie."""

import base64

import pytest
from accesskit import LIST, URL, basic, token_of
from conftest import PASSWORD
from problems import assert_problem

from deploymetrics.accounts.service import Role


@pytest.fixture
def jo(services):
    """A master operator whose name and password are not ASCII."""
    services.accounts.add("jö", Role.MASTER_OPERATOR, "pässwörd:£")
    return "jö", "pässwörd:£"


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
@pytest.mark.parametrize("scheme", ["Basic", "basic", "BASIC"])
def test_basic_in_both_encodings(nobody, jo, encoding, scheme):
    header = basic(*jo, encoding).replace("Basic", scheme)
    assert nobody.get(LIST, headers={"Authorization": header}).status_code == 200


def test_an_accent_typed_in_two_characters(nobody, jo):
    header = basic("jo\u0308", "pa\u0308sswo\u0308rd:£")
    assert nobody.get(LIST, headers={"Authorization": header}).status_code == 200


BROKEN = [
    "",
    " ",
    "Basic",
    "Basic ",
    "Basic !!!",
    "Basic YQ",
    "Basic YQ==",
    "Basic " + base64.b64encode(b"master-operator").decode(),
    basic("master-operator", "wrong"),
    basic("master-operator", ""),
    basic("", ""),
    basic("", PASSWORD),
    basic("nobody", PASSWORD),
    basic("MASTER-OPERATOR", PASSWORD),
    basic("master-operator ", PASSWORD),
    basic("master-operator", PASSWORD + "\0"),
    basic("x" * 65, PASSWORD),
    basic("../accounts/master-operator", PASSWORD),
    basic("\0", "\0"),
    basic("master\ud800".encode("utf-16", "surrogatepass").decode("latin-1"), "x"),
    "Bearer",
    "Bearer ",
    "Bearer wrong",
    "Bearer " + PASSWORD,
    "Bearer é\xff",
    "Digest username=master-operator",
    "Negotiate YQ==",
    "nonsense",
    basic("master-operator", PASSWORD)[6:],
    f"{basic('master-operator', PASSWORD)},{basic('master-operator', PASSWORD)}",
    "Basic " + "A" * 4000,
]


@pytest.mark.parametrize("header", BROKEN)
def test_a_broken_credential_is_401(nobody, master, header):
    assert master.get(LIST).status_code == 200
    headers = {"Authorization": header}
    for form in ("json", "xml"):
        assert_problem(nobody.get(LIST, headers=headers, query_string={"output": form}), 401, "unauthorized", form)
    assert_problem(nobody.post(URL, headers=headers, data="1"), 401, "unauthorized")
    assert master.get(LIST).data == b"[]"


def test_a_webui_secret_is_password_and_bearer_token(nobody, webui, master, services):
    for header in (basic("webui-app", PASSWORD), f"Bearer {PASSWORD}", f"bearer {PASSWORD}"):
        assert nobody.post(URL, headers={"Authorization": header}, data="1").status_code == 200
    services.accounts.disable("webui-app")
    for header in (basic("webui-app", PASSWORD), f"Bearer {PASSWORD}"):
        assert_problem(nobody.post(URL, headers={"Authorization": header}, data="1"), 401, "unauthorized")


def test_a_session_token_lives_by_use(nobody, master, clock):
    headers = {"SessionToken": token_of(master)}
    for _ in range(5):
        clock.forward(seconds=299)
        assert nobody.get(LIST, headers=headers).status_code == 200
    assert nobody.get("/api/login", headers=headers).headers["SessionToken"] == headers["SessionToken"]
    clock.forward(seconds=301)
    assert_problem(nobody.get(LIST, headers=headers), 401, "unauthorized")


@pytest.mark.parametrize("token", ["", "wrong", "x" * 5000, "../../secret_key", "é"])
def test_a_wrong_session_token_is_401(nobody, token):
    assert_problem(nobody.get("/api/login", headers={"SessionToken": token}), 401, "unauthorized")


def test_mixed_headers(nobody, master, operator):
    token, other = token_of(master), token_of(operator)
    good, bad = basic("master-operator", PASSWORD), basic("master-operator", "wrong")
    for authorization, session, status in [
        (good, token, 200),
        (good, "x", 401),
        (good, "", 401),
        (bad, token, 401),
        ("", token, 401),
        (good, other, 401),
        (basic("operator", PASSWORD), token, 401),
    ]:
        answer = nobody.get(LIST, headers={"Authorization": authorization, "SessionToken": session})
        assert answer.status_code == status


# --- The login cookie


def test_the_cookie_works_for_the_api(browser, clock):
    assert browser.get(LIST).status_code == 200
    assert browser.put(URL, data="1").status_code == 200
    clock.forward(hours=9)
    assert_problem(browser.get(LIST), 401, "unauthorized")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": basic("master-operator", "wrong")}, 401),
        ({"Authorization": ""}, 401),
        ({"SessionToken": ""}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"SessionToken": "wrong"}, 401),
        ({"Authorization": "nonsense"}, 401),
        ({"Authorization": basic("operator", PASSWORD)}, 403),
        ({"Authorization": basic("master-operator", PASSWORD)}, 200),
    ],
)
@pytest.mark.parametrize("remembered", [False, True])
def test_a_header_beats_the_cookie(browser, headers, status, remembered):
    if remembered:
        browser.set_cookie("remember_token", "master-operator|00")
    assert browser.get(LIST, headers=headers).status_code == status


def test_made_up_cookies_are_nobody(app):
    client = app.test_client()
    made_up = [("remember_token", "master-operator|00"), ("deploymetrics", "e30.x.y"), ("deploymetrics", "\xff")]
    for name, value in made_up:
        client.set_cookie(name, value)
        assert_problem(client.get(LIST), 401, "unauthorized")
