"""Tokens: made, shown once, limited, used, renamed, over, and revoked at once on every worker."""

import re
from pathlib import Path
from urllib.parse import quote

import pytest
from accesskit import LIST, URL, basic, token_of
from conftest import PASSWORD
from lxml import etree
from problems import assert_problem
from xmlkit import SCHEMA

from deploymetrics.accounts.service import Role
from deploymetrics.errors import StorageFullError

MONTH = 30 * 86400
AT = 1515758403  # the held clock's seconds


def make(person, query="name=x", status=200, **options):
    """The answer to a new token, as JSON."""
    answer = person.post(f"/api/token?{query}", **options)
    assert answer.status_code == status, answer.data
    return answer.get_json()


def bearer(token):
    """The headers with a token, of which ``make`` gave the answer."""
    return {"headers": {"Authorization": f"Bearer {token['Token']}"}}


def test_a_token_as_bigfix_makes_it(master, nobody, clock):
    answer = master.post("/api/token?name=for%20env")
    assert answer.headers["Cache-Control"] == "no-store"
    token = answer.get_json()
    assert list(token)[:5] == ["Token", "Id", "Name", "Expiration", "User"]
    assert re.fullmatch("dm_[0-9a-f]{64}", token["Token"])
    assert (token["Name"], token["UserName"], token["Access"], token["Tags"]) == ("for env", master.name, "full", [])
    assert token["Expiration"] // 1_000_000 == AT + MONTH
    assert isinstance(token["Id"], int) and isinstance(token["User"], int)
    assert nobody.get(LIST, **bearer(token)).status_code == 200
    shown = {name: value for name, value in token.items() if name != "Token"} | {
        "LastUsed": round(clock.timestamp() * 1e6)
    }
    assert master.get("/api/tokens").get_json() == {"tokens": [shown]}
    assert master.get("/api/token/name/for%20env").get_json() == shown
    assert master.get(f"/api/token/id/{token['Id']}").get_json() == shown
    for user in (token["UserName"], token["User"]):
        assert master.get(f"/api/tokens/user/{user}").get_json() == {"Tokens": [shown]}


def test_the_secret_is_nowhere(master, app):
    secret = make(master)["Token"].encode()
    assert not [path for path in Path(app.instance_path).rglob("*") if path.is_file() and secret in path.read_bytes()]


def test_a_token_in_xml(master):
    answer = master.post("/api/token?name=x&tags=web-*&tags=db&output=xml")
    root = etree.fromstring(answer.data)
    SCHEMA.assertValid(root)
    assert [child.tag for child in root[0]][:4] == ["Secret", "Id", "Name", "Expiration"]
    assert [tag.text for tag in root[0].find("Tags")] == ["web-*", "db"]
    root = etree.fromstring(master.get("/api/tokens", headers={"Accept": "application/xml"}).data)
    SCHEMA.assertValid(root)
    assert root[0].get("Resource") == f"http://localhost/api/token/id/{root[0].find('Id').text}"
    assert root[0].find("Secret") is None


@pytest.mark.parametrize(
    "query",
    [
        "",
        "name=",
        "name=a/b",
        "name=%20a",
        "name=a%00",
        "name=" + "x" * 65,
        "name=x&duration=-1",
        "name=x&duration=1.5",
        "name=x&duration=",
        "name=x&duration=36501",
        "name=x&access=everything",
        "name=x&tags=",
        "name=x&user=",
        "name=x&output=csv",
    ],
)
def test_what_makes_no_token(master, query):
    problem = assert_problem(master.post(f"/api/token?{query}"), 400, "invalid-fields")
    assert all(f"{name}: " in problem["detail"] for name in problem["errors"])
    assert master.get("/api/tokens").get_json() == {"tokens": []}


def test_names_are_unique_and_tokens_few(master, operator):
    for number in range(20):
        make(master, f"name=x{number}")
    assert_problem(master.post("/api/token?name=x1"), 409, "token-exists")
    assert_problem(master.post("/api/token?name=y"), 409, "too-many-tokens")
    make(operator, "name=x1")


