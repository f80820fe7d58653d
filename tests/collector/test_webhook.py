"""The webhook: what it says, when, how often, and that it proves who says it."""

import hashlib
import hmac
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from deploymetrics.collector import webhook
from deploymetrics.collector.signals import Stop
from deploymetrics.collector.webhook import Webhook
from deploymetrics.config.loading import load_settings
from deploymetrics.errors import SettingError

SECRET = "a secret of sixteen"


class Listener(BaseHTTPRequestHandler):
    """Keeps what it is sent."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.heard.append((dict(self.headers), body))
        self.send_response(500 if json.loads(body)["tag"] in self.server.refused else self.server.status)
        self.send_header("Location", "/elsewhere")
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture
def listener():
    with HTTPServer(("127.0.0.1", 0), Listener) as server:
        server.heard, server.status, server.refused = [], 200, ""
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def made(listener, services, clock):
    """Make a webhook that tells the listener, as each start of the collector does."""
    url = f"http://127.0.0.1:{listener.server_port}/hook"
    return lambda: Webhook(url, SECRET, services.documents, services.expectations, clock)


@pytest.fixture
def told(listener):
    """Have a webhook look; gives (event, tag) of what was heard since."""

    def look(hook):
        heard = len(listener.heard)
        hook.notify(Stop())
        return [
            (message["event"], message["tag"]) for _, body in listener.heard[heard:] for message in [json.loads(body)]
        ]

    return look


@pytest.fixture
def late(services, save, clock):
    """A tag that is expected every hour and was posted two hours ago, and one that is in time."""
    for tag, seconds in (("custom", 3600), ("good", 86400)):
        save(tag, b"[1]")
        services.expectations.set(tag, seconds, "bob")
    save("unexpected", b"[1]")
    clock.forward(hours=2)


def test_stale_and_fresh_again_are_said_once_each(made, told, late, save, clock):
    hook = made()
    assert told(hook) == [("stale", "custom")]
    assert told(hook) == told(made()) == []
    save("custom", b"[2]")
    assert told(made()) == [("fresh", "custom")]
    assert told(hook) == []
    clock.forward(hours=2)
    assert told(hook) == [("stale", "custom")]


def test_what_is_said_is_signed(made, told, late, listener, clock):
    told(made())
    ((headers, body),) = listener.heard
    moment = headers["Deploymetrics-Timestamp"]
    expected = hmac.new(SECRET.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    assert headers["Deploymetrics-Signature"] == f"sha256={expected}" and int(moment) == int(clock.timestamp())
    assert json.loads(body) == {
        "event": "stale",
        "tag": "custom",
        "at": "2018-01-12T14:00:03.123456Z",
        "lastChanged": "2018-01-12T12:00:03.123456Z",
        "changedBy": "bob",
        "version": 1,
        "everySeconds": 3600,
        "due": "2018-01-12T13:00:03.123456Z",
    }


def test_nobody_is_told_of_a_tag_of_which_nothing_is_expected_any_more(made, told, late, services):
    hook = made()
    told(hook)
    services.expectations.set("custom", None, "bob")
    assert told(hook) == []
    services.expectations.set("custom", 3600, "bob")
    assert told(hook) == [("stale", "custom")]


@pytest.mark.parametrize("status", [500, 404, 302])
def test_a_url_that_does_not_take_it_is_asked_again_later_and_later(
    made, told, late, save, listener, status, monkeypatch
):
    now = [1000.0]
    monkeypatch.setattr(webhook.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(Stop, "run_limited", lambda self, seconds, function: function())
    hook = made()
    listener.status = status
    asked = []
    for _ in range(1000):
        if told(hook):
            asked.append(now[0])
        now[0] += 10
    pauses = [later - earlier for earlier, later in zip(asked, asked[1:])]
    assert pauses == [30, 60, 120, 240, 480, 960, 1920, 3600]
    listener.status = 200
    now[0] += 3600
    assert told(hook) == [("stale", "custom")]
    assert told(hook) == []


def test_what_was_late_only_while_nobody_listened_is_not_mentioned(made, told, late, save, listener):
    hook = made()
    listener.status = 500
    told(hook)
    save("custom", b"[2]")
    listener.status = 200
    assert told(made()) == []


def test_many_are_told_in_parts(made, told, services, save, clock, monkeypatch):
    monkeypatch.setattr(webhook, "AT_ONCE", 3)
    for tag in "abcde":
        save(tag, b"[1]")
        services.expectations.set(tag, 60, "bob")
    clock.forward(hours=1)
    hook = made()
    assert [tag for _, tag in told(hook)] == ["a", "b", "c"]
    assert [tag for _, tag in told(hook)] == ["d", "e"]


def test_no_tag_waits_for_one_whose_message_the_url_does_not_take(
    made, told, services, save, clock, listener, monkeypatch
):
    """Not even where all were refused once, while nothing worked."""
    monkeypatch.setattr(webhook, "FIRST_PAUSE", 0)
    for tag in "abcde":
        save(tag, b"[1]")
        services.expectations.set(tag, 60, "bob")
    clock.forward(hours=1)
    hook = made()
    listener.status = 503
    assert [tag for _ in range(5) for _, tag in told(hook)] == ["a", "b", "c", "d", "e"]
    listener.status, listener.refused = 200, "ac"
    assert [[tag for _, tag in told(hook)] for _ in range(4)] == [["a"], ["b", "c"], ["d", "e", "a"], ["c"]]
    listener.refused = ""
    assert [tag for _, tag in told(hook)] == ["a", "c"]
    assert told(hook) == []


def test_a_tag_that_gets_stale_in_a_pause_waits_for_no_refused_one(made, told, services, save, clock, listener):
    for tag in "abc":
        save(tag, b"[1]")
    clock.forward(hours=1)
    hook, listener.refused = made(), "a"
    services.expectations.set("a", 60, "bob")
    assert [tag for _ in range(2) for _, tag in told(hook)] == ["a"]
    services.expectations.set("b", 60, "bob")
    assert told(hook) == [("stale", "b")]
    listener.status = 503
    services.expectations.set("c", 60, "bob")
    assert [[tag for _, tag in told(hook)] for _ in range(2)] == [["c"], []]


@pytest.mark.parametrize(
    "answer", [b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200]
)
def test_what_is_not_http_is_no_answer(made, told, late, listener, monkeypatch, answer):
    monkeypatch.setattr(webhook, "FIRST_PAUSE", 0)
    monkeypatch.setattr(Listener, "do_POST", lambda self: self.wfile.write(answer))
    hook = made()
    assert told(hook) == []
    monkeypatch.undo()
    assert told(hook) == [("stale", "custom")]


def test_an_answer_is_its_status(made, told, late, listener, monkeypatch):
    monkeypatch.setattr(
        Listener, "do_POST", lambda self: self.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx")
    )
    hook = made()
    hook.notify(Stop())
    monkeypatch.undo()
    assert told(hook) == []


def test_a_slow_url_does_not_hold_up_the_sources(made, told, services, save, clock, monkeypatch):
    for tag in "abcde":
        save(tag, b"[1]")
        services.expectations.set(tag, 60, "bob")
    clock.forward(hours=1)
    now = [1000.0]

    def take_long(self, seconds, function):
        now[0] += webhook.ANSWER_SECONDS - 1
        return function()

    monkeypatch.setattr(webhook.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(Stop, "run_limited", take_long)
    hook = made()
    assert [tag for _, tag in told(hook)] == ["a", "b", "c"]
    assert now[0] - 1000.0 <= webhook.CHECK_SECONDS
    assert [tag for _, tag in told(hook)] == ["d", "e"]


def test_a_url_that_never_answers_ends_with_the_time(made, late, listener, monkeypatch):
    monkeypatch.setattr(webhook, "ANSWER_SECONDS", 0.1)
    hook = made()
    listener.shutdown()  # it listens on, and takes nothing
    hook.notify(Stop())
    assert listener.heard == []


def test_a_url_needs_a_secret(tmp_path):
    with pytest.raises(SettingError, match="WEBHOOK_SECRET"):
        load_settings(tmp_path, {"WEBHOOK_URL": "https://a.example/hook"})
