"""What an operator does to a running server, and what a start says that cannot work."""

import contextlib
import errno
import http.client
import json
import os
import re
import signal
import socket
import ssl
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from pathlib import Path
from subprocess import PIPE
from types import SimpleNamespace

import pytest
import requests
from conftest import PASSWORD
from gunicorn.arbiter import Arbiter
from gunicorn.config import Config
from launching import run
from serving import BIN, Served, make_certificate
from waiting import SECONDS, wait_for

from deploymetrics import create_app
from deploymetrics.accounts.service import Role
from deploymetrics.server.granian_worker import GranianWorker, cores_of
from deploymetrics.server.master import Master, Server
from deploymetrics.server.worker import FairThreadWorker
from deploymetrics.telemetry.shared_memory import Memory

MASTER = ("master", PASSWORD)
URL = "/api/deploymentmetrics"
REQUEST = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture
def instance(tmp_path):
    """An instance folder with a master operator."""
    folder = tmp_path / "instance"
    create_app(folder).extensions["deploymetrics"].accounts.add(MASTER[0], Role.MASTER_OPERATOR, MASTER[1])
    return folder


#: Each server in turn: what is promised, each of them keeps.
by_both = pytest.mark.parametrize("kind", ["gunicorn", "granian"])


@pytest.fixture
def kind():
    """The server of tests in which it has no part."""
    return "gunicorn"


@pytest.fixture
def serve(tmp_path, instance, kind):
    """Start a server on it; all end with the test."""
    started = []

    def start(*options, bind="127.0.0.1:0", command=("deploymetrics", "serve"), **environment):
        folder = tmp_path / f"server-{len(started)}"
        folder.mkdir()
        environment |= {"DEPLOYMETRICS_SERVER": kind}
        started.append(Served((*command, "--bind", bind, *options), folder, instance, **environment))
        return started[-1] if bind.startswith("unix:") else started[-1].started()

    yield start
    for one in started:
        one.end()


def refused(instance, *options):
    """The one line that a start prints that is refused."""
    environment = {**os.environ, "DEPLOYMETRICS_INSTANCE": str(instance), "DEPLOYMETRICS_COLLECT": "no"}
    done = run(("serve", *options), environment, instance.parent)
    assert done.returncode == 1 and done.stdout == "" and done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_a_start_that_cannot_be_noted_is_one(instance, serve):
    (instance / "data/starts").touch()  # as on a read-only disk: what is there is served, and nothing can be written
    server = serve()
    assert requests.get(server.url + URL, auth=MASTER, timeout=30).status_code == 200
    assert server.count("it was not stored when the server started") == 1


@pytest.mark.parametrize("kind", ["granian"])
def test_workers_run_on_the_cores_that_are_theirs(serve):
    server, cores = serve("--workers", "2"), os.sched_getaffinity(0)
    expected = [cores_of(share, 2, cores) for share in range(2)]
    wait_for(lambda: [os.sched_getaffinity(int(pid)) for pid in server.workers()] == expected, "their cores")


@pytest.mark.parametrize("kind", ["granian"])
def test_threads_of_workers_that_wake_do_not_go_first(serve):
    server = serve("--workers", "2")
    tasks = lambda: [int(task) for pid in server.workers() for task in os.listdir(f"/proc/{pid}/task")]  # noqa: E731
    wait_for(lambda: {os.sched_getscheduler(task) for task in tasks()} == {os.SCHED_BATCH}, "their policy")


# --- A reload

BAD_CONFIGS = [
    "PROXIES = ",
    "PROXIES = 'many'",
    "proxies = 1",
    "MAX_BODY_BITES = 1",
    "1 / 0",
    "CERTFILE = 'missing.pem'",
    "import sys; sys.exit(3)",
]


@by_both
def test_a_bad_config_leaves_the_running_server_as_it_is(serve, instance):
    server = serve("--workers", "2")
    workers = server.workers()
    for number, text in enumerate(BAD_CONFIGS, 1):
        (instance / "config.py").write_text(text)
        server.process.send_signal(signal.SIGHUP)
        wait_for(lambda: server.count("Not reloaded, the settings in force stay: ") == number, "the refusal")
        assert server.workers() == workers and server.process.poll() is None
        assert requests.get(f"{server.url}{URL}", auth=MASTER).status_code == 200
    log = server.log  # once, since it may grow
    assert log.count("\n") == len(log.splitlines()) and "Traceback" not in log
    os.kill(int(workers[0]), signal.SIGKILL)  # one that starts now has the settings in force too
    wait_for(lambda: server.count("Booting worker") == 3 and workers[0] not in server.workers(), "another worker")
    assert requests.get(f"{server.url}{URL}", auth=MASTER).status_code == 200
    (instance / "config.py").write_text("MAX_BODY_BYTES = 1")
    server.process.send_signal(signal.SIGHUP)
    wait_for(lambda: requests.put(f"{server.url}{URL}/x", data="12", auth=MASTER).status_code == 413, "the new limit")


