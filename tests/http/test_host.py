"""The Host header, which becomes part of the addresses in XML answers."""

import pytest
from problems import assert_problem

LIST = "/api/deploymentmetrics"
URL = "/api/deploymentmetrics/custom"
XML = {"output": "xml"}
BAD = [
    'evil"<>',
    "two words",
    "two\twords",
    "user@host",
    "user:secret@host",
    "host/path",
    "host?query",
    "host#fragment",
    "host\\path",
    "host:port",
    "host:0",
    "host:65536",
    "host:-1",
    "host:81:82",
    ":80",
    "",
    "h" * 256,
    "h" * 8000,
    "[::1",
    "[::1]x",
    "[]",
    "[host]",
    "::1",
    "%6host",
    "h\u00f6st",
]


@pytest.mark.parametrize("host", BAD)
def test_a_host_that_is_none_gets_into_no_address(master, host):
    master.post(URL, data="1")
    headers = {"Host": host}
    for url in (LIST, URL, f"{URL}/history", f"{URL}/history/1"):
        answer = master.get(url, headers=headers, query_string=XML)
        assert_problem(answer, 400, "invalid-host", "xml")
        assert master.get(url, headers=headers).status_code == 200  # JSON names no address


@pytest.mark.parametrize("host", BAD)
def test_no_link_leads_to_a_host_that_is_none(master, host):
    for number in "123":
        master.post(URL, data=number)
        master.post(f"{LIST}/tag{number}", data=number)
    for url in (LIST, f"{URL}/history"):
        assert_problem(master.get(f"{url}?limit=1", headers={"Host": host}), 400, "invalid-host")


@pytest.mark.parametrize("host", BAD)
def test_nothing_is_stored_where_the_answer_cannot_be_given(master, services, host):
    answer = master.post(URL, data="1", headers={"Host": host}, query_string=XML)
    assert_problem(answer, 400, "invalid-host", "xml")
    assert services.documents.list().items == ()


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("host", "host"),
        ("host.example:52311", "host.example:52311"),
        ("HOST", "host"),
        ("host:80", "host"),
        ("192.0.2.1:8080", "192.0.2.1:8080"),
        ("[::1]", "[::1]"),
        ("[2001:db8::1]:52311", "[2001:db8::1]:52311"),
        ("xn--hst-sna.example", "xn--hst-sna.example"),
        ("bigfix_srv01:52311", "bigfix_srv01:52311"),
        ("host:", "host"),
        ("it's", "it's"),
        ("a!$&()*+,;=~b", "a!$&amp;()*+,;=~b"),
        ("%68ost", "%68ost"),
        ("h" * 255, "h" * 255),
        ("a..b", "a..b"),
    ],
)
def test_a_host_is_part_of_the_address(master, host, shown):
    answer = master.put(URL, data="1", headers={"Host": host}, query_string=XML)
    assert f'Resource="http://{shown}{URL}"' in answer.text


def test_a_name_with_an_underscore_is_a_host_everywhere(master, browser):
    """RFC 3986 lets a name have one, and so do many of Windows."""
    headers = {"Host": "bigfix_srv01:52311"}
    for number in "12":
        master.post(URL, data=number)
    link = master.get(f"{URL}/history?limit=1", headers=headers).headers["Link"]
    assert link == f'<http://bigfix_srv01:52311{URL}/history?limit=1&before=2>; rel="next"'
    own, other = (
        browser.post("/logout", headers={**headers, "Origin": f"http://{host}:52311"})
        for host in ("bigfix_srv01", "bigfix_srv02")
    )
    assert (own.status_code, other.status_code) == (302, 403)
