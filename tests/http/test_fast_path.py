"""The fast path: which requests go it, and that what it leaves is what Flask's way would have left.

That reads are answered as Flask's way does is asserted wherever tests ask ``app`` as well, see ``both_paths.py``.
"""

import io

import pytest
import werkzeug
from conftest import PASSWORD
from twins import Twins
from werkzeug.test import EnvironBuilder

from deploymetrics import create_app
from deploymetrics.accounts.service import Role
from deploymetrics.errors import StorageError, StorageFullError
from deploymetrics.http.environ_keys import ONLY_FAST_PATH
from deploymetrics.storage.files import FileStorage

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
    "no such document": (f"{LIST}/none", {}),
    "precondition": (URL, {"headers": {"If-Match": '"x"'}}),
    "no such format": (URL, {"headers": {"Accept": "image/png"}}),
    "POST": (URL, {"method": "POST", "data": "[1]"}),
    "PUT": (URL, {"method": "PUT", "data": "[1]"}),
    "DELETE": (URL, {"method": "DELETE"}),
    "unknown header": (URL, {"headers": {"X-Anything": "1"}}),
    "from a site": (URL, {"headers": {"Origin": "https://elsewhere.example"}}),
    "If-Modified-Since": (URL, {"headers": {"If-Modified-Since": "Fri, 12 Jan 2018 13:00:00 GMT"}}),
}
FLASK = {
    "another method": (URL, {"method": "OPTIONS"}),
    "method that the path does not have": (LIST, {"method": "POST"}),
    "path that looks like a rule": (f"{LIST}/<tag>/history", {}),
    "another path": (f"{URL}/history", {}),
    "no tag": (f"{LIST}/", {}),
    "path that goes on": (f"{LIST}x", {}),
    "arguments": (URL, {"query_string": "output=xml"}),
    "escapes": (f"{LIST}/custo%6D", {}),
    "not ASCII": (f"{LIST}/custöm", {}),
    "cookie": (URL, {"headers": {"Cookie": "a=b"}}),
    "session": (URL, {"headers": {"SessionToken": "x"}}),
    "no credential": (URL, {"auth": None}),
    "wrong password": (URL, {"auth": ("master-operator", "wrong")}),
}


@pytest.fixture
def went(app, master):
    """Whether a request of the master operator goes the fast path; the credential is one that is remembered."""
    assert master.put(URL, data="[1.10]").status_code == 200

    def ask(path, method="GET", auth=("master-operator", PASSWORD), **options):
        builder = EnvironBuilder(path, method=method, auth=auth, **options)
        environ = {**builder.get_environ(), "RAW_URI": path}
        return app.fast_path.answer(environ) is not None

    return ask


@pytest.mark.parametrize(("path", "options"), SHORT.values(), ids=SHORT)
def test_these_go_the_fast_path(went, path, options):
    assert went(path, **options)


@pytest.mark.parametrize(("path", "options"), FLASK.values(), ids=FLASK)
def test_these_go_the_way_of_flask(went, path, options):
    assert not went(path, **options)


def test_only_a_credential_that_is_remembered_goes_it(app, went, services):
    assert went(URL)
    services.accounts.set_password("master-operator", "another password")
    assert not went(URL)


def test_one_thread_is_enough_for_what_only_reads(app, went):
    builder = EnvironBuilder(URL, method="DELETE", auth=("master-operator", PASSWORD))
    assert app.fast_path.answer({**builder.get_environ(), ONLY_FAST_PATH: True}) is None


@pytest.mark.parametrize("name", ["POST", "PUT", "DELETE"])
def test_werkzeugs_part_of_a_write_is_not_made(went, monkeypatch, name):
    """It would take longer than the rules that are asked."""
    monkeypatch.delattr(werkzeug.Request, "__init__")
    path, options = SHORT[name]
    assert went(path, **options)