def test_a_folder_that_is_gone_leaves_the_running_server_as_it_is(serve, instance, tmp_path):
    server = serve("--workers", "1", DEPLOYMETRICS_SECRET_KEY="0123456789abcdef")
    assert requests.get(f"{server.url}{URL}", auth=MASTER).status_code == 200  # the worker looks for no files any more
    instance.rename(tmp_path / "elsewhere")
    instance.mkdir()  # what a mount leaves
    server.process.send_signal(signal.SIGHUP)
    wait_for(lambda: server.count(f"stay: There is no instance at {instance}."), "the refusal")
    assert server.count("Booting worker") == 1 and os.listdir(instance) == []


@by_both
def test_workers_have_the_certificate_that_was_checked_whatever_the_files_hold_by_then(serve, tmp_path):
    cert, key = make_certificate(tmp_path)
    (tmp_path / "other").mkdir()
    other_cert, other_key = make_certificate(tmp_path / "other")
    server = serve("--certfile", cert, "--keyfile", key)

    def shown():
        return ssl.get_server_certificate(("127.0.0.1", server.port), timeout=20)

    def shown_by_other_workers():
        before = server.workers()
        for worker in before:
            os.kill(int(worker), signal.SIGKILL)
        wait_for(lambda: not set(before) & set(server.workers()), "other workers")
        return shown()

    def is_another_shown():
        return shown() != before

    before = shown()
    Path(cert).write_text("nonsense")
    assert shown_by_other_workers() == before
    for number, text in enumerate(("nonsense", Path(other_cert).read_text()), 1):  # then of another key
        Path(cert).write_text(text)
        server.process.send_signal(signal.SIGHUP)
        wait_for(lambda: server.count("Not reloaded, the settings in force stay: ") == number, "the refusal")
    assert shown_by_other_workers() == before
    Path(key).write_text(Path(other_key).read_text())
    server.process.send_signal(signal.SIGHUP)
    wait_for(is_another_shown, "the other certificate")
    Path(key).unlink()
    assert shown_by_other_workers() == Path(other_cert).read_text()
    assert server.stop() == 0 and "panicked" not in server.log


@by_both
def test_a_reload_takes_more_workers_and_keeps_the_address(serve, instance):
    server = serve()
    (instance / "config.py").write_text("WORKERS = 3\nBIND = '127.0.0.1:1'\nACCESS_LOG = False")
    server.process.send_signal(signal.SIGHUP)
    wait_for(lambda: server.count("Booting worker") == 5 and server.count("Worker exiting") == 2, "other workers")
    before = server.out
    assert requests.get(f"{server.url}{URL}", auth=MASTER).status_code == 200
    assert server.out == before


@by_both
def test_a_client_that_keeps_its_connection_is_asked_to_leave_before_its_worker_stops(serve, instance):
    server = serve()
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)

    def is_kept():
        client.request("GET", "/healthz")
        answer = client.getresponse()
        assert answer.read() == b"ok\n"
        return not answer.will_close

    assert is_kept()
    server.process.send_signal(signal.SIGHUP)
    wait_for(lambda: not is_kept(), "the request to leave")
    client.close()


@by_both
def test_who_has_just_connected_is_answered_by_a_worker_that_stops(serve):
    """None of them waits for the answer to another one before it sends, so each sends soon on a busy machine too."""
    server, clients, asking = serve(), deque(), []
    with contextlib.ExitStack() as stack:
        server.process.send_signal(signal.SIGHUP)
        while server.count("Worker exiting") < 2:
            client = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=30))
            clients.append((time.monotonic(), client))
            time.sleep(0.02)
            while clients and time.monotonic() - clients[0][0] > 0.1:
                asking.append(clients.popleft()[1])
                asking[-1].sendall(REQUEST)
        for _, client in clients:
            asking.append(client)
            client.sendall(REQUEST)
        for client in asking:
            assert client.recv(15) == b"HTTP/1.1 200 OK"


