"""The page of an account: its password, tokens, sessions and limits, and when the password is asked for once more."""

import re

import pytest
from accesskit import LIST
from conftest import PASSWORD
from lxml import html
from pagekit import text_of

from deploymetrics.accounts import passwords
from deploymetrics.accounts.service import Role

LOGIN = {"name": "master-operator", "password": PASSWORD}


def secret_in(page):
    """The secret that a page shows."""
    return re.search('id="secret">(.*?)<', page)[1]


def bearer(secret):
    return {"headers": {"Authorization": f"Bearer {secret}"}}


# --- Tokens


def test_a_token_is_made_shown_once_and_revoked(pages, nobody, services, clock):
    page = text_of(
        pages.post("/account/tokens", data={"name": "ci", "duration": "7", "access": "read-only", "tags": "web-* db"})
    )
    secret = secret_in(page)
    assert nobody.get(f"{LIST}/db", **bearer(secret)).status_code == 404
    assert nobody.get(LIST, **bearer(secret)).status_code == 403
    clock.forward(seconds=2)
    page = text_of(pages.get("/account"))
    assert secret not in page and "ci" in page and "web-*" in page and "only read" in page and "in 7 days" in page
    id = re.search('name="token" value="([0-9]+)"', page)[1]
    assert pages.post("/account/tokens/revoke", data={"token": id}).headers["Location"] == "/account"
    page = text_of(pages.get("/account"))
    assert "The token ci is revoked." in page and "There is no token." in page
    assert nobody.get(f"{LIST}/db", **bearer(secret)).status_code == 401


@pytest.mark.parametrize("form", [{"name": ""}, {"name": "a/b"}, {"duration": "-1"}, {"access": "x"}, {"duration": ""}])
def test_a_token_that_is_not_made_is_explained(pages, services, form):
    page = text_of(pages.post("/account/tokens", data={"name": "x", "duration": "1", "access": "full", **form}), 400)
    assert 'role="alert"' in page and services.accounts.find("master-operator").tokens == ()


def test_master_operators_make_tokens_of_programs(pages, webui, nobody, services):
    form = {"account": webui.name, "name": "second", "duration": "0", "access": "full"}
    secret = secret_in(text_of(pages.post("/account/tokens", data=form)))
    assert nobody.post(f"{LIST}/custom", data="1", **bearer(secret)).status_code == 200
    page = text_of(pages.get(f"/accounts/about?account={webui.name}"))
    assert "second" in page and "just now" in page
    id = services.accounts.find(webui.name).tokens[0].id
    answer = pages.post("/account/tokens/revoke", data={"token": id})
    assert answer.headers["Location"] == f"/accounts/about?account={webui.name}"
    assert webui.get("/api/login").status_code == 401


def test_nobody_makes_tokens_of_persons(pages, operator, services):
    form = {"account": operator.name, "name": "x", "duration": "0", "access": "full"}
    assert pages.post("/account/tokens", data=form).status_code == 403
    assert services.accounts.find(operator.name).tokens == ()


def test_a_program_sees_its_tokens_on_its_page(app, webui):
    client = app.test_client()
    client.post("/login", data={"name": webui.name, "password": PASSWORD})
    page = text_of(client.get("/account"))
    assert "Make a token" in page and "Change your password" not in page
    secret_in(text_of(client.post("/account/tokens", data={"name": "new", "duration": "0", "access": "full"})))


# --- Sessions


def test_sessions_are_listed_and_ended(app, pages, master):
    other = app.test_client()
    other.post("/login", data=LOGIN, headers={"User-Agent": "Firefox <b>"})
    page = text_of(pages.get("/account"))
    assert "this one" in page and "Firefox &lt;b&gt;" in page and page.count('name="session"') == 2
    id = re.search('Firefox.*?name="session" value="([0-9a-f]+)"', page, re.DOTALL)[1]
    assert pages.post("/account/sessions/end", data={"session": id}).headers["Location"] == "/account"
    assert other.get("/").status_code == 302 and pages.get("/").status_code == 200
    assert "There is no such session" in text_of(pages.post("/account/sessions/end", data={"session": id}), 404)


def test_log_out_everywhere(app, pages, master):
    other = app.test_client()
    other.post("/login", data=LOGIN)
    token = master.get("/api/login").headers["SessionToken"]
    assert pages.post("/account/sessions/end").headers["Location"] == "/login"
    for client in (pages, other):
        assert client.get("/").status_code == 302
    assert app.test_client().get(LIST, headers={"SessionToken": token}).status_code == 401


def test_master_operators_log_others_out(app, pages, operator):
    other = app.test_client()
    other.post("/login", data={"name": "operator", "password": PASSWORD})
    assert 'name="session"' in text_of(pages.get("/accounts/about?account=operator"))
    pages.post("/account/sessions/end", data={"account": "operator"})
    assert "operator is logged out everywhere." in text_of(pages.get("/accounts/about?account=operator"))
    assert other.get("/").status_code == 302 and pages.get("/").status_code == 200


def test_an_operator_manages_nobody_else(app, master, operator, services):
    client = app.test_client()
    client.post("/login", data={"name": "operator", "password": PASSWORD})
    before = services.accounts.find("master-operator")
    assert client.post("/account/sessions/end", data={"account": "master-operator"}).status_code == 403
    form = {"account": "master-operator", "name": "x", "duration": "0", "access": "full"}
    assert client.post("/account/tokens", data=form).status_code == 403
    assert services.accounts.find("master-operator") == before