@pytest.mark.parametrize("register", ["before_request", "after_request", "teardown_request"])
def test_a_hook_turns_it_off(folder, clock, register, monkeypatch):
    from deploymetrics.http import access

    check_in = access.init_app
    hooked = lambda app, *others: check_in(app, *others) or getattr(app, register)(lambda *response: None)  # noqa: E731
    monkeypatch.setattr(access, "init_app", hooked)
    assert not create_app(folder, clock=clock).fast_path.is_open
    monkeypatch.setattr(access, "init_app", check_in)
    assert create_app(folder, clock=clock).fast_path.is_open


BODY = b'{"a": [1.10, 1E400]}'
XML = b"<BESAPI><DeploymentMetrics><Metrics>%b</Metrics></DeploymentMetrics></BESAPI>"
IN_XML = XML % b'<string xmlns="http://www.w3.org/2005/xpath-functions">a</string>'
#: Requests one after the other, each with the status that both ways answer.
WRITES = {
    "created": (200, {"data": BODY}),
    "updated": (200, {"data": BODY, "method": "PUT"}),
    "created only": (412, {"data": BODY, "HTTP_IF_NONE_MATCH": "*"}),
    "another version": (412, {"data": BODY, "HTTP_IF_MATCH": '"x"'}),
    "a precondition that says nothing": (400, {"data": BODY, "HTTP_IF_UNMODIFIED_SINCE": "yesterday"}),
    "any version": (200, {"data": BODY, "HTTP_IF_MATCH": "*"}),
    "XML": (200, {"data": IN_XML, "CONTENT_TYPE": "application/xml", "HTTP_ACCEPT": "application/xml"}),
    "XML that is none": (400, {"data": b"<a", "CONTENT_TYPE": "application/xml"}),
    "no JSON": (400, {"data": b"[1,]"}),
    "empty": (400, {}),
    "whole document": (400, {"data": b'{"tag": "custom", "metrics": 1, "lastChanged": "x"}'}),
    "another type": (415, {"data": BODY, "CONTENT_TYPE": "text/csv"}),
    "compressed": (415, {"data": BODY, "HTTP_CONTENT_ENCODING": "gzip"}),
    "no such format": (406, {"data": BODY, "HTTP_ACCEPT": "image/png"}),
    "no host for XML": (400, {"data": BODY, "HTTP_ACCEPT": "application/xml", "HTTP_HOST": "a b"}),
    "too large": (413, {"data": b"[" + b" " * 2000 + b"]"}),
    "too large in chunks": (413, {"data": lambda: io.BytesIO(b" " * 2000), "wsgi.input_terminated": True}),
    "in chunks": (200, {"data": lambda: io.BytesIO(BODY), "wsgi.input_terminated": True}),
    "refused with the rest unread": (413, {"data": b" " * 9000, "wsgi.input_terminated": True}),
    "shorter than it says": (400, {"data": b"12", "CONTENT_LENGTH": "4"}),
    "breaks off": (400, {"data": lambda: Broken(), "wsgi.input_terminated": True}),
    "expected": (200, {"data": BODY, "HTTP_EXPECT": "100-continue"}),
    "reserved": (403, {"path": f"{LIST}/Platform", "data": BODY}),
    "a tag with a space": (400, {"path": f"{LIST}/ a", "data": BODY}),
    "a tag that is too long": (400, {"path": f"{LIST}/{'a' * 65}", "data": BODY}),
    "of somebody who may not": (403, {"data": BODY, "auth": ("operator", PASSWORD)}),
    "deleted": (204, {"method": "DELETE"}),
    "deleted twice": (404, {"method": "DELETE"}),
    "read by somebody who may not": (403, {"method": "GET", "auth": ("operator", PASSWORD)}),
    "read what is not there": (404, {"method": "GET"}),
    "head of what is not there": (404, {"method": "HEAD"}),
    "listed with a precondition": (412, {"path": LIST, "method": "GET", "HTTP_IF_MATCH": '"x"'}),
}


class Broken(io.RawIOBase):
    """A body that breaks off."""

    def read(self, size=-1):
        raise OSError("it broke off")

    readinto = read


