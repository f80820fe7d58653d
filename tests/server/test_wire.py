"""What only a bare socket can do to a server: stop in the middle, refuse to read, send what is not HTTP."""

import contextlib
import http.client
import json
import socket
import ssl
import time
from pathlib import Path

import pytest
import requests
from conftest import PASSWORD
from problems import assert_problem
from serving import BIN, Served, make_certificate
from waiting import wait_for

from deploymetrics import create_app
from deploymetrics.accounts.service import Role
from deploymetrics.server import limits, master
from deploymetrics.server.worker import FairThreadWorker

MASTER = ("master", PASSWORD)
URL = "/api/deploymentmetrics/custom"
AUTHORIZED = f"POST {URL} HTTP/1.1\r\nHost: a\r\nAuthorization: {requests.auth._basic_auth_str(*MASTER)}\r\n".encode()
ANONYMOUS = f"POST {URL} HTTP/1.1\r\nHost: a\r\n".encode()
LARGE = 2**20 - 2
# The worker gives up after one second; the rest is for a machine that has other things to do.
SOON = 20


SERVERS = {"gunicorn": "impatient.Worker", "granian": "impatient.Granian"}


def impatient_server(folder, server, *options, limit=1024):
    """A server with one thread, so that whoever holds it holds all, little patience, and so many descriptors."""
    accounts = create_app(folder / "instance").extensions["deploymetrics"].accounts
    accounts.add(MASTER[0], Role.MASTER_OPERATOR, MASTER[1])
    command = (
        "/usr/bin/env",
        "bash",
        "-c",
        f'ulimit -n {limit}; exec "$@"',
        "bash",
        str(BIN / "gunicorn"),
        "wsgi:app",
        "--worker-class",
        SERVERS[server],
        "--workers",
        "1",
        "--threads",
        "1",
        "--keep-alive",
        "75",
        "--bind",
        "127.0.0.1:0",
        "--no-control-socket",
        *options,
    )
    return Served(command, folder, folder / "instance", PYTHONPATH=str(Path(__file__).parents[1] / "support"))


@pytest.fixture(scope="module", params=SERVERS)
def kind(request):
    """Each server in turn: what is promised, each of them keeps."""
    return request.param


@pytest.fixture(scope="module")
def one(tmp_path_factory, kind):
    """See ``impatient_server``."""
    server = impatient_server(tmp_path_factory.mktemp("one"), kind)
    yield server.started()
    server.end()


@pytest.fixture(scope="module")
def secure(tmp_path_factory, kind):
    """The same with TLS; ``certificate`` is what to trust."""
    folder = tmp_path_factory.mktemp("secure")
    certificate, key = make_certificate(folder)
    server = impatient_server(folder, kind, "--certfile", certificate, "--keyfile", key)
    server.certificate = certificate
    yield server.started()
    server.end()


@contextlib.contextmanager
def connected(one):
    with socket.create_connection(("127.0.0.1", one.port), timeout=SOON) as client:
        yield client


def answer_on(client):
    """The next answer on a connection, in the form that ``assert_problem`` reads."""
    answer = requests.Response()
    with contextlib.closing(http.client.HTTPResponse(client)) as response:
        response.begin()
        answer.status_code, answer.headers, answer.data = response.status, response.headers, response.read()
    answer.get_json = lambda force: json.loads(answer.data)
    return answer


# --- Silence

UNFINISHED = {
    "request line": b"GET /openapi.json HT",
    "header": b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n",
    "body": AUTHORIZED + b"Content-Length: 10\r\n\r\n[1",
    "refused body": ANONYMOUS + b"Content-Length: 10\r\n\r\n[1",
    "chunk": AUTHORIZED + b"Transfer-Encoding: chunked\r\n\r\na\r\n[1",
    "chunks": AUTHORIZED + b"Transfer-Encoding: chunked\r\n\r\n2\r\n[1\r\n",
}


def test_the_served_worker_gives_up_on_silent_clients():
    assert master.SETTINGS["worker_class"] == f"{FairThreadWorker.__module__}.{FairThreadWorker.__name__}"
    assert 0 < limits.RECEIVE_SECONDS <= 10 and 0 < limits.SEND_SECONDS <= 30