# --- A stop

PROGRAM = """
import os, signal, sys
from deploymetrics import cli
from deploymetrics.server import master
from deploymetrics.server.worker import FairThreadWorker

def stopped_while_booting(master, worker):
    if worker.age <= 2:
        os.kill(os.getpid(), signal.SIGTERM)

master.SETTINGS["post_fork"] = stopped_while_booting
cli.main(sys.argv[1:])
"""


@by_both
def test_a_booting_worker_does_not_lose_sigterm(serve, tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    server = serve(command=("python", str(tmp_path / "program.py"), "serve"))
    wait_for(lambda: server.count("Worker exiting") >= 2, "the first workers to stop")
    wait_for(lambda: server.count("Booting worker") >= 4, "others to start")
    assert requests.get(f"{server.url}{URL}", auth=MASTER).status_code == 200
    assert server.stop() == 0


FAILING = """
import errno, os, sys

from deploymetrics import cli
from deploymetrics.server import master

def before(master, worker):
    if worker.age == 3:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    master.assign_slot(worker)

def after(master, worker):
    if worker.age == 4:
        raise RuntimeError("It cannot start.")
    master.detach(worker)

master.SETTINGS |= {"pre_fork": before, "post_fork": after}
cli.main(sys.argv[1:])
"""


def test_a_worker_that_does_not_start_is_tried_again_while_others_serve(serve, instance, tmp_path):
    (tmp_path / "program.py").write_text(FAILING)
    server = serve(command=("python", str(tmp_path / "program.py"), "serve"))
    (instance / "data" / "format.json").write_text("damaged")  # which matters to a start of the server only
    os.kill(int(server.workers()[0]), signal.SIGKILL)
    while server.count("Booting worker") < 4:
        assert requests.get(f"{server.url}{URL}", auth=MASTER).status_code == 200
    assert server.count("A worker is not started: Resource temporarily unavailable") == 1
    assert server.count("It cannot start.") and server.count("exited with code 1") == 1
    server.workers()
    for _ in range(12):  # so many reach both
        assert requests.get(f"{server.url}{URL}", auth=MASTER).status_code == 200
    assert server.stop() == 0
    assert "belongs into it" in refused(instance)


HALF_RELOADED = """
import errno, os, sys

from deploymetrics import cli
from deploymetrics.server import master

def before(master, worker):
    if len(master.WORKERS) == 3:
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
    master.assign_slot(worker)

master.SETTINGS["pre_fork"] = before
cli.main(sys.argv[1:])
"""


def test_a_reload_for_which_there_is_no_memory_goes_on_one_worker_at_a_time(serve, tmp_path):
    """Else the master would wait for a worker to end that it has not told to, and look after none meanwhile.

    Nor does it take all that is left and wait for more: here there never is room for more than three.
    """
    (tmp_path / "program.py").write_text(HALF_RELOADED)
    server = serve(command=("python", str(tmp_path / "program.py"), "serve"))
    server.workers()
    server.process.send_signal(signal.SIGHUP)
    wait_for(lambda: server.count("Worker exiting") == 2, "the workers of before to be replaced")
    server.workers()
    assert server.count("Booting worker") == 4
    assert server.count("A worker is not started: Cannot allocate memory") == 1
    assert requests.get(f"{server.url}{URL}", auth=MASTER).status_code == 200
    assert server.stop() == 0


def test_a_reload_for_which_no_process_is_left_leaves_the_running_server_as_it_is(instance):
    said = []

    def renew():
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    app = SimpleNamespace(instance=instance, renew_settings=renew)
    Master.reload(SimpleNamespace(app=app, log=SimpleNamespace(error=lambda *words: said.append(words))))
    assert len(said) == 1 and "the settings in force stay" in said[0][0]


def test_a_reload_needs_no_folder_in_which_the_server_was_started(instance, tmp_path, monkeypatch):
    server = Server(instance, {"BIND": "127.0.0.1:0"}, print)
    (tmp_path / "checkout").mkdir()
    monkeypatch.chdir(tmp_path / "checkout")
    (tmp_path / "checkout").rmdir()
    server.renew_settings()
    server.reload()
    assert server.cfg.workers == 2


def test_a_start_needs_no_current_folder(instance, tmp_path):
    program = f"cd {tmp_path} && mkdir gone && cd gone && rmdir ../gone && exec {BIN / 'deploymetrics'} serve"
    server = Served(("/bin/sh", "-c", program), tmp_path, instance, DEPLOYMETRICS_BIND="127.0.0.1:0")
    try:
        assert requests.get(f"{server.started().url}/readyz").status_code == 200
        assert server.stop() == 0
    finally:
        server.end()


def test_workers_that_stood_still_with_their_master_get_time_to_answer_it(monkeypatch):
    now, looked_at = [0.0], []
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(Arbiter, "murder_workers", lambda self: looked_at.append(now[0]))
    master = Master.__new__(Master)
    for now[0] in (0, 1, 2, 70, 71, 80, 89, 90, 91):
        master.murder_workers()
    assert looked_at == [0, 1, 2, 90, 91]


@pytest.mark.parametrize("worker_class", [FairThreadWorker, GranianWorker])
def test_a_worker_needs_no_folder_to_say_that_it_lives(monkeypatch, worker_class):
    def refuse(*args, **kwargs):
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    heartbeat = worker_class(1, 1, [], None, 30, Config(), None).tmp
    assert heartbeat.last_update() == 100
    now = 107.5
    if not (copy := os.fork()):
        heartbeat.notify()
        os._exit(0)
    os.waitpid(copy, 0)
    assert heartbeat.last_update() == 107.5
    heartbeat.close()


def test_workers_that_end_as_they_begin_are_replaced_once_a_second(monkeypatch):
    now, started_at = [0.0], []
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(Arbiter, "manage_workers", lambda self: started_at.append(now[0]))
    monkeypatch.setattr(Master, "num_workers", 1)
    master = Master.__new__(Master)
    master.app = SimpleNamespace(settings={"COLLECT": False}, memory=Memory())
    for now[0], began in ((10, 5), (20, 19.5), (20.5, None), (21, None)):
        if began is not None:
            master.clean_up_after(SimpleNamespace(slot=0, began=began))
        master.manage_workers()
    assert started_at == [10, 21]


def test_a_reload_does_not_wait_for_workers_that_it_ends_though_another_one_ended_as_it_began(monkeypatch):
    """Else it would for half a minute: nobody would have told those of before to stop."""
    managed = []
    monkeypatch.setattr(Arbiter, "manage_workers", lambda self: managed.append(len(self.WORKERS)))
    monkeypatch.setattr(Master, "num_workers", 2)
    master = Master.__new__(Master)
    master.app = SimpleNamespace(settings={"COLLECT": False}, memory=Memory())
    master.clean_up_after(SimpleNamespace(slot=0, began=time.monotonic()))
    for number in (2, 3):
        monkeypatch.setattr(Master, "WORKERS", {pid: SimpleNamespace(age=pid) for pid in range(1, number + 1)})
        master.manage_workers()
    assert managed == [3]


@by_both
def test_connections_that_say_nothing_do_not_hold_up_a_stop(serve):
    server = serve()
    for _ in range(12):  # so many reach both workers: of one that still starts, connections end in another way
        assert requests.get(f"{server.url}{URL}", auth=MASTER).status_code == 200
    clients = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(4)]
    assert requests.get(f"{server.url}{URL}", auth=MASTER).status_code == 200
    server.process.send_signal(signal.SIGTERM)
    for client in clients:
        client.settimeout(8)  # less than the ten seconds for which a running server waits
        assert client.recv(1) == b""
        client.close()
    assert server.process.wait(20) == 0