def test_a_token_ends(master, nobody, clock):
    short, eternal = make(master, "name=short&duration=1"), make(master, "name=eternal&duration=0")
    assert eternal["Expiration"] == 0
    session = {"SessionToken": nobody.get("/api/login", **bearer(short)).headers["SessionToken"]}
    clock.forward(days=1, seconds=-1)
    assert nobody.get(LIST, **bearer(short)).status_code == 200
    clock.forward(seconds=2)
    assert_problem(nobody.get(LIST, **bearer(short)), 401, "unauthorized")
    assert_problem(nobody.get(LIST, headers=session), 401, "unauthorized")
    clock.forward(days=10_000)
    assert nobody.get(LIST, **bearer(eternal)).status_code == 200
    make(master, "name=short")  # the name is free again
    assert len(master.get("/api/tokens").get_json()["tokens"]) == 2


def test_a_clock_that_was_ahead_costs_no_token(master, nobody, clock):
    """What is over goes for a token of its name, or for room: first what ended first."""
    tokens = [make(master, f"name=x{number}&duration={19 - number}") for number in range(19)]
    clock.forward(days=365)
    make(master, "name=new")
    clock.forward(days=-365)
    assert [nobody.get(LIST, **bearer(token)).status_code for token in tokens] == [200] * 19
    assert_problem(master.post("/api/token?name=y"), 409, "too-many-tokens")
    clock.forward(days=3, seconds=1)  # x16 to x18 are over
    make(master, "name=x17")
    make(master, "name=y")
    names = [token["Name"] for token in master.get("/api/tokens").get_json()["tokens"]]
    assert names == [*(f"x{number}" for number in range(17)), "new", "x17", "y"]


def test_a_session_that_began_with_a_token_ends_with_it(master, nobody):
    token = make(master, "name=x&access=read-only")
    session = {"SessionToken": nobody.get("/api/login", **bearer(token)).headers["SessionToken"]}
    assert nobody.get(LIST, headers=session).status_code == 200
    assert_problem(nobody.post(URL, headers=session, data="1"), 403, "token-limited")
    assert master.delete(f"/api/token/{token['Id']}").status_code == 200
    assert_problem(nobody.get(LIST, headers=session), 401, "unauthorized")


def test_revoking_holds_at_once_on_every_worker(workers, master):
    token = make(master)
    for _ in range(2):
        assert [worker.get(LIST, **bearer(token)).status_code for worker in workers] == [200, 200]
    answer = workers[0].delete(f"/api/token/{token['Id']}", auth=(master.name, PASSWORD))
    assert answer.get_json()["Name"] == "x"
    assert [worker.get(LIST, **bearer(token)).status_code for worker in workers] == [401, 401]
    assert_problem(master.get(f"/api/token/id/{token['Id']}"), 404, "no-such-token")
    assert_problem(master.delete(f"/api/token/{token['Id']}"), 404, "no-such-token")


@pytest.mark.parametrize("end", ["disable", "remove", "set_password"])
def test_what_ends_an_account_ends_its_tokens(master, webui, nobody, services, end):
    token = make(master, f"name=x&user={webui.name}")
    assert nobody.post(URL, data="1", **bearer(token)).status_code == 200
    getattr(services.accounts, end)(webui.name, *(["another"] if end == "set_password" else []))
    assert_problem(nobody.post(URL, data="1", **bearer(token)), 401, "unauthorized")


def test_a_new_password_leaves_a_persons_tokens(master, nobody, services):
    token = make(master)
    services.accounts.set_password(master.name, "another password")
    assert nobody.get(LIST, **bearer(token)).status_code == 200


# --- What a token may


def test_never_more_than_the_account(operator, nobody, services):
    token = make(operator)
    assert_problem(nobody.get(LIST, **bearer(token)), 403, "role-required")
    services.accounts.add("boss", Role.MASTER_OPERATOR, PASSWORD)
    services.accounts.set_role(operator.name, Role.MASTER_OPERATOR)
    assert nobody.get(LIST, **bearer(token)).status_code == 200
    services.accounts.set_role(operator.name, Role.OPERATOR)
    assert_problem(nobody.get(LIST, **bearer(token)), 403, "role-required")


def test_read_only(master, nobody):
    token = make(master, "name=x&access=read-only")
    master.post(URL, data="1")
    for url in (LIST, URL, "/api/expectations", "/api/tokens", "/"):
        assert nobody.get(url, **bearer(token)).status_code == 200
    for method in ("post", "put", "delete"):
        assert_problem(getattr(nobody, method)(URL, data="2", **bearer(token)), 403, "token-limited")
    assert_problem(nobody.delete(f"/api/token/{token['Id']}", **bearer(token)), 403, "token-limited")


