"""What is relied on of granian's inside, which worker serves what, and what is said where granian is missing."""

import logging
import math
import signal
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest
from granian import _granian as native
from gunicorn.config import Config
from waiting import wait_for

from deploymetrics.errors import SettingError
from deploymetrics.http.environ_keys import ONLY_FAST_PATH, RECEIVED_AT
from deploymetrics.server import granian_bodies, limits
from deploymetrics.server.granian_answering import Answering
from deploymetrics.server.granian_worker import cores_of, share_listeners
from deploymetrics.server.log import Log
from deploymetrics.server.master import Server


@pytest.mark.parametrize(
    ("name", "signature"),
    [
        (
            "ASGIWorker",
            "(worker_id, sock, ipc, threads=1, blocking_threads=512, py_threads=1, py_threads_idle_timeout=30,"
            ' backpressure=256, http_mode="1", http1_opts=None, http2_opts=None, websockets_enabled=False,'
            " static_files=None, ssl_enabled=False, ssl_cert=None, ssl_key=None, ssl_key_password=None,"
            ' ssl_protocol_min="1.3", ssl_ca=None, ssl_crl=..., ssl_client_verify=False, metrics=...)',
        ),
        ("CallbackScheduler", "(event_loop, cb, aio_task, aio_tenter, aio_texit)"),
        ("SocketHolder", "(fd, uds, backlog)"),
        ("WorkerSignal", "()"),
    ],
)
def test_granian_is_as_it_was(name, signature):
    """When this fails, read what granian changed and whether ``server/granian_worker.py`` still fits."""
    assert getattr(native, name).__text_signature__ == signature


def test_a_start_without_granian_says_what_to_install(folder, monkeypatch):
    folder.mkdir()
    monkeypatch.setitem(sys.modules, "granian", None)
    monkeypatch.delitem(sys.modules, "deploymetrics.server.granian_worker")
    with pytest.raises(SettingError, match=r"pip install 'deploymetrics\[granian\]'"):
        Server(folder, {"SERVER": "granian"}, print)


BEGINNING = """
import signal, socket, sys, time
from unittest.mock import MagicMock
from deploymetrics.server import granian_worker, limits
granian_worker.native = MagicMock()
granian_worker.native.ASGIWorker().serve_mtr = lambda *args: time.sleep(float(sys.argv[1]))
limits.BEGIN_SECONDS = 1
granian_worker.serve(socket.create_server(("127.0.0.1", 0)), None, print, None, None, None)
sys.exit(signal.alarm(0))
"""


@pytest.mark.parametrize(("seconds", "code"), [(0, 0), (60, -signal.SIGALRM)])
def test_a_worker_in_which_granian_never_begins_ends(seconds, code):
    """Else clients would wait on its share of the listeners until the master took it for dead."""
    done = subprocess.run([sys.executable, "-c", BEGINNING, str(seconds)], timeout=30, check=False)
    assert done.returncode == code


class Request:
    """A request of granian's with a body, whose client gets what is in ``sent``."""

    def __init__(self):
        headers = [(b"host", b"a"), (b"content-length", b"3")]
        address = ("127.0.0.1", "1")
        self.scope = {
            "method": "POST",
            "raw_path": b"/",
            "query_string": b"",
            "scheme": "http",
            "http_version": "1.1",
            "server": address,
            "client": address,
            "headers": headers,
        }
        self.proto, self.sent, self.ended = self, [], threading.Event()
        self.asked, self.come, self.message = threading.Event(), None, None

    def send(self, message):
        """Take a message of the answer."""
        self.sent.append(message)

    def receive(self):
        """A future, as granian has it: this."""
        return self

    def add_done_callback(self, callback, context):
        """Take what to call when something has come."""
        self.come = callback
        self.asked.set()

    def __await__(self):
        yield from ()
        return self.message

    def send_body(self, data, *, is_all=True):
        """Let the client send a piece of the body, for which it was asked."""
        assert self.asked.wait(20)
        self.asked.clear()
        self.message = {"type": "http.request", "body": data, "more_body": not is_all}
        self.come(self)

    def answer(self):
        """The status and the body of the answer."""
        assert self.ended.wait(20)
        return self.sent[0]["status"], self.sent[1]["body"]

    def done(self):
        """The answer is complete."""
        self.ended.set()


