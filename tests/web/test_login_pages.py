"""The pages, the login cookie, and what becomes of errors inside and outside ``/api``."""

import errno
import os
import re

import pytest
from conftest import PASSWORD
from problems import assert_problem
from storekit import newest_file

from deploymetrics.errors import StorageError, StorageFullError

LIST = "/api/deploymentmetrics"
URL = "/api/deploymentmetrics/custom"
LOGIN = {"name": "master-operator", "password": PASSWORD}


@pytest.fixture
def browser(app, master):
    """A client that keeps cookies, not logged in."""
    return app.test_client()


@pytest.fixture
def logged_in(browser):
    """A client with the login cookie of the master operator."""
    assert browser.post("/login", data=LOGIN).headers["Location"] == "/"
    return browser


def assert_page(answer, status, *words):
    """The text of a page with that status and these words, with the headers that every page has."""
    assert answer.status_code == status, answer.data
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ") and "frame-ancestors 'none'" in policy and "unsafe" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "<script>" not in answer.text
    assert not re.search("<[^>]+ (style|on[a-z]+)=", answer.text)
    assert [word for word in words if word not in answer.text] == []
    return answer.text


# --- Pages


def test_the_way_in_and_out(browser):
    assert browser.get("/").headers["Location"].partition("?")[0] == "/login"
    assert_page(browser.get("/login"), 200, "<form", 'name="password"')
    assert browser.post("/login", data=LOGIN).headers["Location"] == "/"
    assert_page(browser.get("/"), 200, "master-operator", "Log out")
    assert browser.post("/logout").headers["Location"] == "/login"
    assert browser.get("/").headers["Location"].partition("?")[0] == "/login"


def test_the_page_says_what_an_account_may(app, operator, webui, scraper):
    for name, words in (
        ("operator", "You are an operator"),
        ("webui-app", "This account is a WebUI application"),
        ("scraper", "/metrics"),
    ):
        client = app.test_client()
        client.post("/login", data={"name": name, "password": PASSWORD})
        assert_page(client.get("/"), 200, words)


@pytest.mark.parametrize(
    "form",
    [{}, {"name": "jo"}, {**LOGIN, "password": "wrong"}, {**LOGIN, "name": "<b>&"}, {**LOGIN, "name": "\0"}],
)
def test_a_wrong_login(browser, form):
    text = assert_page(browser.post("/login", data=form), 401, "The name or the password is wrong")
    assert "<b>" not in text and PASSWORD not in text
    assert browser.get_cookie("deploymetrics") is None


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "http://evil.example"}])
def test_nobody_is_logged_in_or_out_by_another_site(browser, headers):
    assert_page(browser.post("/login", data=LOGIN, headers=headers), 403, "Forbidden")
    assert browser.get_cookie("deploymetrics") is None
    browser.post("/login", data=LOGIN)
    assert_page(browser.post("/logout", headers=headers), 403)
    assert_page(browser.get("/"), 200, "Log out")


def test_the_cookie_has_all_its_flags(browser):
    cookie = browser.post("/login", data=LOGIN).headers["Set-Cookie"]
    flags = {part.strip().partition("=")[0] for part in cookie.split(";")[1:]}
    assert flags == {"HttpOnly", "SameSite", "Path", "Expires"} and "SameSite=Lax" in cookie
    secure = browser.post("/login", data=LOGIN, base_url="https://localhost").headers["Set-Cookie"]
    assert "; Secure" in secure
    assert PASSWORD not in cookie and "master-operator" not in cookie


def test_logging_in_again_begins_another_session(logged_in):
    first = logged_in.get_cookie("deploymetrics").value
    logged_in.post("/login", data=LOGIN)
    assert logged_in.get_cookie("deploymetrics").value != first


def test_the_session_is_not_that_of_the_cookie_before(browser):
    """Whoever plants a cookie does not know the session that the login begins."""
    browser.set_cookie("deploymetrics", "planted")
    browser.post("/login", data=LOGIN)
    assert browser.get_cookie("deploymetrics").value != "planted"
    assert_page(browser.get("/"), 200, "Log out")


# --- Errors


