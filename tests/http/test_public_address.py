"""Under which address the server is reached, and who may say so."""

import pytest
from problems import assert_problem

from deploymetrics import create_app

URL = "/api/deploymentmetrics/custom"
FORWARDED = {
    "X-Forwarded-For": "192.0.2.7, 198.51.100.1",
    "X-Forwarded-Proto": "http, https",
    "X-Forwarded-Host": "evil.example, metrics.example:52311",
    "X-Forwarded-Prefix": "/x, /bigfix",
}


@pytest.fixture
def at(tmp_path, master):
    """Make the master operator's client one of a server with these settings, which has a document."""
    master.post(URL, data="1")

    def make(**settings):
        master.client = create_app(tmp_path / "instance", settings).test_client()
        return master

    return make


def root_of(person, **headers):
    """The URL of the server in its XML."""
    answer = person.get(URL, query_string="output=xml", headers=headers)
    return answer.text.partition(' Resource="')[2].partition("api/deploymentmetrics/custom")[0]


@pytest.mark.parametrize(
    ("proxies", "root"),
    [
        (0, "http://localhost/"),
        (1, "https://metrics.example:52311/bigfix/"),
        (2, "http://evil.example/x/"),
        (3, "http://localhost/"),
    ],
)
def test_addresses_behind_proxies(at, proxies, root):
    master = at(PROXIES=proxies, PROXY_PREFIX=True)
    for url in (URL, "/api/deploymentmetrics"):
        answer = master.get(url, query_string="output=xml", headers=FORWARDED)
        assert f' Resource="{root}api/deploymentmetrics/custom"' in answer.text


def test_a_prefix_is_taken_only_where_a_setting_says_so(at):
    """The proxy that the documentation describes hands on what a client sends of headers that it does not know."""
    assert root_of(at(PROXIES=1), **FORWARDED) == "https://metrics.example:52311/"
    answer = at(PROXIES=1).client.get("/", headers={"X-Forwarded-Prefix": "//evil.example"})
    assert answer.headers["Location"] == "/login?next=/"


NO_PATHS = ["//evil.example", "/a//b", "https://evil.example", "evil", "/..", "/a/../b", "/a?b", "/a b", "/" + "a" * 99]


@pytest.mark.parametrize("prefix", NO_PATHS)
def test_a_prefix_is_a_path(at, prefix):
    master = at(PROXIES=1, PROXY_PREFIX=True)
    headers = {"X-Forwarded-Prefix": prefix}
    assert root_of(master, **headers) == "http://localhost/"
    assert master.client.get("/", headers=headers).headers["Location"] == "/login?next=/"
    assert prefix not in master.client.get("/login", headers=headers).text


@pytest.mark.parametrize("scheme", ["javascript", "ftp", "", "https:", 'x"'])
def test_a_scheme_is_one_of_two(at, scheme):
    assert root_of(at(PROXIES=1), **{"X-Forwarded-Proto": scheme}) == "http://localhost/"


@pytest.mark.parametrize("path", ["", "/bigfix"])
def test_the_public_url_goes_before_all_that_a_request_says(at, path):
    master = at(PUBLIC_URL="https://metrics.example/bigfix", PROXIES=1, PROXY_PREFIX=True)
    for headers in ({}, {"Host": "evil.example"}, FORWARDED):
        answer = master.get(f"{path}{URL}", query_string="output=xml", headers=headers)
        assert f' Resource="https://metrics.example/bigfix{URL}"' in answer.text
        assert master.client.get(f"{path}/", headers=headers).headers["Location"] == "/bigfix/login?next=/bigfix/"
    assert master.get("/bigfixed").status_code == 404
    form = {"name": "master-operator", "password": master.password}
    cookie = master.client.post(f"{path}/login", data=form).headers["Set-Cookie"]
    assert "; Secure" in cookie and "Path=/bigfix" in cookie


@pytest.mark.parametrize("settings", [{}, {"PUBLIC_URL": "https://metrics.example"}])
def test_only_trusted_hosts_are_answered(at, settings):
    master = at(TRUSTED_HOSTS=["one.example", "[::1]"], **settings)
    trusted = ["one.example", "ONE.example:52311", "[::1]:1"] + (["metrics.example"] if settings else [])
    for host in trusted:
        assert master.get(URL, headers={"Host": host}).status_code == 200
    for host in ("evil.example", "one.example.evil.example", "one.example@evil", "", "localhost"):
        assert_problem(master.get(URL, headers={"Host": host}), 400, "invalid-host")
        assert master.client.get("/login", headers={"Host": host}).status_code == 400