@pytest.fixture
def answering(app, monkeypatch):
    """Answers with the body, once ``go_on`` is set, or with ``broken``."""
    monkeypatch.setattr(limits, "RECEIVE_SECONDS", 0)
    monkeypatch.setattr(limits, "BYTES_PER_SECOND", math.inf)
    monkeypatch.setattr(logging.getLogger("deploymetrics"), "handlers", [])  # which the log changes, for all tests

    def answered(environ, start_response):
        assert answering.go_on.wait(20)
        start_response("200 OK", [])
        try:
            return [environ["wsgi.input"].read()]
        except OSError:
            return [b"broken"]

    answered.config = app.config
    answering = Answering(answered, Log(Config()), Config())
    answering.go_on = threading.Event()
    answering.go_on.set()
    yield answering
    answering.go_on.set()
    answering.threads.end()


def test_a_body_is_answered_when_it_is_whole(answering):
    """A length says that; who sends in chunks says it at the end."""
    first, second = Request(), Request()
    del second.scope["headers"][1]
    second.scope["headers"].append((b"transfer-encoding", b"chunked"))
    for request in first, second:
        answering.schedule(request)
        request.send_body(b"[", is_all=False)
        assert not request.ended.is_set()
        request.send_body(b"1]", is_all=False)
    assert first.answer() == (200, b"[1]")
    assert not second.ended.is_set()
    second.send_body(b"")
    assert second.answer() == (200, b"[1]")


def test_an_answer_has_the_date_of_the_clock_also_when_that_was_put_back(answering, monkeypatch):
    dates = []
    for moment in (1515758403.9, 1515672003.0):
        monkeypatch.setattr(time, "time", lambda: moment)
        answering.schedule(request := Request())
        request.send_body(b"[1]")
        request.answer()
        dates += [value for name, value in request.sent[0]["headers"] if name == b"date"]
    assert dates == [b"Fri, 12 Jan 2018 12:00:03 GMT", b"Thu, 11 Jan 2018 12:00:03 GMT"]


def test_a_body_that_takes_too_long_ends_once(answering, monkeypatch):
    monkeypatch.setattr(limits, "HELD", 0)
    request, following = Request(), Request()
    answering.schedule(request)
    request.send_body(b"[", is_all=False)
    answering.bodies.end_late()
    assert request.answer() == (200, b"broken")
    request.send_body(b"1]")
    assert len(request.sent) == 2
    answering.schedule(following)
    following.send_body(b"[1]")  # nothing is held any more
    assert following.answer() == (200, b"[1]")


def test_a_request_that_waits_for_a_thread_says_when_it_came(answering):
    asked, request = [], Request()
    del request.scope["headers"][1]

    def app(environ, start_response):
        environ["PATH_INFO"] += "/changed"  # as what stands before an application does
        asked.append(environ)  # and answers nothing, since each would have to wait

    answering.app = app
    before = time.perf_counter()
    answering.schedule(request)
    after = time.perf_counter()
    wait_for(lambda: len(asked) == 2, "a thread")
    assert RECEIVED_AT not in asked[0] and before <= asked[1][RECEIVED_AT] <= after
    assert ONLY_FAST_PATH in asked[0] and ONLY_FAST_PATH not in asked[1]
    assert asked[0]["PATH_INFO"] == asked[1]["PATH_INFO"]


