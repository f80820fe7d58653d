"""Requests hidden in the bodies or heads of others: none becomes a request of its own, straight and through nginx."""

import socket

import pytest
import requests
from conftest import PASSWORD
from proxies import free_port, nginx
from serving import Served

from deploymetrics import create_app
from deploymetrics.accounts.service import Role

MASTER = ("master", PASSWORD)
DOCS = "/api/deploymentmetrics"
AUTHORIZATION = f"Authorization: {requests.auth._basic_auth_str(*MASTER)}\r\n".encode()
OWN = b"Content-Length: %d\r\n\r\n"
HIDDEN = b"POST /api/deploymentmetrics/smuggled HTTP/1.1\r\nHost: a\r\n" + AUTHORIZATION + b"Content-Length: 1\r\n\r\n1"
POST = b"POST /api/deploymentmetrics/outer HTTP/1.1\r\nHost: a\r\n" + AUTHORIZATION
GET = b"GET /api/help HTTP/1.1\r\nHost: a\r\n" + AUTHORIZATION
END = b"0\r\n\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(END + HIDDEN)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
# Each is read by someone in such a way that HIDDEN stands alone.
SMUGGLING = {
    "length, then chunks": POST + LENGTH + CHUNKED + b"\r\n" + END + HIDDEN,
    "chunks, then length": POST + CHUNKED + LENGTH + b"\r\n" + END + HIDDEN,
    "length 0 and chunks": POST + b"Content-Length: 0\r\n" + CHUNKED + b"\r\n%x\r\n" % len(HIDDEN) + HIDDEN,
    "two lengths": POST + b"Content-Length: 1\r\n" + LENGTH + b"\r\n" + END + HIDDEN,
    "a list of lengths": POST + b"Content-Length: 5, %d\r\n\r\n" % len(END + HIDDEN) + END + HIDDEN,
    "a signed length": POST + b"Content-Length: +5\r\n\r\n" + END + HIDDEN,
    "a length with underscores": POST + b"Content-Length: 0_5\r\n\r\n" + END + HIDDEN,
    "white space before the colon": POST + LENGTH + b"Transfer-Encoding : chunked\r\n\r\n" + END + HIDDEN,
    "a folded coding": POST + LENGTH + b"Transfer-Encoding:\r\n chunked\r\n\r\n" + END + HIDDEN,
    "a coding with a vertical tab": POST + LENGTH + b"Transfer-Encoding: \x0bchunked\r\n\r\n" + END + HIDDEN,
    "an unknown coding": POST + LENGTH + b"Transfer-Encoding: xchunked\r\n\r\n" + END + HIDDEN,
    "chunked twice": POST + CHUNKED + CHUNKED + b"\r\n" + END + HIDDEN,
    "identity": POST + LENGTH + b"Transfer-Encoding: identity\r\n\r\n" + END + HIDDEN,
    "an underscore": POST + LENGTH + b"Transfer_Encoding: chunked\r\n\r\n" + END + HIDDEN,
    "HTTP/1.0": POST.replace(b"1.1\r", b"1.0\r") + LENGTH + CHUNKED + b"\r\n" + END + HIDDEN,
    "bare LF": POST + LENGTH + b"X: y\nTransfer-Encoding: chunked\r\n\r\n" + END + HIDDEN,
    "bare CR": POST + b"X: y\rTransfer-Encoding: chunked\r\n" + LENGTH + b"\r\n" + END + HIDDEN,
    "NUL": POST + b"X: \x00\r\n" + LENGTH + CHUNKED + b"\r\n" + END + HIDDEN,
    "a negative chunk": POST + CHUNKED + b"\r\n-1\r\n" + END + HIDDEN,
    "a chunk of 0x": POST + CHUNKED + b"\r\n0x0\r\n\r\n" + HIDDEN,
    "a chunk that overflows": POST + CHUNKED + b"\r\n10000000000000000\r\n" + END + HIDDEN,
    "a chunk longer than it says": POST + CHUNKED + b"\r\n1\r\n1" + HIDDEN + b"\r\n" + END,
    "a trailer that frames": POST + CHUNKED + b"\r\n0\r\nContent-Length: 5\r\n\r\n",
    "GET with a body": GET + OWN % len(HIDDEN) + HIDDEN,
    "a refused body": POST + b"Content-Type: image/png\r\n" + OWN % len(HIDDEN) + HIDDEN,
    "a body that is not read": POST.replace(b"outer", b"platform") + OWN % len(HIDDEN) + HIDDEN,
    "a header in a header": GET + b"X: a\\r\\n\\r\\n" + HIDDEN.split(b"\r\n")[0] + b"\r\n\r\n",
    "a request in the path": GET.replace(b" HTTP", b"%0d%0aHost:%20a%0d%0a%0d%0a HTTP") + b"\r\n",
}
# nginx ends a chunk and its line at LF, so to it HIDDEN is the client's next request.
CHUNKS_WITH_LF = {
    "in an extension": POST + CHUNKED + b"\r\n0;a\n\r\n\r\n" + HIDDEN,
    "after a chunk": POST + CHUNKED + b"\r\n1\r\n1\n" + END + HIDDEN,
}
_NGINX = """
server {{ listen 127.0.0.1:{front}; client_max_body_size 2m; location / {{
    proxy_pass http://127.0.0.1:{port}; proxy_http_version 1.1; proxy_set_header Connection ""; }} }}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("smuggling")
    accounts = create_app(folder / "instance").extensions["deploymetrics"].accounts
    accounts.add(MASTER[0], Role.MASTER_OPERATOR, PASSWORD)
    command = ("deploymetrics", "serve", "--bind", "127.0.0.1:0", "--workers", "1")
    one = Served(command, folder, folder / "instance")
    yield one.started()
    one.end()


@pytest.fixture(scope="module", params=["straight", "nginx"])
def port(request, server, tmp_path_factory):
    """Where to send it."""
    if request.param == "straight":
        yield server.port
        return
    front = free_port()
    with nginx(tmp_path_factory.mktemp("nginx"), front, _NGINX.format(front=front, port=server.port)):
        yield front


@pytest.mark.parametrize("sent", SMUGGLING.values(), ids=SMUGGLING)
def test_no_request_is_hidden_in_another(server, port, sent):
    assert_hides_nothing(server, port, sent)


@pytest.mark.parametrize("sent", CHUNKS_WITH_LF.values(), ids=CHUNKS_WITH_LF)
def test_no_request_is_hidden_behind_a_line_feed(server, sent):
    assert_hides_nothing(server, server.port, sent)


def assert_hides_nothing(server, port, sent):
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        answers = b""
        while more := client.recv(2**16):
            answers += more
    assert answers.count(b"HTTP/1.1 200") <= 1
    for path in (f"{DOCS}/smuggled", f"{DOCS}/smuggled/history"):
        assert requests.get(f"{server.url}{path}", auth=MASTER).status_code == 404
    assert requests.get(f"http://127.0.0.1:{port}/api/help", auth=MASTER).status_code == 200