def test_scrape_only(master, operator, nobody):
    token = make(master, "name=x&access=scrape")
    assert nobody.get("/metrics", **bearer(token)).status_code == 200
    for url in (LIST, URL, "/api/login", "/api/help", "/api/tokens", "/accounts", "/"):
        assert nobody.get(url, **bearer(token)).status_code == 403
    token = make(operator, "name=x&access=scrape")
    assert nobody.get("/metrics", **bearer(token)).status_code == 403


def test_tags_by_pattern(master, nobody):
    token = make(master, "name=x&tags=web-*&tags=d?")
    for tag in ("web-1", "web-", "db"):
        address = f"{LIST}/{tag}"
        assert nobody.post(address, data="1", **bearer(token)).status_code == 200
        assert nobody.get(f"{address}/history", **bearer(token)).status_code == 200
    assert nobody.get("/api/login", **bearer(token)).status_code == 200
    for url in (LIST, URL, f"{LIST}/Web-1", f"{LIST}/dba", "/accounts", "/tags/custom", "/api/tokens/user/1"):
        assert nobody.get(url, **bearer(token)).status_code == 403
    assert_problem(nobody.post(URL, data="1", **bearer(token)), 403, "tag-limited")


@pytest.mark.parametrize(
    ("pattern", "like", "unlike"),
    [
        ("web[1]", "web[1]", "web1"),
        ("[!x]*", "[!x]y", "y"),
        ("[", "[", "x"),
        ("a]?", "a]b", "a"),
        ("größe*", "größe 1", "große"),
        ("\U0001f600", "\U0001f600", "\U0001f601"),
    ],
)
def test_only_an_asterisk_and_a_question_mark_stand_for_others(master, nobody, pattern, like, unlike):
    token = make(master, "name=x&tags=" + quote(pattern))
    for tag, status in ((like, 200), (unlike, 403)):
        assert nobody.put(f"{LIST}/{quote(tag)}", data="1", **bearer(token)).status_code == status


def test_the_limits_of_an_application(webui, services):
    services.accounts.set_limits(webui.name, tags=["web-*"], documents=0, bytes=0, posts=0)
    assert webui.post(f"{LIST}/web-1", data="1").status_code == 200
    assert_problem(webui.post(URL, data="1"), 403, "tag-limited")
    assert webui.get("/api/login").status_code == 200


# --- Who makes and manages them


def test_a_person_proves_who_asks(master, nobody, clock):
    token, session = make(master), {"SessionToken": token_of(master)}
    for method, url in (("post", "/api/token?name=y"), ("put", f"/api/token/{token['Id']}?name=z")):
        assert_problem(getattr(nobody, method)(url, **bearer(token)), 401, "proof-needed")
    make(nobody, "name=y", headers=session)
    for _ in range(3):
        clock.forward(seconds=250)
        assert nobody.get(LIST, headers=session).status_code == 200
    assert_problem(nobody.post("/api/token?name=z", headers=session), 401, "proof-needed")
    assert nobody.delete(f"/api/token/{token['Id']}", **bearer(token)).status_code == 200


def test_a_login_with_a_token_is_no_proof(master, nobody):
    token = make(master)
    for headers in (bearer(token)["headers"], {"Authorization": basic(master.name, token["Token"])}):
        session = {"SessionToken": nobody.get("/api/login", headers=headers).headers["SessionToken"]}
        assert_problem(nobody.post("/api/token?name=y", headers=session), 401, "proof-needed")


def test_a_token_is_a_password_of_basic_but_not_of_the_pages(app, master, nobody):
    token = make(master)["Token"]
    assert nobody.get(LIST, auth=(master.name, token)).status_code == 200
    assert_problem(nobody.get(LIST, auth=("operator", token)), 401, "unauthorized")
    assert app.test_client().post("/login", data={"name": master.name, "password": token}).status_code == 401


def test_an_application_rotates_its_own(webui, nobody, clock, master):
    first = make(master, f"name=first&duration=10&user={webui.name}")
    second = make(nobody, "name=second&duration=100", **bearer(first))
    assert second["UserName"] == webui.name and second["Expiration"] == first["Expiration"]
    assert nobody.delete(f"/api/token/{first['Id']}", **bearer(second)).status_code == 200
    assert nobody.post(URL, data="1", **bearer(second)).status_code == 200
    assert_problem(nobody.put(f"/api/token/{second['Id']}?duration=0", **bearer(second)), 401, "proof-needed")
    assert nobody.put(f"/api/token/{second['Id']}?name=x", **bearer(second)).get_json()["Name"] == "x"
    limited = make(nobody, "name=limited&tags=a", **bearer(second))
    assert_problem(nobody.post("/api/token?name=y", **bearer(limited)), 403, "token-limited")
    assert_problem(nobody.delete(f"/api/token/{second['Id']}", **bearer(limited)), 404, "no-such-token")


