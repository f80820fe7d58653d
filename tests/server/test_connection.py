"""A connection as a state machine: what it hands to a thread, and when, whatever the pieces in which it comes."""

import socket

import pytest
from effort import processor_seconds
from gunicorn.config import Config
from gunicorn.http.errors import InvalidHeader, LimitRequestHeaders, LimitRequestLine

from deploymetrics.server import limits
from deploymetrics.server.connection import OVER, READ, READY, WRITE, Connection
from deploymetrics.server.master import SETTINGS
from deploymetrics.server.request_parsing import scan_chunks

HEAD = b"POST /a HTTP/1.1\r\nHost: a\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
LARGEST = 100_000


@pytest.fixture
def pair():
    """(client, connection): both ends of a socket."""
    client, wire = socket.socketpair()
    cfg = Config()
    for name in ("limit_request_line", "limit_request_fields", "limit_request_field_size"):
        cfg.set(name, SETTINGS[name])
    conn = Connection(cfg, wire, ("127.0.0.1", 1), ("127.0.0.1", 2), None, LARGEST)
    client.settimeout(5)
    yield client, conn
    client.close()
    wire.close()


def answer(conn, data=b"HTTP/1.1 200 OK\r\n\r\n"):
    """Answer the request of a connection as a thread does; (its body, what the connection wants then)."""
    body = conn.next_request().body.read()
    conn.sock.sendall(data)
    conn.finish(bool(conn.finish_body()))
    return body, conn.advance()


REQUESTS = {
    "no body": (b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n", b""),
    "length": (HEAD + b"Content-Length: 5\r\n\r\n[1,2]", b"[1,2]"),
    "chunks": (CHUNKED + b"2\r\n[1\r\n3;x=y\r\n,2]\r\n0\r\n\r\n", b"[1,2]"),
    "trailers": (CHUNKED + b"5\r\n[1,2]\r\n0\r\nX: y\r\n\r\n", b"[1,2]"),
    "an empty line before": (b"\r\n" + HEAD + b"Content-Length: 1\r\n\r\n1", b"1"),
}


@pytest.mark.parametrize(("sent", "body"), REQUESTS.values(), ids=REQUESTS)
def test_a_request_is_there_with_its_last_byte(pair, sent, body):
    client, conn = pair
    for byte in sent[:-1]:
        client.send(bytes([byte]))
        assert conn.advance() == READ
    client.send(sent[-1:])
    assert conn.advance() == READY
    assert answer(conn) == (body, READ)
    assert client.recv(100).startswith(b"HTTP/1.1 200")


def test_requests_that_come_together_are_answered_one_after_the_other(pair):
    client, conn = pair
    client.sendall(b"".join(sent for sent, _ in REQUESTS.values()))
    wanted = conn.advance()
    for _, body in REQUESTS.values():
        assert wanted == READY
        found, wanted = answer(conn)
        assert found == body
    assert wanted == READ and conn.is_idle


@pytest.mark.parametrize(
    ("fields", "ends"),
    [
        (b"Connection: close", True),
        (b"Connection: TE, Close\r\nTE: trailers", True),
        (b"Connection: TE\r\nConnection:close,x", True),
        (b"Connection: TE, closed", False),
        (b"X-Connection: close", False),
    ],
)
def test_who_asks_for_it_among_other_things_has_the_connection_closed(pair, fields, ends):
    client, conn = pair
    client.sendall(b"GET /a HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n\r\n")
    assert conn.advance() == READY
    assert conn.next_request().should_close() is ends


def test_a_body_that_nobody_reads_is_not_the_next_request(pair):
    client, conn = pair
    hidden = b"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"
    for framing in (
        b"Content-Length: %d\r\n\r\n%b" % (len(hidden), hidden),
        b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(hidden), hidden),
    ):
        client.sendall(HEAD + framing)
        assert conn.advance() == READY
        conn.next_request()
        conn.finish(conn.finish_body())
        assert conn.advance() == READ and conn.is_idle