@by_both
def test_a_server_that_stops_answers_or_refuses_and_resets_nobody(serve):
    """A proxy that is refused goes to another server; a request that was reset it may not send again."""
    server = serve()

    def connect():
        return socket.create_connection(("127.0.0.1", server.port), timeout=30)

    def ask(client):
        client.sendall(REQUEST)
        answer = b""
        while not answer.endswith(b"ok\n"):
            assert (more := client.recv(4096))
            answer += more

    with connect() as idle:  # for which the server waits a while
        ask(idle)
        server.process.send_signal(signal.SIGTERM)
        with contextlib.suppress(ConnectionRefusedError):
            while True:
                with connect() as client:
                    ask(client)
                time.sleep(0.02)
        ask(idle)
    assert server.process.wait(20) == 0


@by_both
def test_who_comes_while_only_one_worker_has_stopped_is_answered_by_the_other(serve):
    server = serve()
    for _ in range(12):  # so many reach both workers
        assert requests.get(f"{server.url}{URL}", auth=MASTER).status_code == 200
    late, early = server.workers()
    os.kill(int(late), signal.SIGSTOP)
    server.process.send_signal(signal.SIGTERM)
    wait_for(lambda: not Path(f"/proc/{early}").exists(), "the end of one")
    with contextlib.ExitStack() as stack:
        address = "127.0.0.1", server.port
        clients = [stack.enter_context(socket.create_connection(address, timeout=30)) for _ in range(8)]
        for client in clients:
            client.sendall(REQUEST)
        os.kill(int(late), signal.SIGCONT)
        for client in clients:
            assert client.recv(15) == b"HTTP/1.1 200 OK"
    assert server.process.wait(20) == 0