def test_a_request_came_when_all_of_it_had_come(one, kind):
    if kind == "granian":  # test_granian.py has that
        return
    with connected(one) as client:
        for _ in range(2):
            client.sendall(b"GET /openapi.json HTTP/1.1\r\n")
            assert requests.get(f"{one.url}/openapi.json", timeout=SOON).ok
            before = time.perf_counter()
            client.sendall(b"Host: a\r\n\r\n")
            waited = float(answer_on(client).headers["Waited"])
            assert 0 < waited <= 1000 * (time.perf_counter() - before)


@pytest.mark.parametrize("begun", UNFINISHED.values(), ids=UNFINISHED)
def test_an_unfinished_request_holds_no_thread_for_ever(one, begun):
    with connected(one) as client:
        client.sendall(begun)
        assert requests.get(f"{one.url}/openapi.json", timeout=SOON).ok
    assert requests.get(f"{one.url}{URL}", auth=MASTER).status_code == 404  # nor is anything of it stored


def test_new_connections_that_say_nothing_hold_no_thread(one, secure):
    for each in (one, secure):
        with contextlib.ExitStack() as stack:
            for _ in range(8):
                stack.enter_context(connected(each))
            trusted = getattr(each, "certificate", True)
            assert requests.get(f"{each.url}/openapi.json", timeout=SOON, verify=trusted).ok


@pytest.mark.parametrize("begun", UNFINISHED.values(), ids=UNFINISHED)
def test_nor_does_it_over_tls(secure, begun):
    trusted = ssl.create_default_context(cafile=secure.certificate)
    with connected(secure) as client, trusted.wrap_socket(client, server_hostname="127.0.0.1") as wrapped:
        wrapped.sendall(begun)
        assert requests.get(f"{secure.url}/openapi.json", timeout=SOON, verify=secure.certificate).ok


@pytest.mark.parametrize("begun", [b"\x16\x03\x01", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"], ids=["begun", "not TLS"])
def test_nor_does_a_handshake(secure, begun):
    with connected(secure) as client:
        client.sendall(begun)
        assert requests.get(f"{secure.url}/openapi.json", timeout=SOON, verify=secure.certificate).ok


def test_who_drips_is_given_up_and_holds_up_nobody(one, secure):
    """A byte now and then moves no deadline, whatever was begun, and with all of them at once."""
    trusted = ssl.create_default_context(cafile=secure.certificate)
    with contextlib.ExitStack() as stack:
        dripping = {}
        for name, begun in UNFINISHED.items():
            wrapped = trusted.wrap_socket(stack.enter_context(connected(secure)), server_hostname="127.0.0.1")
            dripping[name, "TLS"] = stack.enter_context(wrapped)
            dripping[name, "plain"] = stack.enter_context(connected(one))
            for client in dripping[name, "TLS"], dripping[name, "plain"]:
                client.sendall(begun)
                client.settimeout(0.005)
        served = dict.fromkeys(dripping, 0)
        while dripping:
            assert requests.get(f"{one.url}/openapi.json", timeout=SOON).ok
            for name, client in list(dripping.items()):
                served[name] += 1
                if is_gone(client):
                    del dripping[name]
        assert min(served.values()) > 3, served


def is_gone(client):
    """Send a byte, as long as the other side takes one; True once it does not."""
    try:
        client.sendall(b"1")
        return client.recv(1) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


def test_large_bodies_over_a_kept_connection_with_tls(secure):
    metrics = "x" * (LARGE - 2)
    with requests.Session() as session:
        for tag in ("a", "b"):
            known = {"url": f"{secure.url}/api/deploymentmetrics/{tag}", "auth": MASTER, "verify": secure.certificate}
            assert session.put(**known, json=metrics).json()["metrics"] == metrics
            assert session.get(**known).json()["metrics"] == metrics


def test_who_does_not_read_holds_no_thread_for_ever(one):
    tags = [f"{one.url}/api/deploymentmetrics/large-{number}" for number in range(8)]
    for tag in tags:
        assert requests.put(tag, data='"' + "x" * (LARGE - 2) + '"', auth=MASTER).ok
    with connected(one) as client:
        client.sendall(AUTHORIZED.replace(f"POST {URL}".encode(), b"GET /api/deploymentmetrics") + b"\r\n")
        assert requests.get(f"{one.url}/openapi.json", timeout=SOON).ok
    for tag in tags:
        assert requests.delete(tag, auth=MASTER).ok


@pytest.mark.parametrize(
    "sent",
    [b"nonsense\r\n\r\n", b"GET /openapi.json HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"],
    ids=["refused", "answered"],
)
def test_who_does_not_close_holds_up_nobody(one, sent):
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connected(one)) for _ in range(SOON + 5)]
        for client in clients:
            client.sendall(sent)
        for client in clients:
            assert answer_on(client).headers["Connection"] == "close"
        # Waiting a second for one after the other would take longer.
        assert requests.get(f"{one.url}/openapi.json", timeout=SOON).ok
        for client in clients:
            wait_for(lambda: is_reset(client), "the server to close")


