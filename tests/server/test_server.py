"""Real servers as processes: first start, signals, many workers, TLS, broken HTTP, and BigFix's own client."""

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import threading

import pytest
import requests
from besapi.besapi import BESConnection
from serving import Served, make_certificate
from storekit import newest_file
from waiting import wait_for

from deploymetrics import create_app
from deploymetrics.accounts.service import Role

PASSWORD = "correct horse battery"
PEOPLE = {"master": Role.MASTER_OPERATOR, "operator": Role.OPERATOR, "webui": Role.WEBUI_APP}
MASTER = ("master", PASSWORD)
DOCS = "/api/deploymentmetrics"
NULL = "<null xmlns='http://www.w3.org/2005/xpath-functions'/>"


def add_people(instance):
    """An account for each role, all with the same password."""
    accounts = create_app(instance).extensions["deploymetrics"].accounts
    for name, role in PEOPLE.items():
        accounts.add(name, role, PASSWORD)


@pytest.fixture
def serve(tmp_path):
    """Start a server on the instance folder of the test; all end with the test."""
    started = []

    def start(*command, **environment):
        folder = tmp_path / f"server-{len(started)}"
        folder.mkdir()
        started.append(Served(command, folder, tmp_path / "instance", **environment))
        return started[-1].started()

    yield start
    for one in started:
        one.end()


@pytest.fixture(scope="module", params=["gunicorn", "granian"])
def kind(request):
    """Each server in turn: what is promised, each of them keeps."""
    return request.param


@pytest.fixture(scope="module")
def four(tmp_path_factory, kind):
    """A server with four workers that takes 1,000 bytes, and an account for each role."""
    folder = tmp_path_factory.mktemp("four")
    add_people(folder / "instance")
    command = ("deploymetrics", "serve", "--server", kind, "--bind", "127.0.0.1:0", "--workers", "4", "--threads", "3")
    one = Served(command, folder, folder / "instance", DEPLOYMETRICS_MAX_BODY_BYTES="1000")
    yield one.started()
    one.end()


SERVE = ("deploymetrics", "serve", "--bind", "127.0.0.1:0", "--workers", "2", "--server")


# --- Starting and stopping


def test_the_first_start_keeps_the_password_from_the_log(kind, serve, tmp_path):
    first = serve(*SERVE, kind, DEPLOYMETRICS_LOG_FORMAT="json")
    wait_for(lambda: "Made the master operator admin." in first.log, "the first account")
    password = (tmp_path / "instance" / "first-password").read_text().strip()
    assert requests.get(f"{first.url}{DOCS}", auth=("admin", password)).text == "[]"
    assert password not in first.log + first.out
    assert all(json.loads(line) for line in (first.log + first.out).splitlines())
    assert first.stop() == 0, first.log
    second = serve(*SERVE, kind)
    assert requests.get(f"{second.url}{DOCS}", auth=("admin", password)).text == "[]"
    assert "Made the master" not in second.log and "password" not in second.log + second.out
    assert "Traceback" not in first.log + second.log


def test_sigterm_finishes_a_running_request_and_exits_0(kind, serve, tmp_path):
    add_people(tmp_path / "instance")
    server = serve(*SERVE, kind)
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
        client.sendall(head("POST", f"{DOCS}/slow", "Content-Length: 5\r\nExpect: 100-continue\r\n"))
        assert client.recv(100).startswith(b"HTTP/1.1 100")
        client.sendall(b"[1,")
        server.process.send_signal(signal.SIGTERM)
        wait_for(lambda: "Handling signal: term" in server.log, "the signal to arrive")
        client.sendall(b"2]")
        answer = received(client)
    assert answer.startswith(b"HTTP/1.1 200 ") and b'"metrics":[1,2]' in answer
    assert server.process.wait(20) == 0
    assert b'"metrics":[1,2]' in (tmp_path / "instance" / "deploymentmetrics" / "slow.json").read_bytes()


