"""Sign-on behind nginx, with the file of ``deploy/`` but for names and paths, and a stand-in for oauth2-proxy."""

import pytest
import requests
from conftest import PASSWORD
from proxies import free_port, nginx
from serving import ROOT, Served, make_certificate
from waiting import wait_for

from deploymetrics import create_app
from deploymetrics.accounts.service import Role

DOCUMENTS = "/api/deploymentmetrics"
pytestmark = pytest.mark.slow

#: It knows people by a cookie; without one it says 401, as oauth2-proxy does.
STAND_IN = """
server {{
    listen 127.0.0.1:{port};
    location = /oauth2/auth {{
        if ($cookie_who = "") {{ return 401; }}
        add_header X-Auth-Request-User $cookie_who always;
        return 202;
    }}
    location /oauth2/ {{ return 200 "who are you?"; }}
}}
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A session through nginx, with the address of the server; ``who`` is set by a cookie."""
    folder = tmp_path_factory.mktemp("signed-on")
    accounts = create_app(folder / "instance").extensions["deploymetrics"].accounts
    accounts.add("alice", Role.MASTER_OPERATOR, PASSWORD)
    accounts.add("bob", Role.OPERATOR, PASSWORD)
    settings = {"DEPLOYMETRICS_PROXIES": "1", "DEPLOYMETRICS_REMOTE_USER_HEADER": "X-Remote-User"}
    command = ("deploymetrics", "serve", "--bind", f"unix:{folder / 'socket'}")
    served = Served(command, folder, folder / "instance", **settings)
    port, oauth = free_port(), free_port()
    certificate, key = make_certificate(folder)
    text = (ROOT / "deploy/nginx/sign-on.conf").read_text()
    for old, new in (
        ("/run/deploymetrics/deploymetrics.sock", str(folder / "socket")),
        ("/etc/ssl/deploymetrics/fullchain.pem", certificate),
        ("/etc/ssl/deploymetrics/key.pem", key),
        ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        ("http://127.0.0.1:4180", f"http://127.0.0.1:{oauth}"),
    ):
        assert old in text
        text = text.replace(old, new)
    try:
        wait_for((folder / "socket").exists, "the socket")
        with nginx(folder / "nginx", port, text + STAND_IN.format(port=oauth)), requests.Session() as session:
            session.verify, session.url, session.trust_env = certificate, f"https://127.0.0.1:{port}", False
            yield session
    finally:
        served.end()


def get(site, path, who=None, **headers):
    """The answer to a GET, not followed."""
    cookies = {"who": who} if who else {}
    return site.get(f"{site.url}{path}", cookies=cookies, headers=headers, allow_redirects=False)


def test_who_is_signed_on_sees_the_pages_without_another_login(site):
    answer = get(site, "/accounts", "alice")
    assert answer.status_code == 200 and "bob" in answer.text
    assert get(site, "/accounts", "bob").status_code == 403
    assert "no enabled account" in get(site, "/", "mallory").text


def test_who_is_not_signed_on_is_led_there(site):
    answer = get(site, "/accounts")
    start = answer.headers["Location"].removeprefix(site.url)
    assert (answer.status_code, start) == (302, "/oauth2/start?rd=/accounts")
    assert get(site, start).text == "who are you?"


@pytest.mark.parametrize("name", ["X-Remote-User", "x-remote-user", "X_Remote_User", "X-Remote_User"])
def test_a_client_cannot_name_itself(site, name):
    assert get(site, "/accounts", **{name: "alice"}).status_code == 302
    assert get(site, "/accounts", "bob", **{name: "alice"}).status_code == 403
    assert get(site, DOCUMENTS, **{name: "alice"}).status_code == 401
    assert get(site, "/metrics", **{name: "alice"}).status_code == 401


def test_programs_bring_their_own_credentials(site):
    assert site.get(f"{site.url}{DOCUMENTS}", auth=("alice", PASSWORD)).status_code == 200
    assert site.get(f"{site.url}{DOCUMENTS}", auth=("alice", "wrong")).status_code == 401


def test_another_site_cannot_write_with_it(site):
    form = {"url": f"{site.url}/accounts", "data": {"name": "x", "role": "operator"}, "cookies": {"who": "alice"}}
    assert site.post(**form, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert site.post(**form, headers={"Origin": "https://evil.example"}).status_code == 403
    assert site.post(**form, headers={"Origin": site.url}).status_code == 200
