"""Who may what: every role on every route, every kind of credential, sessions and their end, and guessing."""

import base64
import time
from pathlib import Path

import pytest
from conftest import PASSWORD
from problems import assert_problem

from deploymetrics import accounts, create_app
from deploymetrics.accounts import Role
from deploymetrics.auth import MASTER_OPERATOR_NEEDED
from deploymetrics.errors import StorageFull

LIST = "/api/deploymentmetrics"
URL = "/api/deploymentmetrics/custom"
PEOPLE = ("nobody", "operator", "webui", "master")

MASTER_ONLY = (401, 403, 403, 200)
EVERY_ACCOUNT = (401, 200, 200, 200)
EVERYONE = (200, 200, 200, 200)
# Each route and method with the status for each of PEOPLE. A new route needs its rows here.
ACCESS = {
    ("GET", "/api/deploymentmetrics"): MASTER_ONLY,
    ("GET", "/api/deploymentmetrics/<tag>"): MASTER_ONLY,
    ("POST", "/api/deploymentmetrics/<tag>"): (401, 403, 200, 200),
    ("PUT", "/api/deploymentmetrics/<tag>"): (401, 403, 200, 200),
    ("DELETE", "/api/deploymentmetrics/<tag>"): (401, 403, 403, 204),
    ("GET", "/api/expectations"): MASTER_ONLY,
    ("GET", "/api/expectations/<tag>"): (401, 403, 403, 404),
    ("PUT", "/api/expectations/<tag>"): (401, 403, 403, 400),
    ("DELETE", "/api/expectations/<tag>"): (401, 403, 403, 404),
    ("GET", "/api/login"): EVERY_ACCOUNT,
    ("GET", "/api/help"): EVERY_ACCOUNT,
    ("GET", "/api/help/<resource>"): EVERY_ACCOUNT,
    ("GET", "/api/deploymentmetrics/<tag>/history"): MASTER_ONLY,
    ("GET", "/api/deploymentmetrics/<tag>/history/<version>"): MASTER_ONLY,
    ("GET", "/"): (302, 200, 200, 200),
    ("GET", "/login"): (200, 302, 302, 302),
    ("POST", "/login"): (401, 401, 401, 401),
    ("POST", "/logout"): (302, 302, 302, 302),
    ("GET", "/openapi.json"): EVERYONE,
    ("GET", "/static/<path:filename>"): EVERYONE,
    # Pages send whoever has no account to the login.
    ("GET", "/account"): (302, 200, 200, 200),
    ("POST", "/account"): (401, 400, 400, 400),
    ("GET", "/accounts"): (302, 403, 403, 200),
    ("POST", "/accounts"): (401, 403, 403, 400),
    ("POST", "/accounts/disable"): (401, 403, 403, 409),
    ("POST", "/accounts/enable"): (401, 403, 403, 409),
    ("GET", "/accounts/remove"): (302, 403, 403, 404),
    ("POST", "/accounts/remove"): (401, 403, 403, 409),
    ("POST", "/accounts/secret"): (401, 403, 403, 409),
    ("GET", "/new"): (302, 403, 403, 200),
    ("POST", "/new"): (401, 403, 403, 400),
    ("GET", "/tags/<tag>"): (302, 403, 403, 200),
    ("GET", "/tags/<tag>/compare"): (302, 403, 403, 400),
    ("GET", "/tags/<tag>/delete"): (302, 403, 403, 200),
    ("POST", "/tags/<tag>/delete"): (401, 403, 403, 412),
    ("GET", "/tags/<tag>/edit"): (302, 403, 403, 200),
    ("POST", "/tags/<tag>/edit"): (401, 403, 403, 400),
    ("POST", "/tags/<tag>/expected"): (401, 403, 403, 400),
    ("GET", "/tags/<tag>/history"): (302, 403, 403, 200),
    ("GET", "/tags/<tag>/versions/<version>"): (302, 403, 403, 200),
    ("POST", "/tags/<tag>/versions/<version>/restore"): (401, 403, 403, 412),
}
OPTIONS = {
    "/api/deploymentmetrics": MASTER_ONLY,
    "/api/deploymentmetrics/<tag>": (401, 403, 200, 200),
    "/api/deploymentmetrics/<tag>/history": MASTER_ONLY,
    "/api/deploymentmetrics/<tag>/history/<version>": MASTER_ONLY,
    "/api/expectations": MASTER_ONLY,
    "/api/expectations/<tag>": MASTER_ONLY,
    "/api/login": EVERY_ACCOUNT,
    "/api/help": EVERY_ACCOUNT,
    "/api/help/<resource>": EVERY_ACCOUNT,
}
FILLED = {"<tag>": "custom", "<version>": "1", "<resource>": "deploymentmetrics", "<path:filename>": "BESAPI.xsd"}


