"""What is relied on of granian's inside, which worker serves what, and what is said where granian is missing."""

import asyncio
import logging
import sys
import threading
from types import SimpleNamespace

import pytest
from granian import _granian as native
from gunicorn.config import Config

from deploymetrics.errors import SettingError
from deploymetrics.server import limits
from deploymetrics.server.granian import share_listeners
from deploymetrics.server.granian_answering import Answering
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
    """When this fails, read what granian changed and whether ``server/granian.py`` still fits."""
    assert getattr(native, name).__text_signature__ == signature


def test_a_start_without_granian_says_what_to_install(folder, monkeypatch):
    folder.mkdir()
    monkeypatch.setitem(sys.modules, "granian", None)
    monkeypatch.delitem(sys.modules, "deploymetrics.server.granian")
    with pytest.raises(SettingError, match=r"pip install 'deploymetrics\[granian\]'"):
        Server(folder, {"SERVER": "granian"}, print)


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

    def send(self, message):
        """Take a message of the answer."""
        self.sent.append(message)

    async def receive(self):
        """The body, at once."""
        return {"type": "http.request", "body": b"[1]", "more_body": False}

    def done(self):
        """The answer is complete."""
        self.ended.set()


@pytest.mark.parametrize(("held", "status"), [(0, 200), (limits.HELD + 1, 503)])
def test_no_body_is_read_while_too_many_are_held(app, monkeypatch, held, status):
    monkeypatch.setattr(limits, "RECEIVE_SECONDS", 0.1)
    monkeypatch.setattr(logging.getLogger("deploymetrics"), "handlers", [])  # which the log changes, for all tests
    loop, log = asyncio.new_event_loop(), Log(Config())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def answered(environ, start_response):
        start_response("200 OK", [])
        return [environ["wsgi.input"].read()]

    answered.config = app.config
    answering = Answering(answered, log, loop, Config())
    answering.held, request = held, Request()
    answering.schedule(request)
    assert request.ended.wait(20)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
    answering.threads.shutdown()
    assert request.sent[0]["status"] == status and (request.sent[1]["body"] == b"[1]") == (status == 200)


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