def test_who_manages_whose(master, operator, webui, nobody):
    own = make(operator)
    assert_problem(master.post(f"/api/token?name=x&user={operator.name}"), 403, "forbidden")
    assert_problem(operator.post(f"/api/token?name=x&user={webui.name}"), 403, "forbidden")
    assert_problem(master.post("/api/token?name=x&user=nobody"), 404, "no-such-account")
    others = make(master)
    for method in ("get", "put", "delete"):
        path = "/api/token/id" if method == "get" else "/api/token"
        assert_problem(getattr(operator, method)(f"{path}/{others['Id']}"), 404, "no-such-token")
    assert_problem(operator.get(f"/api/tokens/user/{master.name}"), 403, "role-required")
    # Master operators manage all; what comes with a token only that account's own.
    assert_problem(nobody.delete(f"/api/token/{own['Id']}", **bearer(others)), 404, "no-such-token")
    assert master.put(f"/api/token/{own['Id']}?name=renamed&duration=0").get_json()["Expiration"] == 0
    assert operator.get("/api/token/name/renamed").status_code == 200
    assert master.delete(f"/api/token/{own['Id']}").status_code == 200


@pytest.mark.parametrize("id", ["0", "-1", "x", "1.0", "9" * 30, "١"])
def test_ids_that_there_are_not(master, id):
    assert_problem(master.get(f"/api/token/id/{id}"), 404)
    assert_problem(master.delete(f"/api/token/{id}"), 404)


def test_changing_leaves_what_is_not_named(master, clock):
    token = make(master)
    clock.forward(days=1)
    changed = master.put(f"/api/token/{token['Id']}?name=y").get_json()
    assert (changed["Name"], changed["Expiration"], changed["Id"]) == ("y", token["Expiration"], token["Id"])
    changed = master.put(f"/api/token/{token['Id']}?duration=30").get_json()
    assert changed["Expiration"] == token["Expiration"] + 86400 * 1_000_000
    make(master, "name=z")
    assert_problem(master.put(f"/api/token/{token['Id']}?name=z"), 409, "token-exists")


def test_preconditions(master):
    token = make(master)
    url = f"/api/token/{token['Id']}"
    etag = master.get(f"/api/token/id/{token['Id']}").headers["ETag"]
    assert master.get(f"/api/token/id/{token['Id']}", headers={"If-None-Match": etag}).status_code == 304
    assert_problem(master.put(f"{url}?name=y", headers={"If-Match": '"x"'}), 412, "precondition-failed")
    assert_problem(master.delete(url, headers={"If-Match": '"x"'}), 412, "precondition-failed")
    assert_problem(master.post("/api/token?name=y", headers={"If-Match": "*"}), 412, "precondition-failed")
    assert master.put(f"{url}?name=y", headers={"If-Match": etag}).status_code == 200
    assert_problem(master.delete(url, headers={"If-Match": etag}), 412, "precondition-failed")


# --- When it was last used


def test_the_last_use_is_written_once_a_minute(master, nobody, services, clock, monkeypatch):
    token, writes = make(master), []
    assert token["LastUsed"] == 0
    write = services.sessions.store.write
    monkeypatch.setattr(services.sessions.store, "write", lambda *args, **kw: writes.append(args) or write(*args, **kw))
    for _ in range(10):
        nobody.get(LIST, **bearer(token))
        clock.forward(seconds=10)
    assert len(writes) == 2
    assert master.get("/api/tokens").get_json()["tokens"][0]["LastUsed"] // 1_000_000 == AT + 60


def test_a_token_works_while_nothing_can_be_stored(master, nobody, services, monkeypatch):
    token = make(master)

    def full(*args, **kwargs):
        raise StorageFullError()

    monkeypatch.setattr(services.sessions.store, "write", full)
    assert nobody.get(LIST, **bearer(token)).status_code == 200


def test_no_hash_is_computed_for_a_token(master, nobody, hashes):
    token = make(master)
    hashes.clear()
    for _ in range(3):
        assert nobody.get(LIST, **bearer(token)).status_code == 200
    assert hashes == []