def filled(rule):
    """A URL of a rule."""
    for name, value in FILLED.items():
        rule = rule.replace(name, value)
    return rule


def test_the_table_is_complete(app):
    routes = {(method, rule.rule) for rule in app.url_map.iter_rules() for method in rule.methods - {"HEAD", "OPTIONS"}}
    assert routes == set(ACCESS)
    assert {rule for _, rule in routes if rule.startswith("/api")} == set(OPTIONS)


@pytest.mark.parametrize("role", PEOPLE)
def test_every_role_on_every_route(request, parts, role):
    person = request.getfixturevalue(role)
    for (method, rule), statuses in ACCESS.items():
        parts.service.save("custom", b"1", "test")
        for method in [method] if method != "GET" else ["GET", "HEAD"]:
            body = {"data": "2"} if "tag" in rule and method in ("POST", "PUT") else {}
            answer = person.open(filled(rule), method=method, **body)
            answer.close()
            assert answer.status_code == statuses[PEOPLE.index(role)], (method, rule)
            if answer.status_code in (401, 403) and method != "HEAD" and rule.startswith("/api"):
                assert_problem(answer, answer.status_code, "unauthorized" if role == "nobody" else "role-required")


@pytest.mark.parametrize("role", PEOPLE)
def test_options_and_unknown_methods_tell_only_who_may_call_a_route(request, role):
    person = request.getfixturevalue(role)
    for rule, statuses in OPTIONS.items():
        status = statuses[PEOPLE.index(role)]
        assert person.options(filled(rule)).status_code == status
        assert person.patch(filled(rule)).status_code == (405 if status == 200 else status)


@pytest.mark.parametrize("method", ["get", "post", "put", "delete", "options", "patch"])
@pytest.mark.parametrize(
    "url",
    ["/api", "/api/", "/api/webreports", "/api/deploymentmetrics/", "/api/deploymentmetrics/a/b/c", "/api//login",
     "/api/login/"],
)
def test_unknown_urls_of_the_api(nobody, operator, webui, master, url, method):
    assert_problem(getattr(nobody, method)(url), 401, "unauthorized")
    for person in (operator, webui):
        assert_problem(getattr(person, method)(url), 403, "role-required", detail=MASTER_OPERATOR_NEEDED)
    assert_problem(getattr(master, method)(url), 404, "not-found")


def test_the_words_of_a_refusal(operator, webui):
    assert MASTER_OPERATOR_NEEDED == "Action requires master operator privileges."
    for person in (operator, webui):
        for url in (LIST, URL):
            assert_problem(person.get(url), 403, "role-required", detail=MASTER_OPERATOR_NEEDED)
    assert "master-operator, webui-app" in assert_problem(operator.post(URL, data="1"), 403)["detail"]


def test_a_route_that_names_no_role_is_for_master_operators(app, nobody, operator, webui, master):
    app.add_url_rule("/api/later", view_func=lambda: "later")
    people = (nobody, operator, webui, master)
    assert [person.get("/api/later").status_code for person in people] == [401, 403, 403, 200]


# --- Credentials


def basic(name, password, encoding="utf-8"):
    """The value of an Authorization header."""
    return "Basic " + base64.b64encode(f"{name}:{password}".encode(encoding)).decode()


@pytest.fixture
def jo(parts):
    """A master operator whose name and password are not ASCII."""
    parts.accounts.add("jö", Role.MASTER_OPERATOR, "pässwörd:£")
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
    "", " ", "Basic", "Basic ", "Basic !!!", "Basic YQ", "Basic YQ==",
    "Basic " + base64.b64encode(b"master-operator").decode(),
    basic("master-operator", "wrong"), basic("master-operator", ""), basic("", ""), basic("", PASSWORD),
    basic("nobody", PASSWORD),
    basic("MASTER-OPERATOR", PASSWORD), basic("master-operator ", PASSWORD),
    basic("master-operator", PASSWORD + "\0"),
    basic("x" * 65, PASSWORD), basic("../accounts/master-operator", PASSWORD), basic("\0", "\0"),
    basic("master\ud800".encode(
        "utf-16",
        "surrogatepass").decode("latin-1"), "x"), "Bearer", "Bearer ", "Bearer wrong",
    "Bearer " + PASSWORD, "Bearer é\xff",
    "Digest username=master-operator", "Negotiate YQ==", "nonsense", basic("master-operator", PASSWORD)[6:],
    f"{basic('master-operator', PASSWORD)},{basic('master-operator', PASSWORD)}", "Basic " + "A" * 4000,
]