def test_sighup_reloads_while_it_serves(kind, serve, tmp_path):
    add_people(tmp_path / "instance")
    server = serve(*SERVE, kind)
    wait_for(lambda: server.count("Booting worker") == 2, "two workers")
    answers = []
    for booted in (4, 6):
        server.process.send_signal(signal.SIGHUP)

        def reloaded():
            answers.append(requests.put(f"{server.url}{DOCS}/x", auth=MASTER, data=str(len(answers))).status_code)
            return server.count("Booting worker") >= booted and server.count("Worker exiting") >= booted - 2

        wait_for(reloaded, "other workers")
    answers.append(requests.get(f"{server.url}{DOCS}/x", auth=MASTER).status_code)
    assert set(answers) == {200}


def test_a_reload_reads_the_settings_anew(kind, serve, tmp_path):
    add_people(tmp_path / "instance")
    server = serve(*SERVE, kind)
    url, body = f"{server.url}{DOCS}/x", {"data": '"' + "x" * 100 + '"', "auth": MASTER}
    assert requests.put(url, **body).status_code == 200
    (tmp_path / "instance" / "config.py").write_text("MAX_BODY_BYTES = 50")
    server.process.send_signal(signal.SIGHUP)
    wait_for(lambda: server.count("Worker exiting") >= 2, "the old workers to end")
    assert wait_for(lambda: requests.put(url, **body).status_code == 413, "the new limit")


@pytest.mark.parametrize(
    "command",
    [("gunicorn", "wsgi:app", "--bind", "127.0.0.1:0"), ("flask", "--app", "wsgi", "run", "--port", "0")],
    ids=["gunicorn", "flask"],
)
def test_other_ways_to_start(serve, tmp_path, command):
    add_people(tmp_path / "instance")
    server = serve(*command)
    answer = requests.post(f"{server.url}{DOCS}/x", auth=MASTER, data="[1.0]", params={"output": "xml"})
    assert answer.headers["Content-Type"] == "application/xml"
    assert f'Resource="{server.url}{DOCS}/x"' in answer.text
    assert requests.get(f"{server.url}{DOCS}/%FF", auth=MASTER).status_code == 400
    assert requests.post(f"{server.url}{DOCS}/a%2Fb", auth=MASTER, data="1").status_code == 400
    for document in (
        tmp_path / "instance" / "deploymentmetrics" / "x.json",
        newest_file(tmp_path / "instance", "deploymentmetrics", "x"),
    ):
        assert stat.S_IMODE(document.stat().st_mode) == 0o600
    server.stop(signal.SIGINT)


def test_tls(kind, serve, tmp_path):
    add_people(tmp_path / "instance")
    cert, key = make_certificate(tmp_path)
    server = serve(*SERVE, kind, "--certfile", cert, "--keyfile", key)
    assert server.url.startswith("https://")
    answer = requests.put(f"{server.url}{DOCS}/x", auth=MASTER, data="1", verify=cert, params={"output": "xml"})
    assert f'Resource="{server.url}{DOCS}/x"' in answer.text
    form = {"name": "master", "password": PASSWORD}
    login = requests.post(f"{server.url}/login", data=form, verify=cert, allow_redirects=False)
    assert "; Secure" in login.headers["Set-Cookie"]


# --- Broken HTTP


def head(method, path, more=""):
    """The head of a request of the master operator, as bytes."""
    authorization = requests.auth._basic_auth_str(*MASTER)
    return f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}\r\n{more}\r\n".encode()


def received(client):
    """All that comes until the server closes, or an answer is whole."""
    data = b""
    while b"\r\n\r\n" not in data or len(data.partition(b"\r\n\r\n")[2]) < _length(data):
        more = client.recv(65536)
        if not more:
            break
        data += more
    return data


def _length(data):
    found = re.search(rb"content-length: (\d+)", data.lower())
    return int(found[1]) if found else 0


CHUNKED = "Transfer-Encoding: chunked\r\n"
BROKEN_OFF = (b"3\r\n[1", b"[1]")