# --- Limits


def test_limits_are_set(pages, webui, services):
    form = {"account": webui.name, "tags": "web-* db", "documents": "5", "bytes": "", "posts": "60"}
    assert pages.post("/accounts/limits", data=form).status_code == 302
    record = services.accounts.find(webui.name)
    assert (record.tags, record.max_documents, record.max_bytes, record.posts_a_minute) == (("web-*", "db"), 5, 0, 60)
    page = text_of(pages.get(f"/accounts/about?account={webui.name}"))
    assert 'value="web-* db"' in page and 'value="60"' in page
    text_of(pages.post("/accounts/limits", data={**form, "posts": "-1"}), 400)


@pytest.mark.parametrize(
    "patterns", [("my web-*", "db"), ('a"b', '"', "c d"), ("\u3000", "a\u2028b", "x\u00a0y"), ("a,b;c", "'d e'")]
)
def test_limits_that_are_saved_as_they_are_shown_stay_as_they_are(pages, webui, services, patterns):
    services.accounts.set_limits(webui.name, tags=patterns, documents=0, bytes=0, posts=0)
    page = html.fromstring(pages.get(f"/accounts/about?account={webui.name}").get_data(as_text=True))
    shown = page.xpath("string(//input[@id='limit-tags']/@value)")
    form = {"account": webui.name, "tags": shown, "documents": "", "bytes": "", "posts": "60"}
    assert pages.post("/accounts/limits", data=form).status_code == 302
    record = services.accounts.find(webui.name)
    assert (record.tags, record.posts_a_minute) == (patterns, 60)


@pytest.mark.parametrize("typed", ["  web-*   db ", "web-*\r\ndb", "web-*\rdb\n", '"web-*" db'])
def test_patterns_are_read_however_they_are_apart(pages, webui, services, typed):
    form = {"account": webui.name, "tags": typed, "documents": "", "bytes": "", "posts": ""}
    assert pages.post("/accounts/limits", data=form).status_code == 302
    assert services.accounts.find(webui.name).tags == ("web-*", "db")


# --- The password, once more


@pytest.mark.parametrize(
    ("url", "form"),
    [
        ("/accounts", {"name": "new", "role": "operator"}),
        ("/accounts/secret", {"account": "operator"}),
        ("/account/tokens", {"name": "x", "duration": "1", "access": "full"}),
    ],
)
def test_what_lasts_needs_the_password_again_after_a_while(pages, operator, services, clock, url, form):
    clock.forward(seconds=601)
    before = services.accounts.list()
    page = text_of(pages.post(url, data=form), 401)
    assert "type your password again" in page and 'value="master-operator"' in page
    assert services.accounts.list() == before
    kept = {f"kept.{name}": value for name, value in form.items()}
    page = text_of(pages.post("/login", data={**LOGIN, "next": url, **kept}))
    assert f'action="{url}"' in page and all(f'name="{name}"' in page for name in form)
    secret_in(text_of(pages.post(url, data=form)))


def test_ones_own_password_needs_the_old_one(pages, services):
    before = services.accounts.list()
    page = text_of(pages.post("/accounts/secret", data={"account": "master-operator"}), 409)
    assert "with the old one" in page and services.accounts.list() == before
    assert "change=secret" not in text_of(pages.get("/accounts"))


def test_a_password_for_the_first_login_is_changed_there(app, services):
    services.accounts.add("admin", Role.MASTER_OPERATOR, PASSWORD, must_change=True)
    client = app.test_client()
    client.post("/login", data={"name": "admin", "password": PASSWORD})
    for url in ("/", "/accounts", "/new", "/tags/x"):
        assert client.get(url).headers["Location"] == "/account"
    assert client.post("/accounts", data={"name": "x", "role": "operator"}).headers["Location"] == "/account"
    assert "Choose another one." in text_of(client.get("/account"))
    chosen = {"current-password": PASSWORD, "new-password": "another one", "repeated-password": "another one"}
    assert client.post("/account", data=chosen).status_code == 302
    assert client.get("/").status_code == 200


@pytest.mark.parametrize("change", ["set_password", "end_sessions", "disable", "remove"])
def test_whoever_knew_the_old_password_does_not_undo_what_was_changed_meanwhile(
    app, pages, operator, services, monkeypatch, change
):
    """A new password takes a while to hash; an administrator may have acted by then."""
    client = app.test_client()
    client.post("/login", data={"name": "operator", "password": PASSWORD})
    make, accounts = passwords.generate_password_hash, services.accounts

    def changed_meanwhile(*args):
        monkeypatch.setattr(passwords, "generate_password_hash", make)
        getattr(accounts, change)("operator", *(["the new password"] if change == "set_password" else []))
        return make(*args)

    monkeypatch.setattr(passwords, "generate_password_hash", changed_meanwhile)
    chosen = {"current-password": PASSWORD, "new-password": "my own one", "repeated-password": "my own one"}
    assert client.post("/account", data=chosen).status_code == 409
    assert operator.get("/api/login", auth=("operator", "my own one")).status_code == 401
    assert client.get("/account").status_code == 302
    if change == "set_password":
        assert operator.get("/api/login", auth=("operator", "the new password")).status_code == 200