@pytest.mark.parametrize(("is_late", "answer"), [(True, 503), (False, 200)])
def test_no_body_is_read_while_too_many_are_held(answering, monkeypatch, is_late, answer):
    monkeypatch.setattr(limits, "HELD", 2)
    answering.go_on.clear()
    first, second = Request(), Request()
    answering.schedule(first)
    first.send_body(b"[1]")
    answering.schedule(second)
    assert not second.asked.is_set()
    if is_late:
        answering.bodies.end_late()
    answering.go_on.set()
    assert first.answer() == (200, b"[1]")
    if not is_late:
        second.send_body(b"[2]")
    assert second.answer()[0] == answer and not second.asked.is_set()
    third = Request()
    answering.schedule(third)
    third.send_body(b"[3]")
    assert third.answer() == (200, b"[3]")


def test_of_bodies_that_come_together_the_longest_is_given_up_where_they_are_too_much(answering, monkeypatch):
    """All of them were begun while nothing was held."""
    monkeypatch.setattr(limits, "HELD", 0)
    answering.bodies.largest = 5  # bytes, which are held then at most
    short, long = Request(), Request()
    for request in short, long:
        request.scope["headers"][1] = (b"content-length", b"5")
        answering.schedule(request)
    long.send_body(b"[1,1", is_all=False)
    short.send_body(b"[1", is_all=False)
    assert long.answer()[0] == 503 and answering.bodies.held == 2
    long.send_body(b"]")
    short.send_body(b",1]")
    assert short.answer() == (200, b"[1,1]") and len(long.sent) == 2
    wait_for(lambda: answering.bodies.held == 0, "its release")


@pytest.mark.parametrize("step", ["BytesIO", "result_of"])
def test_a_body_for_which_there_is_no_memory_is_refused_and_takes_no_room(answering, monkeypatch, step):
    def no_memory(_):
        raise MemoryError

    answering.schedule(refused := Request())
    refused.send_body(b"[", is_all=False)
    with monkeypatch.context() as patch:
        patch.setattr(granian_bodies, step, no_memory)
        refused.send_body(b"1]")
        assert refused.answer()[0] == 503
    wait_for(lambda: answering.bodies.held == 0, "its release")
    answering.schedule(following := Request())
    following.send_body(b"[1]")
    assert following.answer() == (200, b"[1]")


class Listener:
    """A listener of the master that does nothing."""

    FAMILY = 0

    def setsockopt(self, *args):
        """Take it."""


def served(worker, listeners):
    """The listeners that a worker serves."""
    return listeners[worker.share :: worker.shares]


def test_the_workers_share_the_listeners_whoever_comes_and_goes(monkeypatch):
    """At a start, after a crash, and at a reload while the old workers are still there."""
    monkeypatch.setenv("LISTEN_FDS", "3")  # as many listeners as there are
    master = SimpleNamespace(LISTENERS=[Listener() for _ in range(3)], WORKERS={}, num_workers=3)

    def start(pid):
        worker = SimpleNamespace()
        share_listeners(master, worker)
        master.WORKERS[pid] = worker

    def are_shared(*pids):
        parts = [served(master.WORKERS[pid], master.LISTENERS) for pid in pids]
        return sorted(map(id, sum(parts, []))) == sorted(map(id, master.LISTENERS))

    for pid in (1, 2, 3):
        start(pid)
    assert are_shared(1, 2, 3)
    del master.WORKERS[2]
    start(4)
    assert are_shared(1, 3, 4)
    master.num_workers = 2
    for pid in (5, 6):
        start(pid)
    assert are_shared(5, 6)
    for pid in (1, 3, 4, 5):
        del master.WORKERS[pid]
    start(7)
    assert are_shared(6, 7)


@pytest.mark.parametrize(
    ("shares", "cores", "expected"),
    [
        (1, {0}, [{0}]),
        (1, {0, 1}, [{0, 1}]),
        (2, {0, 1}, [{0}, {1}]),
        (2, {7, 3}, [{3}, {7}]),
        (2, {0, 1, 2}, [{0, 1, 2}, {0, 1, 2}]),
        (3, {0, 1}, [{0}, {1}, {0}]),
    ],
)
def test_each_worker_has_a_core_of_its_own_where_they_are_no_fewer(shares, cores, expected):
    assert [cores_of(share, shares, cores) for share in range(shares)] == expected
