"""What is relied on of granian's inside, which worker serves what, and what is said where granian is missing."""

import sys
from types import SimpleNamespace

import pytest
from granian import _granian as native

from deploymetrics.errors import SettingError
from deploymetrics.server import Server
from deploymetrics.server.granian import share_listeners


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