@pytest.mark.parametrize("header", BROKEN)
def test_a_broken_credential_is_401(nobody, master, header):
    assert master.get(LIST).status_code == 200
    headers = {"Authorization": header}
    for form in ("json", "xml"):
        assert_problem(nobody.get(LIST, headers=headers, query_string={"output": form}), 401, "unauthorized", form)
    assert_problem(nobody.post(URL, headers=headers, data="1"), 401, "unauthorized")
    assert master.get(LIST).data == b"[]"


def test_a_webui_secret_is_password_and_bearer_token(nobody, webui, master, parts):
    for header in (basic("webui-app", PASSWORD), f"Bearer {PASSWORD}", f"bearer {PASSWORD}"):
        assert nobody.post(URL, headers={"Authorization": header}, data="1").status_code == 200
    parts.accounts.enable("webui-app", False)
    for header in (basic("webui-app", PASSWORD), f"Bearer {PASSWORD}"):
        assert_problem(nobody.post(URL, headers={"Authorization": header}, data="1"), 401, "unauthorized")


def token_of(person):
    """A session token from /api/login."""
    return person.get("/api/login").headers["SessionToken"]


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
    for authorization, session, status in [(good, token, 200), (good, "x", 401), (good, "", 401), (bad, token, 401),
                                           ("", token, 401), (good, other, 401),
                                           (basic("operator", PASSWORD), token, 401)]:
        answer = nobody.get(LIST, headers={"Authorization": authorization, "SessionToken": session})
        assert answer.status_code == status


# --- The login cookie


@pytest.fixture
def browser(app, master, operator):
    """A client with the login cookie of the master operator."""
    client = app.test_client()
    assert client.post("/login", data={"name": "master-operator", "password": PASSWORD}).status_code == 302
    return client


def test_the_cookie_works_for_the_api(browser, clock):
    assert browser.get(LIST).status_code == 200
    assert browser.put(URL, data="1").status_code == 200
    clock.forward(hours=9)
    assert_problem(browser.get(LIST), 401, "unauthorized")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": basic("master-operator", "wrong")}, 401), ({"Authorization": ""}, 401),
        ({"SessionToken": ""}, 401),
        ({"Authorization": "Bearer wrong"}, 401), ({"SessionToken": "wrong"}, 401),
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


SITES = [
    ({}, False), ({"Sec-Fetch-Site": "same-origin"}, False), ({"Sec-Fetch-Site": "none"}, False),
    ({"Origin": "http://localhost"}, False),
    ({"Sec-Fetch-Site": "cross-site"}, True), ({"Sec-Fetch-Site": "same-site"}, True), ({"Sec-Fetch-Site": ""}, True),
    ({"Origin": "http://evil.example"}, True), ({"Origin": "null"}, True), ({"Origin": "https://localhost"}, True),
    ({"Origin": "http://localhost:8080"}, True), ({"Origin": ""}, True),
    ({"Origin": "http://localhost.evil.example"}, True),
    ({"Origin": "http://["}, True),
]


@pytest.mark.parametrize(("headers", "foreign"), SITES)
def test_a_write_from_another_site_cannot_rest_on_the_cookie(browser, headers, foreign):
    for method, status in (("post", 200), ("put", 200), ("delete", 204)):
        answer = getattr(browser, method)(URL, headers=headers, **({} if method == "delete" else {"data": "1"}))
        if foreign:
            assert_problem(answer, 403, "cross-site")
        else:
            assert answer.status_code == status
    assert browser.get(LIST).data == b"[]"
    own = {**headers, "Authorization": basic("master-operator", PASSWORD)}
    assert browser.post(URL, headers=own, data="1").status_code == 200


# --- The end of sessions, on every worker

