"""Forms that are too large or broken, from strangers above all: a short answer, on every page that takes forms."""

import io
import re
from functools import partial

import pytest
from pagekit import multipart, text_of

from deploymetrics.http.access import roles_of

URLENCODED = "application/x-www-form-urlencoded"


class Broken(io.RawIOBase):
    """A body whose chunks break HTTP; each server raises something of its own."""

    def __init__(self, error):
        self.error = error

    def seek(self, *args):
        return 0

    def read(self, size=-1):
        raise self.error


def chunked(stream, kind=URLENCODED):
    overrides = {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
    return {"input_stream": stream, "content_type": kind, "environ_overrides": overrides}


# Each makes the body anew.
LARGE = {
    "1.1 MB": lambda: {"data": b"name=" + b"x" * 1_100_000, "content_type": URLENCODED},
    "1,001 fields": lambda: multipart(**{f"f{number}": "" for number in range(1001)}),
    "8 MB": lambda: multipart(name="&" * 8_000_000),
    "chunks": lambda: chunked(io.BytesIO(b"x" * 100_000)),
}
CUT = {
    f"{kind.partition('/')[2]} {type(error).__name__}": partial(chunked, Broken(error), kind)
    for kind in (URLENCODED, "multipart/form-data; boundary=x")
    for error in (ValueError("chunk"), OSError("gone"), TypeError("of another server"))
}
CUT["length"] = lambda: {"data": b"name=", "content_type": URLENCODED, "environ_overrides": {"CONTENT_LENGTH": "100"}}


@pytest.fixture
def forms(app):
    """The path of every page that takes a form."""
    rules = [rule for rule in app.url_map.iter_rules() if "POST" in rule.methods and rule.endpoint.startswith("web.")]
    with app.app_context():
        assert len(rules) > 10 and any(roles_of(rule.endpoint) for rule in rules)
    return [rule.rule.replace("<tag>", "x").replace("<version>", "1") for rule in rules if rule.rule != "/logout"]


BODIES = [*((body, 413) for body in LARGE.values()), *((body, 400) for body in CUT.values())]


@pytest.mark.parametrize(("body", "status"), BODIES, ids=[*LARGE, *CUT])
def test_what_strangers_send_is_refused_shortly(forms, nobody, caplog, body, status):
    for path in forms:
        assert len(text_of(nobody.post(path, **body()), status)) < 2000, path
    assert caplog.text == ""


def test_a_stranger_gets_back_no_more_than_a_little(forms, nobody):
    for path in forms:
        assert len(nobody.post(path, **multipart(metrics="&" * 60_000)).data) < 500_000


@pytest.mark.parametrize("path", ["/login", "/account"])
def test_passwords_are_hidden_and_left_to_password_managers(nobody, pages, path):
    fields = re.findall(r"<input[^>]*password[^>]*>", (nobody if path == "/login" else pages).get(path).text)
    assert fields and all('type="password"' in field and 'autocomplete="' in field for field in fields)
    assert not any("onpaste" in field or 'autocomplete="off"' in field for field in fields)
