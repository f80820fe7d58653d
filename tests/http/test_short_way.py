"""The short way of reads: which requests go it. That it answers as Flask's way does is asserted wherever tests ask
``app``, see ``both_ways.py``."""

import pytest
from conftest import PASSWORD
from problems import assert_problem
from werkzeug.test import EnvironBuilder

from deploymetrics import create_app

LIST = "/api/deploymentmetrics"
URL = f"{LIST}/custom"
SHORT = {
    "document": (URL, {}),
    "head": (URL, {"method": "HEAD"}),
    "list": (LIST, {}),
    "XML": (URL, {"headers": {"Accept": "application/xml"}}),
    "list in XML": (LIST, {"headers": {"Accept": "application/xml"}}),
    "behind a proxy": (URL, {"headers": {"X-Forwarded-For": "192.0.2.1", "Via": "1.1 proxy"}}),
    "If-None-Match": (URL, {"headers": {"If-None-Match": "*"}}),
    "If-Modified-Since": (URL, {"headers": {"If-Modified-Since": "Fri, 12 Jan 2018 13:00:00 GMT"}}),
}
FLASK = {
    "another method": (URL, {"method": "OPTIONS"}),
    "another path": (f"{URL}/history", {}),
    "no tag": (f"{LIST}/", {}),
    "path that goes on": (f"{LIST}x", {}),
    "arguments": (URL, {"query_string": "output=xml"}),
    "escapes": (f"{LIST}/custo%6D", {}),
    "not ASCII": (f"{LIST}/custöm", {}),
    "unknown header": (URL, {"headers": {"X-Anything": "1"}}),
    "from a site": (URL, {"headers": {"Origin": "https://elsewhere.example"}}),
    "cookie": (URL, {"headers": {"Cookie": "a=b"}}),
    "session": (URL, {"headers": {"SessionToken": "x"}}),
    "no credential": (URL, {"auth": None}),
    "wrong password": (URL, {"auth": ("master-operator", "wrong")}),
    "no such document": (f"{LIST}/none", {}),
    "precondition": (URL, {"headers": {"If-Match": '"x"'}}),
    "no such format": (URL, {"headers": {"Accept": "image/png"}}),
}


@pytest.fixture
def went(app, master):
    """Whether a request of the master operator goes the short way; the credential is one that is remembered."""
    assert master.put(URL, data="[1.10]").status_code == 200

    def ask(path, method="GET", auth=("master-operator", PASSWORD), **options):
        builder = EnvironBuilder(path, method=method, auth=auth, **options)
        environ = {**builder.get_environ(), "RAW_URI": path}
        return app.reads.answer(environ) is not None

    return ask


@pytest.mark.parametrize(("path", "options"), SHORT.values(), ids=SHORT)
def test_these_go_the_short_way(went, path, options):
    assert went(path, **options)


@pytest.mark.parametrize(("path", "options"), FLASK.values(), ids=FLASK)
def test_these_go_the_way_of_flask(went, path, options):
    assert not went(path, **options)


def test_only_a_credential_that_is_remembered_goes_it(app, went, services):
    assert went(URL)
    services.accounts.set_password("master-operator", "another password")
    assert not went(URL)


def test_only_who_may_read_goes_it(went, operator, webui):
    for person in (operator, webui):
        assert_problem(person.get(URL), 403)
        assert not went(URL, auth=(person.name, PASSWORD))


def test_a_storage_that_cannot_answer_does_not_go_it(went, services, monkeypatch):
    monkeypatch.setattr(services.service, "get", lambda tag: 1 / 0)
    assert not went(URL)


@pytest.mark.parametrize("register", ["before_request", "after_request", "teardown_request"])
def test_a_hook_turns_it_off(folder, clock, register, monkeypatch):
    from deploymetrics.http import access

    check_in = access.init_app
    hooked = lambda app, *others: check_in(app, *others) or getattr(app, register)(lambda *response: None)  # noqa: E731
    monkeypatch.setattr(access, "init_app", hooked)
    assert not create_app(folder, clock=clock).reads.is_open
    monkeypatch.setattr(access, "init_app", check_in)
    assert create_app(folder, clock=clock).reads.is_open