ENDINGS = {
    "password": lambda accounts: accounts.set_password("master-operator", "another password"),
    "disabled": lambda accounts: accounts.enable("master-operator", False),
    "disabled and enabled": lambda accounts: [accounts.enable("master-operator", on) for on in (False, True)],
    "removed": lambda accounts: accounts.remove("master-operator"),
    "removed and added": lambda accounts: [
        accounts.remove("master-operator"), accounts.add("master-operator", Role.MASTER_OPERATOR, PASSWORD)
    ],
}


@pytest.fixture
def workers(app, tmp_path, clock):
    """Clients without cookies of two applications on the same folder."""
    other = create_app(tmp_path / "instance", clock=clock)
    other.extensions["deploymetrics"].accounts.add("spare", Role.MASTER_OPERATOR, PASSWORD)  # the last one cannot go
    return [one.test_client(use_cookies=False) for one in (app, other)]


def cookie_of(browser):
    """The login cookie as a header, to be sent again after it was dropped."""
    return {"Cookie": f"deploymetrics={browser.get_cookie('deploymetrics').value}"}


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_change_of_the_account_ends_its_sessions_at_once(workers, person, master, browser, parts, ending):
    person(Role.MASTER_OPERATOR, "who stays")
    sessions = [cookie_of(browser), {"SessionToken": token_of(master)}]
    header = {"Authorization": basic("master-operator", PASSWORD)}
    for worker in workers:
        assert [worker.get(LIST, headers=headers).status_code for headers in (*sessions, header)] == [200] * 3
    ENDINGS[ending](parts.accounts)
    for worker in workers:
        assert [worker.get(LIST, headers=headers).status_code for headers in sessions] == [401, 401]
        assert worker.get(LIST, headers=header).status_code == (200 if " and " in ending else 401)


def test_another_role_counts_at_once(workers, person, master, parts):
    person(Role.MASTER_OPERATOR, "who stays")
    header = {"Authorization": basic("master-operator", PASSWORD)}
    assert [worker.get(LIST, headers=header).status_code for worker in workers] == [200, 200]
    parts.accounts.remove("master-operator")
    parts.accounts.add("master-operator", Role.OPERATOR, PASSWORD)
    assert [worker.get(LIST, headers=header).status_code for worker in workers] == [403, 403]