@pytest.fixture
def twins(folder, clock, app_settings):
    """Both have remembered the accounts."""
    twins = Twins(folder, clock, {"MAX_BODY_BYTES": 1000, **(app_settings or {})})
    for name in ("master-operator", "operator"):
        twins.send("/api/help", "GET", auth=(name, PASSWORD))
    return twins


def sent(twins, path=URL, **request):
    """The status of a request that went the fast path."""
    status, went = twins.send(path, **request)
    assert went
    return status


def test_both_paths_leave_the_same(twins):
    for status, request in WRITES.values():
        assert sent(twins, **request) == status


def read_twice(app, monkeypatch, between=lambda: None):
    """Have each answer begin with one that turns out to be outdated."""

    def read_together(work, *wanted, not_before=None):
        work()
        between()
        return work()

    store = app.extensions["deploymetrics"].store
    monkeypatch.setattr(store, "read_together", read_together)
    monkeypatch.setattr(store, "reads_wait", True)


def test_an_answer_that_was_outdated_leaves_nothing(twins, monkeypatch):
    read_twice(twins.apps[0], monkeypatch)
    for status, request in WRITES.values():
        if request.get("method", "POST") in ("GET", "HEAD"):
            assert sent(twins, **request) == status


def test_an_outdated_answer_names_nobody_in_the_one_that_flask_gives(twins, monkeypatch):
    def change_password():
        for app in twins.apps:
            app.extensions["deploymetrics"].accounts.set_password("operator", "another password")

    read_twice(twins.apps[0], monkeypatch, change_password)
    assert twins.send(URL, "GET", auth=("operator", PASSWORD)) == (401, False)


@pytest.mark.parametrize("app_settings", [{"READ_ONLY": True}])
def test_neither_way_writes_where_nothing_may_be_written(twins):
    assert sent(twins, data=BODY) == 503


def test_both_paths_answer_for_a_storage_that_fails(twins, monkeypatch, caplog):
    for error, status in ((StorageFullError(log="the disk is full"), 507), (ZeroDivisionError("a bug"), 500)):
        for app in twins.apps:

            def fail(*args, error=error, **options):
                raise error

            monkeypatch.setattr(app.extensions["deploymetrics"].documents, "save", fail)
        caplog.clear()
        assert sent(twins, data=BODY) == status
        first, second = caplog.records
        assert first.message == second.message and first.requestId == second.requestId
        assert bool(first.exc_info) == bool(second.exc_info) == (status == 500)


def test_both_paths_keep_to_what_an_account_may(twins):
    secret = "a secret that is long enough to be one"
    for app in twins.apps:
        accounts = app.extensions["deploymetrics"].accounts
        accounts.add("app", Role.WEBUI_APP, secret)
        accounts.set_limits("app", tags=["custom"], documents=0, bytes=0, posts=1)
    asked = {"auth": None, "HTTP_AUTHORIZATION": f"Bearer {secret}"}
    assert sent(twins, f"{LIST}/other", data=BODY, **asked) == 403
    assert [sent(twins, data=BODY, **asked) for _ in range(2)] == [200, 429]
    assert sent(twins, method="DELETE", **asked) == 403


def test_a_storage_that_fails_is_waited_for_once(monkeypatch, folder, clock):
    """That is for the seconds of a deadline, where it is a database that does not answer."""
    fails, waits = False, []

    def refuse_by(method):
        def refusing(*args, **options):
            if fails:
                waits.append(args)
                raise StorageError(log="no answer")
            return method(*args, **options)

        return refusing

    for name in ("read", "read_together"):
        monkeypatch.setattr(FileStorage, name, refuse_by(getattr(FileStorage, name)))
    twins = Twins(folder, clock, {})
    twins.send(URL, data=BODY)
    fails = True
    for method, data in (("POST", BODY), ("GET", b"")):
        waits.clear()
        assert sent(twins, method=method, data=data) == 503
        assert len(waits) == 2  # once each
