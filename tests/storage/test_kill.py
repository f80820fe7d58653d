"""``kill -9`` of workers and of the whole server, again and again, under load: nothing acknowledged is lost."""

import base64
import http.client
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from conftest import PASSWORD
from storekit import files_below

from deploymetrics import create_app
from deploymetrics.accounts.service import Role
from deploymetrics.documents.service import DOCUMENTS

WRITERS = 6
ROUNDS = 3
WORKERS_KILLED = 3
PROGRESS = 15
PATIENCE = 60

pytestmark = pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="finds the workers through /proc")


def free_port():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


class Server:
    """``deploymetrics serve`` in a process group of its own, with two workers."""

    def __init__(self, folder, port, log):
        self.port = port
        self.log = log
        self.environment = os.environ | {
            "DEPLOYMETRICS_INSTANCE": str(folder),
            "DEPLOYMETRICS_HISTORY_VERSIONS": "100000",
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        }
        self.process = None

    def start(self):
        command = [sys.executable, "-c", "from deploymetrics.cli import main; main()", "serve", "--workers", "2"]
        self.process = subprocess.Popen(
            [*command, "--bind", f"127.0.0.1:{self.port}"],
            env=self.environment, stdout=self.log, stderr=self.log, start_new_session=True,
        )

    def kill_worker(self):
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        for child in children[:1]:
            os.kill(int(child), signal.SIGKILL)

    def kill_all(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def stop(self):
        self.process.terminate()
        return self.process.wait()


class Writer(threading.Thread):
    """Posts one value after another to its own tag and to one that all share, and notes what was acknowledged."""

    def __init__(self, number, port, done):
        super().__init__()
        self.number = number
        self.port = port
        self.done = done
        self.sent = []
        self.acknowledged = []
        self.wrong = []

    def run(self):
        connection = None
        for count in itertools.count():
            if self.done.is_set():
                break
            tag = ("shared", f"own{self.number}")[count % 2]
            value = f"{self.number}-{count}"
            try:
                connection = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
                self.post(connection, tag, value)
            except (OSError, http.client.HTTPException):
                connection.close()
                connection = None
                time.sleep(0.02)
        if connection:
            connection.close()

    def post(self, connection, tag, value):
        token = base64.b64encode(f"admin:{PASSWORD}".encode()).decode()
        self.sent.append((tag, value))
        headers = {"Authorization": f"Basic {token}", "Content-Type": "application/json"}
        connection.request("POST", f"/api/deploymentmetrics/{tag}", json.dumps(value), headers)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status == 200:
            self.acknowledged.append((tag, value))
        else:
            self.wrong.append((answer.status, body))


def wait_for_progress(server, writers):
    """Until a number of writes more were acknowledged."""
    goal = sum(len(writer.acknowledged) for writer in writers) + PROGRESS
    until = time.monotonic() + PATIENCE
    while sum(len(writer.acknowledged) for writer in writers) < goal:
        assert server.process.poll() is None, "the server ended by itself"
        assert time.monotonic() < until, "the server does not answer"
        time.sleep(0.01)


@pytest.fixture
def folder(tmp_path):
    """An instance folder with the account that writes."""
    app = create_app(tmp_path / "instance")
    app.extensions["deploymetrics"].accounts.add("admin", Role.MASTER_OPERATOR, PASSWORD)
    return tmp_path / "instance"


@pytest.fixture
def server(folder, tmp_path):
    with open(tmp_path / "log", "wb") as log:
        server = Server(folder, free_port(), log)
        server.start()
        yield server
        server.kill_all()


@pytest.fixture
def writers(server):
    """Threads that write, at work."""
    done = threading.Event()
    writers = [Writer(number, server.port, done) for number in range(WRITERS)]
    for writer in writers:
        writer.start()
    try:
        yield writers
    finally:
        done.set()
        for writer in writers:
            writer.join()


def test_what_was_acknowledged_is_there_after_kills(folder, server, writers):
    for _ in range(ROUNDS):
        for _ in range(WORKERS_KILLED):
            wait_for_progress(server, writers)
            server.kill_worker()
        wait_for_progress(server, writers)
        server.kill_all()
        server.start()
    wait_for_progress(server, writers)
    writers[0].done.set()
    for writer in writers:
        writer.join()
    assert server.stop() == 0
    assert [writer.wrong for writer in writers] == [[]] * WRITERS
    check(folder, writers)


def check(folder, writers):
    service = create_app(folder, {"HISTORY_VERSIONS": 100_000}).extensions["deploymetrics"].service
    listing = service.list()
    assert listing.damaged == ()
    assert len(listing.items) == WRITERS + 1
    for tag in [item.key for item in listing.items]:
        history = service.store.history(DOCUMENTS, tag)[::-1]
        assert [item.version for item in history] == list(range(1, len(history) + 1))
        found = [json.loads(item.value)["metrics"] for item in history]
        assert len(set(found)) == len(found)
        assert set(found) <= {value for writer in writers for at, value in writer.sent if at == tag}
        places = {value: place for place, value in enumerate(found)}
        for writer in writers:
            # A KeyError in here is a write that was acknowledged and got lost.
            order = [places[value] for at, value in writer.acknowledged if at == tag]
            assert order == sorted(order)
    assert not any(name.endswith(".json.tmp") for name in files_below(folder / "deploymentmetrics"))