# --- A start that cannot work


def test_a_taken_port_is_said_in_a_sentence(instance):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        assert refused(instance, "--bind", bind) == (
            f"Error: BIND {bind} cannot be used: another program listens there already.\n"
        )


@pytest.mark.parametrize(
    ("bind", "meaning"),
    [
        ("192.0.2.1:52311", "this machine does not have that address"),
        ("unix:/missing/socket", "no such folder"),
        ("unix:/" + "x" * 200, "too long"),
        ("unix:setup.cfg", "not a socket"),
        ("nowhere.invalid:80", "not known"),
    ],
)
def test_an_address_that_cannot_be_listened_on_is_said_in_a_sentence(instance, bind, meaning):
    assert re.search(f"BIND {re.escape(bind)} cannot be used: .*{meaning}", refused(instance, "--bind", bind))


def test_a_certificate_that_does_not_serve_is_said_in_a_sentence(instance, tmp_path):
    (tmp_path / "other").mkdir()
    cert, key = make_certificate(tmp_path)
    _, other_key = make_certificate(tmp_path / "other")
    text = tmp_path / "text.pem"
    text.write_text("nonsense")
    locked = tmp_path / "locked.pem"
    subprocess.run(
        ["openssl", "ec", "-in", key, "-aes256", "-passout", "pass:x", "-out", locked], check=True, capture_output=True
    )
    assert f"The key {other_key} is not that of the certificate {cert}." in refused(
        instance, "--certfile", cert, "--keyfile", other_key
    )
    for files in ((cert, text), (text, key), (cert, locked), (key, cert)):
        assert "not a certificate and its key" in refused(instance, "--certfile", files[0], "--keyfile", files[1])
    (instance / "config.py").write_text(f"CERTFILE = {cert!r}\nKEYFILE = 'missing.pem'")
    assert f"KEYFILE {instance / 'missing.pem'} cannot be read" in refused(instance)
    (instance / "config.py").write_text(f"CERTFILE = {cert!r}")
    assert "CERTFILE and KEYFILE go together" in refused(instance)


def test_a_certificate_that_granian_does_not_know_is_said_in_a_sentence(instance, tmp_path):
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-521 -nodes -days 2 -subj /CN=a".split()
    cert, key = str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")
    subprocess.run([*command, "-out", cert, "-keyout", key], check=True, capture_output=True)
    said = refused(instance, "--server", "granian", "--certfile", cert, "--keyfile", key)
    assert f"granian cannot use the certificate {cert}: its key is to be RSA" in said


# --- A socket in the file system


def answered(path, more=b""):
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(path)
        client.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: a\r\nConnection: close\r\n%b\r\n" % more)
        return b"".join(iter(lambda: client.recv(2**16), b""))


@by_both
@pytest.mark.parametrize(("environment", "mode"), [({}, 0o666), ({"DEPLOYMETRICS_SOCKET_MODE": "660"}, 0o660)])
def test_a_proxy_can_open_the_socket(serve, instance, tmp_path, environment, mode):
    path = str(tmp_path / "socket")
    server = serve(bind=f"unix:{path}", **environment)
    wait_for(lambda: server.count("The instance folder is "), "the server to listen")
    assert stat.S_IMODE(os.stat(path).st_mode) == mode
    answer = answered(path)
    assert answer.startswith(b"HTTP/1.1 200")
    for forged in (b"SCRIPT_NAME: /evil\r\n", b"SCRIPT_NAME: /openapi.json\r\n", b"X-Forwarded-Proto: https\r\n"):
        assert len(answered(path, forged)) == len(answer)  # PROXIES is 0: nobody is believed
    assert "another program listens there already" in refused(instance, "--bind", f"unix:{path}")
    assert answered(path).startswith(b"HTTP/1.1 200")
    server.process.kill()
    server.process.wait()
    again = serve(bind=f"unix:{path}", **environment)  # what was left behind is replaced
    wait_for(lambda: again.count("The instance folder is "), "the next to listen")