def is_reset(client):
    """Whether the other side is gone: it refuses what it is sent."""
    try:
        client.sendall(b"x")
    except OSError:
        return True


# --- A refusal is read by who is still sending

CHUNKS = b"Transfer-Encoding: chunked\r\n\r\n" + (b"100000\r\n" + b"1" * 2**20 + b"\r\n") * 16 + b"0\r\n\r\n"


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (ANONYMOUS, 401),
        (AUTHORIZED, 413),
        (AUTHORIZED + b"Content-Type: image/png\r\n", 415),
        (AUTHORIZED.replace(b"custom", b"platform"), 403),
        (AUTHORIZED.replace(b"/api/", b"/api/other/"), 404),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else "",
)
def test_who_sends_two_mebibytes_reads_the_refusal(one, head, status):
    body = b"1" * 2**21
    with connected(one) as client:
        client.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body))
        client.sendall(body)  # an answer that comes early is not looked at before all is sent
        assert_problem(answer_on(client), status)
        client.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert answer_on(client).status_code == 200  # the connection still stands where the next request begins


@pytest.mark.parametrize(
    "head", [b"Content-Length: %d\r\n\r\n%b" % (2**24, b"1" * 2**24), CHUNKS], ids=["length", "chunks"]
)
def test_who_sends_sixteen_mebibytes_reads_the_refusal(one, head):
    with connected(one) as client:
        client.sendall(AUTHORIZED + head)
        assert_problem(answer_on(client), 413)


def test_a_body_that_is_far_too_large_is_refused_at_its_head(one, kind):
    for head in (ANONYMOUS, AUTHORIZED):
        with connected(one) as client:
            client.sendall(head + b"Content-Length: 100000000\r\nExpect: 100-continue\r\n\r\n")
            answer = answer_on(client)
            assert_problem(answer, 401 if head == ANONYMOUS else 413)
            assert answer.headers["Connection"] == "close"
            if kind == "gunicorn":
                client.sendall(b"1" * 2**20)  # who sends nevertheless is not reset


# --- More connections than there can be