def test_errors_are_pages_outside_the_api(browser, nobody):
    assert_page(nobody.get("/nothing"), 404, "Not Found")
    assert_page(nobody.get("/apix"), 404)
    refused = nobody.put("/login")
    assert_page(refused, 405, "Method Not Allowed")
    assert set(refused.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS", "POST"}
    assert_page(nobody.get("/<script>alert(1)"), 404)


@pytest.mark.parametrize(
    "headers", [{"Authorization": "Basic broken"}, {"Authorization": ""}, {"SessionToken": "wrong"}]
)
@pytest.mark.parametrize("url", ["/", "/login"])
def test_a_broken_credential_on_a_page_is_401(nobody, headers, url):
    answer = nobody.get(url, headers=headers)
    assert_page(answer, 401, "Unauthorized")
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="BigFix Server", charset="UTF-8"'
    assert_page(nobody.get("/nothing", headers=headers), 404)


SENTENCE = "Something went wrong on the server."


@pytest.fixture
def bug(monkeypatch, services):
    """Make any use of documents fail with an exception."""

    def fail(error):
        def broken(*args, **kwargs):
            raise error

        for name in ("list", "get", "save", "delete"):
            monkeypatch.setattr(services.documents, name, broken)

    return fail


@pytest.mark.parametrize("form", ["json", "xml"])
def test_a_bug_is_500_with_a_fixed_sentence_and_an_id(master, bug, caplog, form):
    bug(ZeroDivisionError("a secret at /srv/secret.json"))
    for call in (lambda **query: master.get(URL, **query), lambda **query: master.post(URL, data="1", **query)):
        caplog.clear()
        answer = call(query_string={"output": form})
        problem = assert_problem(answer, 500, "internal-error", form)
        assert problem["detail"].startswith(SENTENCE) and re.fullmatch("[0-9a-f]{16}", problem["requestId"])
        assert b"secret" not in answer.data and b"Zero" not in answer.data
        assert problem["requestId"] in caplog.text and "ZeroDivisionError: a secret" in caplog.text


def test_a_bug_in_a_page_is_a_page(app, browser, caplog):
    app.view_functions["web.index"] = lambda: 1 / 0
    app.view_functions["web.index"].roles = app.view_functions["web.login"].roles
    text = assert_page(browser.get("/"), 500, SENTENCE, "Request id:")
    assert "division" not in text and "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize(
    ("error", "status", "code"), [(StorageError, 503, "storage-unavailable"), (StorageFullError, 507, "storage-full")]
)
@pytest.mark.parametrize("form", ["json", "xml"])
def test_storage_errors(master, bug, caplog, error, status, code, form):
    bug(error(log="/srv/instance/x.json: no"))
    query = {"query_string": {"output": form}}
    for answer in (master.get(LIST, **query), master.post(URL, data="1", **query)):
        assert_problem(answer, status, code, form)
        assert answer.headers["Retry-After"] == "5" and b"srv" not in answer.data
    assert "/srv/instance/x.json" in caplog.text


@pytest.mark.parametrize(
    ("number", "status", "code"),
    [
        (errno.ENOSPC, 507, "storage-full"),
        (errno.EDQUOT, 507, "storage-full"),
        (errno.EIO, 503, "storage-unavailable"),
    ],
)
def test_a_disk_that_fails(master, monkeypatch, caplog, number, status, code):
    master.post(URL, data="1")
    with monkeypatch.context() as patch:

        def fail(*args):
            raise OSError(number, os.strerror(number), "/srv/instance")

        patch.setattr(os, "write", fail)
        assert_problem(master.post(URL, data="2"), status, code)
    [record] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert record.exc_info is None and os.strerror(number) in record.getMessage()  # one line, and no traceback
    assert master.get(URL).json["metrics"] == 1
    assert master.post(URL, data="3").status_code == 200


def test_a_storage_that_fails_when_it_asks_who_is_there(logged_in, services, monkeypatch):
    def fail(*args):
        raise StorageError(log="gone")

    monkeypatch.setattr(services.sessions.store, "read", fail)
    for url in ("/", "/login"):
        answer = logged_in.get(url)
        assert_page(answer, 503, "Service Unavailable", "Request id:")
        assert answer.headers["Retry-After"] == "5"
    assert_problem(logged_in.get(LIST), 503, "storage-unavailable")
    assert_page(logged_in.post("/login", data=LOGIN), 503)


def test_a_damaged_document_is_named_and_the_others_go_on(master, tmp_path):
    for tag in ("good", "bad"):
        master.post(f"{LIST}/{tag}", data="1")
    file = newest_file(tmp_path / "instance", "deploymentmetrics", "bad")
    file.write_bytes(b'{"tag": "bad", "met\n')
    damaged = assert_problem(master.get(f"{LIST}/bad"), 503, "damaged-item")
    assert "bad" in damaged["detail"] and ".json" not in damaged["detail"]
    assert_problem(master.post(f"{LIST}/bad", data="2"), 503, "damaged-item")
    assert file.read_bytes() == b'{"tag": "bad", "met\n'
    answer = master.get(LIST)
    assert [document["tag"] for document in answer.json] == ["good"]
    assert (answer.headers["Deploymetrics-Damaged"], answer.headers["Deploymetrics-Damaged-Count"]) == ("bad", "1")


def test_a_form_that_is_too_large(nobody):
    assert_page(nobody.post("/login", data={"name": "x" * 100_000}), 413, "65536 bytes")


def test_no_answer_is_taken_for_something_else(master):
    master.post(URL, data="1")
    urls = (URL, LIST, f"{URL}?output=xml", f"{URL}/history", "/api/expectations", "/api/login", "/api/nothing")
    for url in (*urls, "/", "/nothing"):
        assert master.get(url).headers["X-Content-Type-Options"] == "nosniff", url
