"""Whatever the headers have, the answer is one of ours: no 500, and nothing of them in an address or a header."""

import re

import pytest
from corpus import kept
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

NAMES = (
    "Accept Access-Control-Request-Headers Access-Control-Request-Method Authorization Content-Encoding Content-Length "
    "Content-Type Cookie Host If-Match If-Modified-Since If-None-Match If-Range If-Unmodified-Since Origin Range "
    "Referer Sec-Fetch-Mode Sec-Fetch-Site SessionToken Transfer-Encoding X-Forwarded-For X-Forwarded-Host "
    "X-Forwarded-Prefix X-Forwarded-Proto X-Remote-User X-Request-ID"
).split()
PIECES = (
    "* */* application/json application/xml text/html ;q= ; , = \" \\\\ W/ 0 1 -1 1e400 nan . : :// / // "
    ".. [ ] @ % %2e Fri, 12 Jan 2018 9999 12:00:00 23:59:59 GMT +2359 -2359 "
    "127.0.0.1 ::1 evil.example https Basic Bearer Og== "
    "deploymetrics= .eJ null cross-site chunked gzip bytes= 0-1 master-operator \t \xff \x00 \xe9"
).split(" ")
WAYS = [
    ("GET", "/api/deploymentmetrics/custom"),
    ("GET", "/api/deploymentmetrics"),
    ("POST", "/api/deploymentmetrics/custom"),
    ("OPTIONS", "/api/login"),
    ("GET", "/login"),
    ("POST", "/new"),
]
SETTINGS = {
    "PROXIES": 1,
    "PROXY_PREFIX": True,
    "REMOTE_USER_HEADER": "X-Remote-User",
    "CORS_ORIGINS": ["https://a.example"],
    "GUESSES": 1000,
    "GUESSES_PER_ADDRESS": 100_000,
}
HEADER = st.tuples(
    st.sampled_from(NAMES), st.lists(st.sampled_from(PIECES) | st.text("a,; \"=/", max_size=3), max_size=8).map("".join)
)


def read(line):
    """A header of the corpus, as what the test is called with."""
    name, _, value = line.decode("latin-1").partition(": ")
    return [(name, value)]


@pytest.fixture
def app_settings():
    return SETTINGS


@kept("headers", read)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(HEADER, min_size=1, max_size=3))
def test_any_header_has_an_answer_of_ours(app, master, headers):
    base = {"auth": (master.name, master.password)} if "Authorization" not in dict(headers) else {}
    for method, path in WAYS:
        environ = {key(name): value for name, value in headers}
        answer = master.client.open(path, method=method, data="1", environ_overrides=environ, **base)
        assert answer.status_code < 500, (method, path)
        assert answer.status_code < 400 or answer.data or method == "HEAD"
        for name, value in answer.headers:
            assert not re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value), name
        assert "Traceback" not in answer.text
        assert re.match(r"/(?!/)|https?://[^/@\\\\]*/|$", answer.headers.get("Location", ""))


def key(name):
    """What a header is called in WSGI."""
    plain = name.upper().replace("-", "_")
    return plain if plain in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{plain}"