def test_more_connections_than_descriptors_end_those_that_are_idle(tmp_path):
    server = impatient_server(tmp_path, "gunicorn", limit=150)
    try:
        server.started()
        kept = []
        for _ in range(300):
            kept.append(socket.create_connection(("127.0.0.1", server.port), timeout=SOON))
            kept[-1].sendall(b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n")
            assert kept[-1].recv(12) == b"HTTP/1.1 200"
        assert requests.get(f"{server.url}/openapi.json", timeout=SOON).ok
        assert server.count("Booting worker") == 1 and "Traceback" not in server.log
        for client in kept:
            client.close()
    finally:
        server.end()


# --- What is not HTTP

LONG = b"x" * 9000
GET = b"GET / HTTP/1.1\r\nHost: a\r\n"
REFUSED = {
    "long request line": (b"GET /" + LONG + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414, "uri-too-long"),
    "long header": (GET + b"X: " + LONG + b"\r\n\r\n", 431, "headers-too-large"),
    "many headers": (GET + b"".join(b"X-%d: 1\r\n" % n for n in range(200)) + b"\r\n", 431, "headers-too-large"),
    "no request": (b"nonsense\r\n\r\n", 400, "malformed-request"),
    "method": (b"g<t / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "malformed-request"),
    "method in small letters": (b"get / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "malformed-request"),
    "version": (b"GET / HTTP/9.9\r\nHost: a\r\n\r\n", 400, "malformed-request"),
    "header name": (GET + b"<b>: a\r\n\r\n", 400, "malformed-request"),
    "folded header": (GET + b"X: a\r\n <b>\r\n\r\n", 400, "malformed-request"),
    "two hosts": (GET + b"Host: b\r\n\r\n", 400, "malformed-request"),
    "length": (GET + b"Content-Length: <b>\r\n\r\n", 400, "malformed-request"),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400, "malformed-request"),
    "empty host": (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", 400, "malformed-request"),
    "compressed chunks": (GET + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 501, "transfer-coding"),
    "compressed, and chunks": (
        GET + b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n",
        501,
        "transfer-coding",
    ),
    "no coding": (GET + b"Transfer-Encoding: identity, chunked\r\n\r\n", 501, "transfer-coding"),
    "chunks of chunks": (GET + b"Transfer-Encoding: chunked, chunked\r\n\r\n", 501, "transfer-coding"),
    "coding": (GET + b"Transfer-Encoding: <b>\r\n\r\n", 501, "transfer-coding"),
    "expectation": (GET + b"Expect: <b>\r\n\r\n", 417, "expectation-failed"),
}


#: What granian answers by itself: with these statuses, and no body.
BY_GRANIAN = {
    "many headers": 431,
    "no request": 400,
    "method": 400,
    "version": 400,
    "header name": 400,
    "folded header": 400,
    "length": 400,
    "coding": 400,
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_http_is_refused_with_a_problem(one, kind, name):
    sent, status, code = REFUSED[name]
    with connected(one) as client:
        client.sendall(sent)
        answer = answer_on(client)
        assert client.recv(1) == b""
    if kind == "granian" and name in BY_GRANIAN:
        assert (answer.status_code, answer.data) == (BY_GRANIAN[name], b"")
    else:
        assert_problem(answer, status, code)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Connection"] == "close"
    assert b"<b>" not in answer.data and b"xxx" not in answer.data
    assert requests.get(f"{one.url}/openapi.json", timeout=SOON).ok


LENGTH, CHUNKED = b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n"


@pytest.mark.parametrize("framing", [LENGTH + CHUNKED, CHUNKED + LENGTH], ids=["length first", "chunks first"])
def test_a_length_beside_chunks_hides_no_request(one, kind, framing):
    """gunicorn refuses it. granian reads the chunks and ends the connection, as RFC 9112 allows (6.1)."""
    with connected(one) as client:
        client.sendall(AUTHORIZED + framing + b"\r\n1\r\n1\r\n0\r\n\r\nGET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = answer_on(client)
        if kind == "gunicorn":
            assert_problem(answer, 400, "malformed-request")
        else:
            assert answer.status_code == 200
        assert answer.headers["Connection"] == "close"
        with contextlib.suppress(ConnectionError):
            assert client.recv(1) == b""
    assert requests.delete(f"{one.url}{URL}", auth=MASTER).status_code == {"gunicorn": 404, "granian": 204}[kind]


def test_an_encoded_slash_is_no_slash(one):
    assert_problem(asked(one, b"GET /api/deploymentmetrics/a%2Fhistory HTTP/1.1\r\nHost: a\r\n"), 400, "invalid-tag")


@pytest.mark.parametrize("credentials", ["", "Authorization: Basic eDp4\r\n"], ids=["nobody", "somebody else"])
def test_options_of_the_server_as_a_whole(one, credentials):
    with connected(one) as client:
        client.sendall(f"OPTIONS * HTTP/1.1\r\nHost: a\r\n{credentials}Connection: close\r\n\r\n".encode())
        answer = answer_on(client)
    assert (answer.status_code, answer.data) == (200, b"")
    assert answer.headers["Allow"] == "DELETE, GET, HEAD, OPTIONS, POST, PUT"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_header_with_an_underscore_passes_for_no_other(one):
    """Else a client could say what a proxy says."""
    answer = asked(one, b"GET /openapi.json HTTP/1.1\r\nHost: a\r\nIf_None_Match: *\r\n")
    assert answer.status_code == 200


def asked(one, head):
    """The answer to a request of the master operator."""
    with connected(one) as client:
        client.sendall(head + AUTHORIZED.partition(b"Host: a\r\n")[2] + b"Connection: close\r\n\r\n")
        return answer_on(client)