@pytest.mark.parametrize(
    ("more", "body", "status"),
    [
        (CHUNKED, b"3\r\n[1]\r\n0\r\n\r\n", 200),
        (CHUNKED, b"3e8\r\n" + b"1" * 1000 + b"\r\n0\r\n\r\n", 200),
        (CHUNKED, b"3e9\r\n" + b"1" * 1001 + b"\r\n0\r\n\r\n", 413),
        (CHUNKED, b"3e8\r\n" + b"1" * 1000 + b"\r\n" + b"3e8\r\n" + b" " * 1000 + b"\r\n0\r\n\r\n", 413),
        ("Content-Length: 1001\r\n", b"1" * 1001, 413),
        (CHUNKED, b"0\r\n\r\n", 400),
        (CHUNKED, b"nonsense\r\n[1]\r\n0\r\n\r\n", 400),
        (CHUNKED, b"3\r\n[1]xx0\r\n\r\n", 400),
        (CHUNKED, b"-3\r\n[1]\r\n0\r\n\r\n", 400),
        (CHUNKED, b"3\r\n[1", 400),
        ("Content-Length: 9\r\n", b"[1]", 400),
        ("Content-Length: x\r\n", b"[1]", 400),
    ],
)
def test_bodies_as_they_come_over_the_wire(four, more, body, status):
    url = f"{four.url}{DOCS}/wire"
    requests.delete(url, auth=MASTER)
    with socket.create_connection(("127.0.0.1", four.port), timeout=10) as client:
        client.sendall(head("POST", f"{DOCS}/wire", more) + body)
        if body in BROKEN_OFF:
            client.shutdown(socket.SHUT_WR)
        assert received(client).split(b" ")[1] == str(status).encode()
    assert requests.get(url, auth=MASTER).status_code == (200 if status == 200 else 404)


def test_a_refused_body_does_not_become_the_next_request(four):
    hidden = head("POST", f"{DOCS}/smuggled", "Content-Length: 1\r\n") + b"1"
    for refused in ("Content-Type: image/png", "Content-Encoding: x"):
        more = f"Content-Length: {len(hidden)}\r\n{refused}\r\n"
        with socket.create_connection(("127.0.0.1", four.port), timeout=10) as client:
            client.sendall(head("POST", f"{DOCS}/wire", more) + hidden)
            assert received(client).startswith(b"HTTP/1.1 415")
            client.sendall(head("GET", "/api/help", "Connection: close\r\n"))
            while client.recv(65536):
                pass
    assert requests.get(f"{four.url}{DOCS}/smuggled", auth=MASTER).status_code == 404


def test_who_sends_nothing_more_is_answered_by_gunicorn_alone(four, kind):
    """granian takes it for a client that has gone."""
    with socket.create_connection(("127.0.0.1", four.port), timeout=10) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)  # the end comes in one packet with the request
        client.sendall(head("POST", f"{DOCS}/wire", "Content-Length: 3\r\n") + b"[1]")
        client.shutdown(socket.SHUT_WR)
        assert (received(client) != b"") == (kind == "gunicorn")


def test_granian_by_hand(serve, tmp_path):
    add_people(tmp_path / "instance")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    server = serve("granian", "--interface", "wsgi", "--port", str(port), "wsgi:app")
    wait_for(lambda: answers(server), "the worker")
    assert requests.post(f"{server.url}{DOCS}/x", auth=MASTER, data="[1.0]").json()["metrics"] == [1.0]
    assert requests.get(f"{server.url}{DOCS}/%FF", auth=MASTER).status_code == 400
    assert requests.get(f"{server.url}{DOCS}/a%2Fb", auth=MASTER).status_code == 404  # granian decodes it