# --- Words


def test_each_start_says_where_the_data_is(serve, instance):
    server = serve()
    wait_for(lambda: f"The instance folder is {instance}\n" in server.log, "the folder")
    by_hand = serve(command=("gunicorn", "wsgi:app"))
    wait_for(lambda: f"The instance folder is {instance}.\n" in by_hand.log, "the folder")
    assert "account" not in by_hand.log


def test_gunicorn_by_hand_says_where_nobody_can_log_in(tmp_path):
    server = Served(("gunicorn", "wsgi:app", "--bind", "127.0.0.1:0"), tmp_path, tmp_path / "empty")
    try:
        wait_for(lambda: server.count("nobody can log in"), "the word")
        assert "deploymetrics account add admin --role master-operator" in server.log
    finally:
        server.end()


# --- The access log


@by_both
def test_the_access_log_names_the_account_that_was_authenticated(serve):
    server = serve()
    with requests.Session() as browser:
        form = {"name": MASTER[0], "password": MASTER[1]}
        assert browser.post(f"{server.url}/login", data=form).status_code == 200
        assert browser.get(f"{server.url}{URL}?cookie").status_code == 200
    assert requests.get(f"{server.url}{URL}?basic", auth=MASTER).status_code == 200
    assert requests.get(f"{server.url}{URL}?wrong", auth=("master", "wrong")).status_code == 401
    assert requests.get(f"{server.url}{URL}?nobody").status_code == 401
    form = r'^127\.0\.0\.1 (\S+) \[[^]]+\] "GET /api/deploymentmetrics\?(\w+) HTTP/1\.1" (\d+) \d+ \d+ms [0-9a-f]{16}$'
    wait_for(lambda: all(f"?{word} " in server.out for word in ("cookie", "basic", "wrong", "nobody")), "the lines")
    assert sorted(re.findall(form, server.out, re.MULTILINE)) == [  # two workers write them, in no order
        ("-", "nobody", "401"),
        ("-", "wrong", "401"),
        ("master", "basic", "200"),
        ("master", "cookie", "200"),
    ]


EVIL = 'evil\n127.0.0.1 mo [] "DELETE /x HTTP/1.1" 204\x1b[31m\u202e'


@by_both
def test_nothing_from_a_client_reaches_a_log_unescaped(serve, kind):
    server = serve(DEPLOYMETRICS_PROXIES="1")
    authorization = requests.auth._basic_auth_str(EVIL.encode(), "x")
    url = f"{server.url}{URL}/" + requests.utils.quote(EVIL)
    headers = {"X-Forwarded-For": b"1\x9b31m", "Authorization": authorization}
    assert requests.get(url, headers=headers).status_code == 401
    for target in (b'/"\\', b"/\x1b[31m\x9b"):
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
            client.sendall(b"GET %b HTTP/1.1\r\nHost: \x1b[31m\r\nX: \x1b[31m\r\n\r\n" % target)
            assert client.recv(12) in (b"HTTP/1.1 400", b"HTTP/1.1 404", b"HTTP/1.1 302")
    said = "Invalid request" if kind == "gunicorn" else ""  # of what is not HTTP granian says nothing
    wait_for(lambda: server.out.count("\n") >= 1 and said in server.log, "the lines")
    for text in (server.out, server.log):
        assert not [char for char in text if not char.isprintable() and char != "\n"]
        assert " mo " not in text


