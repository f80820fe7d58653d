"""``kill -9`` of workers and of the whole server under conditional increments: nothing acknowledged is lost or twice.

The environment variable KILLS is their number on all file systems together; ``make kill`` has more of them.
"""

import base64
import http.client
import itertools
import json
import os
import random
import signal
import socket
import threading
import time
from pathlib import Path

import pytest
from conftest import PASSWORD
from filesystems import FILE_SYSTEMS
from launching import Launched
from serving import ROOT

from deploymetrics import create_app
from deploymetrics.accounts.service import Role
from deploymetrics.documents.service import DOCUMENTS

KILLS = int(os.environ.get("KILLS", "40")) // len(FILE_SYSTEMS)
#: Each so manyth kill is one of the master and all workers at once.
ALL_AT_ONCE = 5
WRITERS = 6
PROGRESS = 15
PATIENCE = 60
TAGS = "shared", "other"

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
            "DEPLOYMETRICS_COLLECT": "0",
            "DEPLOYMETRICS_HISTORY_VERSIONS": "1000000",
        }
        self.process = None

    def start(self):
        arguments = ["serve", "--workers", "2", "--bind", f"127.0.0.1:{self.port}"]
        options = {"cwd": ROOT, "env": self.environment, "stdout": self.log, "stderr": self.log}
        self.process = Launched(arguments, **options, start_new_session=True)

    def kill_worker(self):
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        for child in random.sample(children, min(1, len(children))):
            os.kill(int(child), signal.SIGKILL)

    def kill_all(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def stop(self):
        self.process.terminate()
        return self.process.wait()


class Writer(threading.Thread):
    """Reads a number and posts the next one on the condition that nobody else did; notes what was acknowledged."""

    def __init__(self, number, port, done):
        super().__init__()
        self.number = number
        self.port = port
        self.done = done
        self.acknowledged = []
        self.wrong = []
        token = base64.b64encode(f"admin:{PASSWORD}".encode()).decode()
        self.headers = {"Authorization": f"Basic {token}", "Content-Type": "application/json"}

    def run(self):
        connection = None
        for count in itertools.count():
            if self.done.is_set():
                break
            try:
                connection = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
                self.increment(connection, TAGS[count % 2], f"{self.number}-{count}")
            except (OSError, http.client.HTTPException):
                connection.close()
                connection = None
                time.sleep(0.02)
        if connection:
            connection.close()

    def increment(self, connection, tag, name):
        status, etag, body = self.ask(connection, "GET", tag)
        if status == 404:
            number, condition = 1, {"If-None-Match": "*"}
        elif status == 200:
            number, condition = json.loads(body)["metrics"][0] + 1, {"If-Match": etag}
        else:
            self.wrong.append((status, body))
            return
        status, etag, body = self.ask(connection, "POST", tag, json.dumps([number, name]), condition)
        if status in (200, 201):
            self.acknowledged.append((tag, number, name))
        elif status != 412:
            self.wrong.append((status, body))

    def ask(self, connection, method, tag, body=None, condition=()):
        connection.request(method, f"/api/deploymentmetrics/{tag}", body, {**self.headers, **dict(condition)})
        answer = connection.getresponse()
        return answer.status, answer.headers["ETag"], answer.read()


def wait_for_progress(server, writers):
    """Until a number of writes more were acknowledged."""
    goal = sum(len(writer.acknowledged) for writer in writers) + PROGRESS
    until = time.monotonic() + PATIENCE
    while sum(len(writer.acknowledged) for writer in writers) < goal:
        assert server.process.poll() is None, "the server ended by itself"
        assert time.monotonic() < until, "the server does not answer"
        time.sleep(0.01)


@pytest.fixture
def server(on_disk, tmp_path):
    app = create_app(on_disk)
    app.extensions["deploymetrics"].accounts.add("admin", Role.MASTER_OPERATOR, PASSWORD)
    with open(tmp_path / "log", "wb") as log:
        server = Server(on_disk, free_port(), log)
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


def test_what_was_acknowledged_is_there_after_kills(on_disk, server, writers):
    for kill in range(1, KILLS + 1):
        wait_for_progress(server, writers)
        if kill % ALL_AT_ONCE:
            server.kill_worker()
        else:
            server.kill_all()
            server.start()
    wait_for_progress(server, writers)
    writers[0].done.set()
    for writer in writers:
        writer.join()
    assert server.stop() == 0
    assert [writer.wrong for writer in writers] == [[]] * WRITERS
    check(on_disk, [one for writer in writers for one in writer.acknowledged])


def check(folder, acknowledged):
    """Each number was written once, and what was acknowledged is there under its number."""
    store = create_app(folder, {"HISTORY_VERSIONS": 1_000_000}).extensions["deploymetrics"].store
    listing = store.items(DOCUMENTS)
    assert listing.damaged == ()
    assert {item.key for item in listing.items} == set(TAGS)
    for item in listing.items:
        history = list(store.history(DOCUMENTS, item.key, oldest_first=True))
        numbers = range(1, len(history) + 1)
        assert [one.version for one in history] == list(numbers)
        written = [json.loads(one.value)["metrics"] for one in history]
        assert [number for number, _ in written] == list(numbers)
        for tag, number, name in acknowledged:
            assert tag != item.key or written[number - 1] == [number, name]
    assert len(acknowledged) == len({(tag, number) for tag, number, _ in acknowledged})
    print(f"{KILLS} kills, {len(acknowledged)} increments acknowledged")