def test_logging_out_ends_the_session_at_once(workers, master, browser):
    cookie, token = cookie_of(browser), {"SessionToken": token_of(master)}
    assert workers[1].post("/logout", headers={**cookie, "Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert workers[0].get(LIST, headers=cookie).status_code == 200
    for headers in (cookie, token):
        assert workers[1].post("/logout", headers=headers).status_code == 302
        assert [worker.get(LIST, headers=headers).status_code for worker in workers] == [401, 401]


def test_a_remembered_credential_is_never_stale(workers, master, parts):
    old = PASSWORD
    for number in range(10):
        new = f"password number {number}"
        parts.accounts.set_password("master-operator", new)
        for worker in workers:
            answers = [worker.get(LIST, auth=("master-operator", password)) for password in (new, old, new)]
            assert [answer.status_code for answer in answers] == [200, 401, 200]
        old = new


@pytest.fixture
def hashes(monkeypatch):
    """A list that grows with each password hash that is computed."""
    calls = []
    check = accounts.check_password_hash
    monkeypatch.setattr(accounts, "check_password_hash", lambda *args: calls.append(args) or check(*args))
    return calls


def test_no_password_is_hashed_again_and_again(master, hashes):
    deadline = time.monotonic() + 10
    unhashed = 0
    while unhashed < 20:  # a file as young as a clock tick is not relied on, so the first requests may hash
        before = len(hashes)
        assert master.get(LIST).status_code == 200 and time.monotonic() < deadline
        unhashed = unhashed + 1 if len(hashes) == before else 0
        time.sleep(0.005)
    hashes.clear()
    for _ in range(20):
        assert master.get(LIST).status_code == 200
    assert hashes == []


def test_without_remembering_each_request_hashes(tmp_path, master, hashes):
    master.client = create_app(tmp_path / "instance", {"CREDENTIAL_CACHE_SECONDS": 0}).test_client()
    for _ in range(3):
        assert master.get(LIST).status_code == 200
    assert len(hashes) == 3


# --- Guessing


def guess(client, name="master-operator", password="wrong"):
    """The answer to one try."""
    return client.get("/api/login", auth=(name, password))


def assert_throttled(answer, seconds):
    assert_problem(answer, 429, "too-many-attempts")
    assert answer.headers["Retry-After"] == str(seconds)


def test_guessing_is_slowed_on_every_worker(workers, master, clock):
    for number in range(5):
        assert_problem(guess(workers[number % 2]), 401)
    for delay in (1, 2, 4, 8):
        for worker in workers:
            assert_throttled(guess(worker), delay)
            assert_throttled(guess(worker, password=PASSWORD), delay)
        clock.forward(seconds=delay)
        assert_problem(guess(workers[0]), 401)
    page = workers[1].post("/login", data={"name": "master-operator", "password": PASSWORD})
    assert (page.status_code, page.headers["Retry-After"]) == (429, "16")
    clock.forward(seconds=16)
    assert guess(workers[1], password=PASSWORD).status_code == 200
    for _ in range(5):
        assert_problem(guess(workers[0]), 401)
    assert_throttled(guess(workers[1]), 1)


def test_guesses_are_forgotten(nobody, master, clock):
    for _ in range(5):
        guess(nobody)
    assert_throttled(guess(nobody), 1)
    clock.forward(seconds=901)
    assert [guess(nobody).status_code for _ in range(6)] == [401] * 5 + [429]


def test_a_success_resets_the_count(nobody, master):
    for _ in range(3):
        assert [guess(nobody).status_code for _ in range(4)] == [401] * 4
        right = {"name": "master-operator", "password": PASSWORD}
        assert nobody.post("/login", data=right).status_code == 302


def test_an_unknown_name_looks_like_a_wrong_password(nobody, master, parts, hashes):
    parts.accounts.add("off", Role.OPERATOR, PASSWORD)
    parts.accounts.enable("off", False)
    seen = []
    for name, password in (("master-operator", "wrong"), ("unknown", "wrong"), ("off", PASSWORD), ("x" * 65, "wrong")):
        hashes.clear()
        answers = [guess(nobody, name, password) for _ in range(7)]
        seen.append([(answer.status_code, answer.data, sorted(answer.headers)) for answer in answers] + [len(hashes)])
    assert seen == [seen[0]] * 4 and seen[0][-1] == 5


def test_one_address_cannot_guess_at_many_accounts_or_secrets(tmp_path, nobody, clock):
    client = create_app(tmp_path / "instance", {"GUESSES_PER_ADDRESS": 6}, clock).test_client()
    for number in range(3):
        assert_problem(guess(client, f"name-{number}"), 401)
        assert_problem(client.get("/api/login", headers={"Authorization": f"Bearer {number}"}), 401)
    assert_throttled(guess(client, "another"), 1)
    assert_throttled(client.get("/api/login", headers={"Authorization": "Bearer x"}), 1)
    elsewhere = {"REMOTE_ADDR": "192.0.2.1"}
    assert_problem(client.get("/api/login", auth=("another", "wrong"), environ_overrides=elsewhere), 401)


def test_neighbours_in_one_ipv6_network_count_as_one(nobody, master):
    answers = [
        nobody.get("/api/login", auth=("jo", "x"), environ_overrides={"REMOTE_ADDR": f"2001:db8::{number}"})
        for number in range(6)
    ]
    assert_throttled(answers[5], 1)


def test_a_storage_that_takes_nothing_slows_guessing_all_the_same(app, master, monkeypatch):
    def full(*args):
        raise StorageFull()

    monkeypatch.setattr(app.extensions["deploymetrics"].service.store, "write", full)
    statuses = [master.get("/api/login", auth=("master-operator", f"wrong {n}")).status_code for n in range(7)]
    assert statuses[:5] == [401] * 5 and statuses[-1] == 429


def test_an_account_that_is_damaged_looks_like_one_that_is_not_there(app, master):
    Path(app.instance_path, "accounts", "broken.json").write_bytes(b"{")
    answers = [master.get("/api/login", auth=(name, "x" * 9)) for name in ("broken", "nobody")]
    assert answers[0].data == answers[1].data and answers[0].status_code == 401


def test_a_wait_from_a_clock_that_was_ahead_is_not_kept(app, master, clock):
    clock.forward(days=4000)
    for number in range(7):
        master.get("/api/login", auth=("master-operator", f"wrong {number}"))
    clock.forward(days=-4000)
    assert master.get("/api/login").status_code == 200