def test_what_the_application_logs_of_a_request_is_escaped_too(capfd):
    program = (
        "import logging; from gunicorn.config import Config; from deploymetrics.server.log import Log\n"
        "Log(Config())\n"
        "try: raise ValueError('b\\x1b[31m\\n[forged]')\n"
        "except ValueError: logging.getLogger('deploymetrics.http').exception('GET /a\\x1b\\nforged')\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    lines = capfd.readouterr().err.splitlines()
    assert lines[0].endswith(r"[ERROR] GET /a\x1b\nforged")
    assert all(line.startswith("  ") and line.isprintable() for line in lines[1:])
    assert lines[-2] == r"  ValueError: b\x1b[31m"


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_a_log_that_nobody_reads_holds_nobody_up(name):
    program = (
        "import logging, sys; from gunicorn.config import Config; from deploymetrics.server.log import Log\n"
        "config = Config(); config.set('accesslog', '-'); log = Log(config)\n"
        "write = {'stdout': lambda: log.write_access({'RAW_URI': '/a' * 50}, 200, 1, 0.0),\n"
        "         'stderr': lambda: logging.getLogger('deploymetrics.http').error('/a' * 50)}[sys.argv[1]]\n"
        "for _ in range(2000): write()\n"
        "other = sys.stderr if sys.argv[1] == 'stdout' else sys.stdout\n"
        "print('all are written', file=other, flush=True)\n"
        "sys.stdin.readline(); write()\n"
    )
    command = [sys.executable, "-c", program, name]
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True) as process:
        try:
            unread, other = process.stdout, process.stderr
            if name == "stderr":
                unread, other = other, unread
            reader = threading.Thread(target=other.readline)
            reader.start()
            reader.join(SECONDS)
            assert not reader.is_alive()
            first = os.read(unread.fileno(), 2**20).decode()
            process.stdin.write("\n")
            process.stdin.close()
            rest = unread.read()
            said = rest if name == "stderr" else other.read()
        finally:
            process.kill()
    number = int(re.search(r"nobody read standard \w+ for a while, so lines were left out: (\d+)", said)[1])
    assert (first + rest).count("/a" * 50) + number == 2001 and number > 1000


def test_a_long_line_that_nobody_reads_holds_nobody_up():
    program = (
        "import sys; from gunicorn.config import Config; from deploymetrics.server.log import Log\n"
        "config = Config(); config.set('accesslog', '-'); log = Log(config)\n"
        "for _ in range(60): log.write_access({'RAW_URI': '/a' * 4500}, 200, 1, 0.0)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=PIPE) as process:
        try:
            assert process.wait(SECONDS) == 0
        finally:
            process.kill()


def test_lines_of_json_have_the_same_facts_and_escape_all(serve, instance):
    server = serve(DEPLOYMETRICS_LOG_FORMAT="json", DEPLOYMETRICS_PROXIES="1")
    headers = {"X-Request-ID": "from-the-proxy", "X-Forwarded-For": "10.1.2.3"}
    assert requests.put(f"{server.url}{URL}/custom", auth=MASTER, data="1", headers=headers).status_code == 200
    authorization = requests.auth._basic_auth_str(EVIL.encode(), "x")
    url = f"{server.url}{URL}/" + requests.utils.quote(EVIL)
    assert requests.get(url, headers={"Authorization": authorization}).status_code == 401
    (path,) = (instance / "data" / "deploymentmetrics" / "custom").glob("*.jsonl")
    path.write_text("garbage\n")
    problem = requests.get(f"{server.url}{URL}/custom", auth=MASTER).json()
    wait_for(lambda: server.out.count("\n") == 3, "the lines")
    written, evil, damaged = map(json.loads, server.out.splitlines())
    assert {
        name: written[name] for name in ("requestId", "account", "method", "path", "route", "status", "address")
    } == {
        "requestId": "from-the-proxy",
        "account": "master",
        "method": "PUT",
        "path": f"{URL}/custom",
        "route": f"{URL}/<tag>",
        "status": 200,
        "address": "10.1.2.3",
    }
    assert (
        written["bytes"] > 50 and 0 < written["seconds"] < 30 and re.fullmatch(r"[\dT:-]{19}[+-]\d{4}", written["time"])
    )
    assert (evil["status"], evil["account"]) == (401, None)
    log = [json.loads(line) for line in server.log.splitlines()]
    (error,) = [record for record in log if record["level"] == "ERROR"]
    assert error["requestId"] == damaged["requestId"] == problem["requestId"]
    assert URL in error["message"] and error["logger"] == "deploymetrics"
    for text in (server.out, server.log):
        assert text.isascii() and not [char for char in text if not char.isprintable() and char != "\n"]


def test_the_level_of_the_log(serve):
    server = serve(DEPLOYMETRICS_LOG_LEVEL="debug")
    assert "[DEBUG] Current configuration" in server.log
    quiet = serve(DEPLOYMETRICS_LOG_LEVEL="info")
    assert "[INFO] Listening at" in quiet.log and "[DEBUG]" not in quiet.log