REFUSED = {
    "a long line": (b"GET /" + b"x" * 2**17, LimitRequestLine),
    "a long field": (HEAD + b"X: " + b"x" * 9000 + b"\r\n\r\n", LimitRequestHeaders),
    "a head that does not end": (HEAD + b"X: y\r\n" * 20_000, LimitRequestHeaders),
    "bare LF": (b"GET / HTTP/1.1\nHost: a\n\n", Exception),
    "both framings": (HEAD + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", InvalidHeader),
}


@pytest.mark.parametrize(("sent", "error"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_http_is_refused_when_it_is_clear(pair, sent, error):
    client, conn = pair
    client.setblocking(False)
    while sent and (wanted := conn.advance()) == READ:
        sent = sent[client.send(sent[: 2**15]) :]
    assert conn.advance() == READY if sent == b"" and wanted == READ else wanted == READY
    with pytest.raises(error):
        conn.next_request()


CUT = {
    "length": HEAD + b"Content-Length: 100001\r\n\r\n",
    "length and expectation": HEAD + b"Content-Length: 100001\r\nExpect: 100-continue\r\n\r\n",
    "one chunk": CHUNKED + b"ffffff\r\n" + b"x" * (LARGEST + 1),
    "many chunks": CHUNKED + b"1\r\nx\r\n" * (LARGEST // 5),
}


@pytest.mark.parametrize("sent", CUT.values(), ids=CUT)
def test_of_a_body_that_is_too_large_no_more_is_read_than_shows_it(pair, sent):
    client, conn = pair
    while sent:
        sent = sent[client.send(sent[: 2**14]) :]
        wanted = conn.advance()
    assert wanted == READY and conn.held <= LARGEST + 2**16
    request = conn.next_request()
    assert request.should_close()
    conn.sock.sendall(b"HTTP/1.1 413 No\r\n\r\n")
    conn.finish(conn.finish_body())
    assert conn.advance() == READ and conn.is_idle  # it lingers, dropping what comes
    client.sendall(b"x" * 1000)
    assert conn.advance() == READ and conn.advance() == READ
    assert client.recv(100) == b"HTTP/1.1 413 No\r\n\r\n" and client.recv(1) == b""
    client.close()
    assert conn.advance() == OVER


def test_who_expects_it_is_told_to_go_on(pair):
    client, conn = pair
    client.sendall(HEAD + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n")
    assert conn.advance() == READ
    assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.sendall(b"12")
    assert conn.advance() == READY and answer(conn) == (b"12", READ)


@pytest.mark.parametrize("sent", [b"", b"GET /a HT", HEAD])
def test_who_leaves_before_the_end_of_a_head_is_gone(pair, sent):
    client, conn = pair
    client.sendall(sent)
    assert conn.advance() == READ
    client.shutdown(socket.SHUT_WR)
    assert conn.advance() == OVER


def test_who_stops_in_the_middle_of_a_body_is_answered_and_left(pair):
    client, conn = pair
    client.sendall(HEAD + b"Content-Length: 9\r\n\r\n[1]")
    assert conn.advance() == READ
    client.shutdown(socket.SHUT_WR)
    assert conn.advance() == READY
    assert conn.next_request().should_close()
    assert not conn.finish_body()


def test_a_connection_for_which_there_is_no_memory_ends_alone(pair):
    class Full(bytearray):
        def __iadd__(self, data):
            raise MemoryError

    client, conn = pair
    conn.incoming.data = Full()
    client.send(HEAD)
    assert conn.advance() == OVER


def test_no_byte_moves_the_deadline_of_a_head(pair):
    client, conn = pair
    deadline = conn.deadline
    for byte in HEAD:
        client.send(bytes([byte]))
        conn.advance()
    assert conn.deadline == deadline
    client.sendall(b"Content-Length: 50000\r\n\r\n")
    conn.advance()
    deadline = conn.deadline
    client.sendall(b"1" * limits.BYTES_PER_SECOND)
    conn.advance()
    assert conn.deadline == pytest.approx(deadline + 1)


def test_an_answer_waits_for_its_reader_without_a_thread(pair):
    """Up to a mebibyte of it; of a larger one the thread waits, for a while."""
    client, conn = pair
    client.sendall(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
    assert conn.advance() == READY
    assert answer(conn, b"x" * limits.UNSENT)[1] == WRITE
    received = 0
    while received < limits.UNSENT:
        received += len(client.recv(2**16))
        wanted = conn.advance()
    assert wanted == READ and conn.is_idle


def test_who_does_not_read_a_large_answer_is_given_up(pair, monkeypatch):
    client, conn = pair
    monkeypatch.setattr(limits, "SEND_SECONDS", 0.01)
    client.sendall(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
    assert conn.advance() == READY
    with pytest.raises(ConnectionResetError):
        answer(conn, b"x" * 2**24)


@pytest.mark.parametrize(
    ("data", "at", "ends"),
    [
        (b"", 0, False),
        (b"3", 0, False),
        (b"3\r\n[1", 0, False),
        (b"3\r\n[1]\r\n", 8, False),
        (b"3\r\n[1]\r\n0\r\n", 8, False),
        (b"3\r\n[1]\r\n0\r\n\r\nGET", 8, True),
        (b"0\r\nX: y\r\n", 0, False),
        (b"0\r\nX: y\r\n\r\n", 0, True),
        (b"-3\r\n[1]", 0, True),
        (b"x\r\n", 0, True),
        (b"\r\n", 0, True),
        (b"3 ;a\r\n[1]\r\n", 11, False),
        (b"f" * 9000, 0, True),
        (b"0\r\n" + b"x" * 70_000, 0, True),
        (b"f" * 8000 + b"\r\n", 0, False),
    ],
)
def test_where_chunks_end(data, at, ends):
    assert scan_chunks(bytearray(data), 0) == (at, ends)


def test_a_byte_at_a_time_costs_no_more_than_a_byte(pair):
    """Nothing is looked at anew with each byte; doing so would take seconds here."""
    client, conn = pair
    client.sendall(CHUNKED + b"1\r\nx\r\n" * 8000)
    conn.advance()
    with processor_seconds(1):
        for _ in range(5000):
            client.send(b"1\r\nx\r\n")
            assert conn.advance() == READ