def answers(server):
    """Whether a server takes connections yet."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", server.port)) == 0


# --- Many at the same time. What is promised there, no server has a part in.

by_gunicorn = pytest.mark.parametrize("kind", ["gunicorn"], indirect=True)


class Crowd:
    """Threads that call functions over and over, until each was called so many times; what one raises is kept."""

    def __init__(self, times):
        self.times = times
        self.calls = []
        self.errors = []
        self.threads = []

    def add(self, work):
        self.threads.append(threading.Thread(target=self._run, args=(work, len(self.calls))))
        self.calls.append(0)

    def _run(self, work, number):
        try:
            with requests.Session() as session:
                session.auth = MASTER
                while min(self.calls) < self.times and not self.errors:
                    work(session)
                    self.calls[number] += 1
        except Exception as error:
            self.errors.append(error)

    def run(self):
        for thread in self.threads:
            thread.start()
        for thread in self.threads:
            thread.join(60)
        if self.errors:
            raise self.errors[0]


@by_gunicorn
def test_four_workers_never_answer_wrong(four):
    """Writers count up in tags of their own; who reads after an acknowledged write sees that or a later count."""
    crowd, acknowledged, reads = Crowd(60), {f"tag-{number}": 0 for number in range(3)}, []

    def check(document, least):
        number = document["metrics"]["n"]
        assert number >= least[document["tag"]], "stale"
        assert document["metrics"]["pad"] == "x" * (number % 700), "torn"
        reads.append(number)

    def writer(tag):
        def write(session):
            number = acknowledged[tag] + 1
            answer = session.put(f"{four.url}{DOCS}/{tag}", json={"n": number, "pad": "x" * (number % 700)})
            assert answer.status_code == 200 and answer.json()["metrics"]["n"] == number
            acknowledged[tag] = number

        return write

    def read_one(session):
        for tag in acknowledged:
            least = dict(acknowledged)
            answer = requests.get(f"{four.url}{DOCS}/{tag}", auth=MASTER)  # a connection of its own: any worker
            if answer.status_code != 404 or least[tag]:
                check(answer.json(), least)

    def read_list(session):
        least = dict(acknowledged)
        seen = {document["tag"]: document for document in session.get(f"{four.url}{DOCS}").json()}
        assert {tag for tag, number in least.items() if number} <= set(seen)
        for tag in set(seen) & set(acknowledged):
            check(seen[tag], least)

    def read_xml(session):
        least = dict(acknowledged)
        answer = requests.get(f"{four.url}{DOCS}?output=xml", auth=MASTER)
        assert answer.text.endswith("</BESAPI>\n") and answer.status_code == 200
        for tag in [tag for tag, number in least.items() if number]:
            found = re.search(rf'<Tag>{tag}</Tag>.*?<number key="n">(\d+)<', answer.text, re.DOTALL)
            assert int(found[1]) >= least[tag], "stale in XML"

    for tag in acknowledged:
        crowd.add(writer(tag))
    for reader in (read_one, read_one, read_list, read_list, read_xml):
        crowd.add(reader)
    crowd.run()
    assert all(acknowledged.values()) and len(reads) > 50
    final = {document["tag"]: document for document in requests.get(f"{four.url}{DOCS}", auth=MASTER).json()}
    assert {tag: final[tag]["metrics"]["n"] for tag in acknowledged} == acknowledged


@by_gunicorn
def test_no_count_is_lost_between_writers_with_if_match(four):
    """Each adds one to the same document where it did not move in between."""
    url, crowd, added = f"{four.url}{DOCS}/counter", Crowd(30), []
    requests.put(url, data="0", auth=MASTER)

    def add_one(session):
        current = session.get(url)
        headers = {"If-Match": current.headers["ETag"]}
        answer = requests.put(url, data=str(current.json()["metrics"] + 1), headers=headers, auth=MASTER)
        assert answer.status_code in (200, 412)
        if answer.status_code == 200:
            added.append(1)

    for _ in range(6):
        crowd.add(add_one)
    crowd.run()
    assert requests.get(url, auth=MASTER).json()["metrics"] == len(added) > 0


@by_gunicorn
def test_a_deleted_document_stays_away(four):
    """After an acknowledged deletion no worker shows it, in the list or by itself."""
    url, crowd = f"{four.url}{DOCS}/gone", Crowd(40)

    def cycle(session):
        assert session.put(url, data="1").status_code == 200
        assert any(document["tag"] == "gone" for document in requests.get(f"{four.url}{DOCS}", auth=MASTER).json())
        assert session.delete(url).status_code == 204
        assert requests.get(url, auth=MASTER).status_code == 404
        assert all(document["tag"] != "gone" for document in requests.get(f"{four.url}{DOCS}", auth=MASTER).json())

    crowd.add(cycle)
    crowd.run()


# --- BigFix's own client


@pytest.fixture
def connect(four):
    """A connection of besapi for one of the accounts."""
    return lambda name: BESConnection(name, PASSWORD, four.url)


@by_gunicorn
def test_besapi_posts_json_and_reads_objects(connect):
    master = connect("master")
    assert bool(master) and master.login()
    saved = master.post("deploymentmetrics/bes", '[{"bla": "3"}, 1.10]')
    assert saved.request.status_code == 200 and saved.request.json()["metrics"] == [{"bla": "3"}, 1.10]
    shown = master.get("deploymentmetrics/bes?output=xml")
    assert shown.valid and shown.besobj.DeploymentMetrics.Tag == "bes"
    assert shown.besobj.DeploymentMetrics.get("Resource") == master.url("deploymentmetrics/bes")
    assert shown.besdict["DeploymentMetrics"]["Tag"] == "bes"
    values = shown.besobj.DeploymentMetrics.Metrics["{http://www.w3.org/2005/xpath-functions}array"]
    assert values.map.string.text == "3" and values.number.text == "1.10"
    tags = [str(each.Tag) for each in master.get("deploymentmetrics?output=xml")().DeploymentMetrics]
    assert "bes" in tags
    assert master.delete("deploymentmetrics/bes").request.status_code == 204


@by_gunicorn
def test_besapi_posts_xml(connect):
    master = connect("master")
    body = f"<BESAPI><DeploymentMetrics><Tag>bes</Tag><Metrics>{NULL}</Metrics></DeploymentMetrics></BESAPI>"
    assert master.post("deploymentmetrics/bes?output=xml", body)().DeploymentMetrics.Tag == "bes"
    shown = str(master.get("deploymentmetrics/bes?output=xml"))
    assert master.put("deploymentmetrics/bes", shown).request.json()["metrics"] is None


@by_gunicorn
def test_besapi_knows_who_may(connect):
    master, operator, webui = (connect(name) for name in PEOPLE)
    assert [one.am_i_main_operator() for one in (master, operator, webui)] == [True, False, False]
    for path in ("deploymentmetrics", "deploymentmetrics/x"):
        for one in (operator, webui):
            with pytest.raises(PermissionError, match="Action requires master operator privileges."):
                one.get(path)
    with pytest.raises(PermissionError):
        operator.post("deploymentmetrics/bes", "1")
    with pytest.raises(PermissionError):
        master.post("deploymentmetrics/platform", "1")
    assert webui.post("deploymentmetrics/bes", "1").request.status_code == 200
    assert "/api/deploymentmetrics" in operator.get().text
    assert "GET:\n    /api/login" in operator.get("help/login").text


@by_gunicorn
def test_besapi_with_a_wrong_password(four):
    with pytest.raises(requests.HTTPError, match="401"):
        BESConnection("master", "wrong", four.url)


def test_a_start_that_fails_makes_no_account(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        command = [sys.executable, "-m", "deploymetrics", "serve", "--bind", f"127.0.0.1:{taken.getsockname()[1]}"]
        environment = {**os.environ, "DEPLOYMETRICS_INSTANCE": str(tmp_path), "DEPLOYMETRICS_COLLECT": "no"}
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
            output, _ = process.communicate(timeout=60)
    assert process.returncode != 0 and b"password" not in output
    assert create_app(tmp_path).extensions["deploymetrics"].accounts.list() == []


@pytest.fixture
def clients():
    """Connections that are kept; all end with the test."""
    kept = []
    yield kept
    for client in kept:
        client.close()


def kept(server):
    """A connection that was answered and is kept."""
    client = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    client.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n")
    assert client.recv(12) == b"HTTP/1.1 200"
    return client


def both_workers(server, clients):
    """The process ids of the two workers, once both of them take connections."""

    def take():
        clients.append(kept(server))
        return min(map(sockets_of, server.workers())) > 1  # beside the listener

    wait_for(take, "both workers")
    return [int(worker) for worker in server.workers()]


def test_kept_connections_are_shared_between_the_workers(kind, serve, clients):
    server = serve(*SERVE, kind)
    workers = both_workers(server, clients)
    before = [sockets_of(worker) for worker in workers]
    clients += [kept(server) for _ in range(80)]
    counts = [sockets_of(worker) - number for worker, number in zip(workers, before, strict=True)]
    # Else one has all of them; a busy machine may wake the other too late, and chance has a share of it as well.
    assert sum(counts) >= 80 and abs(counts[0] - counts[1]) <= 40


def sockets_of(pid):
    """How many sockets a process has open."""
    links = (os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd"))
    return sum(link.startswith("socket:") for link in links)
