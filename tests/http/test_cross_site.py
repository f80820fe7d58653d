"""What another site can do with what a browser sends by itself, and which origins may read answers (CORS)."""

import pytest
from accesskit import LIST, URL, basic, token_of
from conftest import PASSWORD
from problems import assert_problem

from deploymetrics.accounts.service import Role
from deploymetrics.accounts.token_secrets import generate_secret

SITES = [
    ({}, False),
    ({"Sec-Fetch-Site": "same-origin"}, False),
    ({"Sec-Fetch-Site": "none"}, False),
    ({"Origin": "http://localhost"}, False),
    ({"Sec-Fetch-Site": "cross-site"}, True),
    ({"Sec-Fetch-Site": "same-site"}, True),
    ({"Sec-Fetch-Site": ""}, True),
    ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, True),
    ({"Sec-Fetch-Site": "same-site", "Origin": "http://localhost"}, True),
    ({"Origin": "http://evil.example"}, True),
    ({"Origin": "null"}, True),
    ({"Origin": "https://localhost"}, True),
    ({"Origin": "http://localhost:8080"}, True),
    ({"Origin": ""}, True),
    ({"Origin": "http://localhost.evil.example"}, True),
    ({"Origin": "http://["}, True),
]
CROSS = {"Sec-Fetch-Site": "cross-site"}
LINK = {**CROSS, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


@pytest.mark.parametrize("credential", ["cookie", "basic", "both"])
@pytest.mark.parametrize(("headers", "foreign"), SITES)
def test_no_write_of_another_site_rests_on_what_a_browser_sends(browser, nobody, headers, foreign, credential):
    """A browser remembers the name and password that a person typed, and sends them with any site's form."""
    client = nobody if credential == "basic" else browser
    own = {} if credential == "cookie" else {"Authorization": basic("master-operator", PASSWORD)}
    for method, status in (("post", 200), ("put", 200), ("delete", 204)):
        body = {} if method == "delete" else {"data": "1"}
        answer = getattr(client, method)(URL, headers={**headers, **own}, **body)
        if foreign:
            assert_problem(answer, 403, "cross-site")
        else:
            assert answer.status_code == status
    assert browser.get(LIST).data == b"[]"


@pytest.mark.parametrize(("headers", "foreign"), SITES)
def test_what_no_browser_sends_by_itself_comes_from_anywhere(services, nobody, master, headers, foreign):
    """A browser lets no other site's script send these headers, so who sends them is a program."""
    secret = generate_secret()
    services.accounts.add("app", Role.WEBUI_APP, secret)
    for credential in ({"SessionToken": token_of(master)}, {"Authorization": f"Bearer {secret}"}):
        assert nobody.post(URL, headers={**headers, **credential}, data="1").status_code == 200


@pytest.mark.parametrize(
    "how", [{}, {"Sec-Fetch-Dest": "image"}, {"Sec-Fetch-Dest": "iframe", "Sec-Fetch-Mode": "navigate"}]
)
def test_reading_from_another_site_is_for_who_follows_a_link(browser, nobody, how):
    """An address of the API that stands in a chat opens; as an image or in a frame it loads nothing."""
    for client, own in ((browser, {}), (nobody, {"Authorization": basic("master-operator", PASSWORD)})):
        for method in ("get", "head"):
            assert getattr(client, method)(LIST, headers={**LINK, **own}).status_code == 200
        assert_problem(client.get(LIST, headers={**CROSS, **how, **own}), 403, "cross-site")


# --- CORS

OTHER = "https://dashboard.example"
ALLOWED = pytest.mark.parametrize("app_settings", [{"CORS_ORIGINS": [OTHER]}])
ASKS = {"Origin": OTHER, "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "authorization"}
EVIL = ["https://evil.example", "null", "http://dashboard.example", f"{OTHER}:8443", f"{OTHER}.evil.example", "*", ""]


def cors_of(answer):
    """The headers of CORS."""
    return {name for name, _ in answer.headers if name.startswith("Access-Control-")}


def test_no_origin_is_allowed_unless_a_setting_says_so(master, nobody):
    assert_problem(nobody.options(URL, headers=ASKS), 401, "unauthorized")
    for answer in (master.get(LIST, headers={"Origin": OTHER}), master.options(URL, headers=ASKS)):
        assert answer.status_code == 200 and cors_of(answer) == set()
        assert answer.headers.get("Vary") in (None, "Accept")


@ALLOWED
def test_a_preflight_is_answered_to_allowed_origins_only(nobody):
    for url in (URL, LIST, "/api/login", "/api/nothing"):
        answer = nobody.options(url, headers=ASKS)
        assert (answer.status_code, answer.data) == (204, b"")
        assert answer.headers["Access-Control-Allow-Origin"] == OTHER
        assert "PUT" in answer.headers["Access-Control-Allow-Methods"].split(", ")
        assert {"Authorization", "If-Match", "SessionToken"} <= {
            *answer.headers["Access-Control-Allow-Headers"].split(", ")
        }
    for origin in EVIL:
        answer = nobody.options(URL, headers={**ASKS, "Origin": origin})
        assert answer.status_code == 401 and cors_of(answer) == set()
    assert cors_of(nobody.options("/login", headers=ASKS)) == set()  # the pages are for their own site


@ALLOWED
def test_an_allowed_origin_reads_answers_and_errors(master, nobody, browser):
    headers = {"Origin": OTHER, **CROSS}
    answers = (
        master.put(URL, data="1", headers=headers),
        master.get(URL, headers=headers),
        browser.get(URL, headers=headers),
    )
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    for answer in (*answers, nobody.get(URL, headers=headers), master.get(f"{LIST}/none", headers=headers)):
        assert answer.headers["Access-Control-Allow-Origin"] == OTHER
        assert answer.headers["Access-Control-Allow-Credentials"] == "true"
        assert "ETag" in answer.headers["Access-Control-Expose-Headers"]
        assert answer.headers["Vary"].startswith("Accept, Origin")
    assert master.get(URL).headers["Vary"] == "Accept, Origin"
    assert cors_of(master.get("/", headers=headers)) == set()
    assert master.post("/tags/custom/delete", headers=headers).status_code == 403


@ALLOWED
@pytest.mark.parametrize("origin", EVIL)
def test_no_other_origin_does(master, browser, origin):
    for client in (master, browser):
        assert cors_of(client.get(LIST, headers={"Origin": origin})) == set()
        assert_problem(client.put(URL, data="1", headers={"Origin": origin, **CROSS}), 403, "cross-site")
