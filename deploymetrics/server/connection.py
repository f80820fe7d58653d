"""A connection, as one state machine: it never waits, so that no client holds a thread.

It is in one of four phases, each a method that does what can be done now and returns what to wait for::

    handshake → receive → (a thread answers) → send → receive …
                                                    → linger, where the connection is to end

A thread gets a request only when its head and body are there, or when it is clear that it will be refused; what it
answers goes into a buffer. gunicorn parses, and finds here all that it asks of a connection and its parser.
"""

import errno
import re
import select
import selectors
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from . import limits
from .gunicorn import (
    ChunkedReader,
    InvalidHeader,
    LimitRequestHeaders,
    NoMoreData,
    Request,
    Unreader,
    UnsupportedTransferCoding,
)

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
#: A request is there, for a thread to answer; the connection is over.
READY, OVER = 0, -1

_HEAD_END = re.compile(rb"\n\r?\n")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]+)[ \t]*(?:;.*)?", re.DOTALL)
_BATCH = 2**16


class Incoming(Unreader):
    """What came and was not read yet. Who reads on gets an end in place of a wait."""

    def __init__(self) -> None:
        super().__init__()
        self.data = bytearray()

    def chunk(self, size_hint: int | None = None) -> bytes:
        """Return all that is there."""
        data = bytes(self.data)
        self.data.clear()
        return data

    def rewind(self) -> None:
        """Put back what a parser has taken and not used."""
        self.data[:0] = self.take_buffered()


class StrictRequest(Request):
    """A request as gunicorn parses it, without what it lets pass: codings that nobody decodes, and no Host."""

    def set_body_reader(self) -> None:
        """Choose what reads the body; raises InvalidHeader and UnsupportedTransferCoding."""
        if self.version >= (1, 1) and not dict(self.headers).get("HOST"):
            raise InvalidHeader("HOST")
        for name, value in self.headers:
            if name == "TRANSFER-ENCODING" and value.lower() != "chunked":
                raise UnsupportedTransferCoding(value)
        super().set_body_reader()


class Outgoing:
    """What is to be sent. It stands in for the socket while gunicorn writes an answer."""

    def __init__(self, wire: socket.socket) -> None:
        self.wire = wire
        self.pieces: list[bytes | memoryview] = []
        self.size = 0
        self.deadline = 0.0
        #: When the request had come that is being answered, by time.perf_counter().
        self.came = 0.0

    def sendall(self, data: bytes) -> None:
        """Take data, and send in batches; wait for the client only where it is far behind."""
        self.pieces.append(data)
        self.size += len(data)
        if self.size >= _BATCH:
            self.flush()
            while self.size > limits.UNSENT:
                self._wait()
                self.flush()

    def flush(self) -> bool:
        """Send what can be sent now, and return True if that was all."""
        while self.pieces:
            data = self.pieces[0] if len(self.pieces) == 1 else b"".join(self.pieces)
            self.pieces[:] = [data]
            try:
                sent = self.wire.send(data)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return False
            self.size -= sent
            self.deadline += sent / limits.BYTES_PER_SECOND
            self.pieces[:] = [memoryview(data)[sent:]] if self.size else []
        return True

    def sendfile(self, file: Any, offset: int, count: int) -> None:
        """Take a part of a file; those of this service are small."""
        file.seek(offset)
        self.sendall(file.read(count))

    def _wait(self) -> None:
        poll = select.poll()
        poll.register(self.wire, select.POLLOUT)
        if not poll.poll(self.patience * 1000):
            raise ConnectionResetError(errno.ECONNRESET, "The client reads too slowly.")

    @property
    def patience(self) -> float:
        """Return for how many seconds the client may read nothing now."""
        return min(limits.SEND_SECONDS, max(0, self.deadline - time.monotonic()))

    def setblocking(self, flag: bool) -> None:
        """Stay as it is: nothing here blocks."""

    def shutdown(self, how: int) -> None:
        """Refuse: an answer that failed in the middle must not look like a whole one."""
        raise ConnectionResetError(errno.ECONNRESET, "The answer failed in the middle.")

    def close(self) -> None:
        """Leave that to the worker."""


class Connection:
    """A client's connection, which the worker's poller moves on.

    ``deadline`` is when its phase is over in any case, ``since`` when it last began to wait.
    """

    initialized = data_ready = True
    is_http2 = False

    def __init__(
        self, cfg: Any, wire: socket.socket, client: Any, server: Any, tls: ssl.SSLContext | None, largest_body: int
    ) -> None:
        wire.setblocking(False)
        if tls is not None:
            wire = tls.wrap_socket(wire, server_side=True, do_handshake_on_connect=False)
        self.cfg, self.wire, self.client, self.server = cfg, wire, client, server
        self.largest_body = largest_body
        self.sock = Outgoing(wire)
        self.parser = self
        self.incoming = Incoming()
        self.requests = 0
        self.counted = 0  # bytes that the worker has counted for it
        self.keeps = False
        self.phase: Callable[[], int] = self.receive if tls is None else self.handshake
        self._begin()
        self._limit(limits.RECEIVE_SECONDS)

    def _begin(self) -> None:
        """Wait for a request."""
        self.request: Any = None
        self.error: Exception | None = None
        self.is_cut = False
        self.scanned = 0

    def _limit(self, seconds: float) -> None:
        self.since = time.monotonic()
        self.deadline = self.since + seconds

    @property
    def is_idle(self) -> bool:
        """Return True where nobody has begun anything that ending it would break off."""
        return self.phase == self.linger or (self.request is None and not self.incoming.data and not self.sock.size)

    @property
    def held(self) -> int:
        """Return how many bytes are held for it."""
        return len(self.incoming.data) + self.sock.size

    # --- The phases, for the poller

    def advance(self) -> int:
        """Do what can be done now, and return READ or WRITE for what to wait for, READY or OVER."""
        try:
            return self.phase()
        except (BlockingIOError, ssl.SSLWantReadError):
            return READ
        except ssl.SSLWantWriteError:
            return WRITE
        except (OSError, ValueError):
            return OVER

    def handshake(self) -> int:
        """Agree on TLS."""
        self.wire.do_handshake()  # type: ignore[attr-defined]
        self.phase = self.receive
        return self.receive()

    def receive(self) -> int:
        """Read, until a request is there."""
        data = self.wire.recv(_BATCH)
        if not data:
            self.is_cut = True
            return READY if self.request else OVER
        if self.request is None and not self.incoming.data and self.requests:
            self._limit(limits.RECEIVE_SECONDS)
        self.incoming.data += data
        while isinstance(self.wire, ssl.SSLSocket) and self.wire.pending():
            self.incoming.data += self.wire.recv(_BATCH)
        if self.request:
            self.deadline += len(data) / limits.BYTES_PER_SECOND
        return self.look()

    def look(self) -> int:
        """Return READY if a request has come, else READ."""
        data = self.incoming.data
        if self.request is None:
            if not _HEAD_END.search(data, self.scanned) and len(data) <= limits.HEAD:
                self.scanned = max(0, len(data) - 2)
                return READ
            return self._read_head()
        return READY if self._has_body() else READ

    def _read_head(self) -> int:
        self.requests += 1
        try:
            self.request = StrictRequest(self.cfg, self.incoming, self.client, self.requests)
        except NoMoreData as error:
            self.error = LimitRequestHeaders("all of them") if len(error.buf or b"") > limits.HEAD else error
            return READY
        except Exception as error:
            self.error = error
            return READY
        self.incoming.rewind()
        self.scanned = 0
        expects, self.request._expected_100_continue = self.request._expected_100_continue, False
        if self._has_body():
            return READY
        if expects:
            self.wire.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._limit(limits.RECEIVE_SECONDS)
        return READ

    def _has_body(self) -> bool:
        """Return True if the body is there, or no more of it is to be read."""
        reader, size = self.request.body.reader, len(self.incoming.data)
        if isinstance(reader, ChunkedReader):
            self.scanned, ends = chunks(self.incoming.data, self.scanned)
            self.is_cut = not ends and size > self.largest_body
        else:
            ends = size >= reader.length
            self.is_cut = reader.length > self.largest_body
        return ends or self.is_cut

    def send(self) -> int:
        """Send what is left of the answer."""
        if not self.sock.flush():
            self._limit(self.sock.patience)
            return WRITE
        if self.keeps:
            self.phase = self.receive
            self._begin()
            self._limit(limits.RECEIVE_SECONDS if self.incoming.data else limits.KEEP_SECONDS)
            return self.look()
        self.wire.shutdown(socket.SHUT_WR)
        self.phase = self.linger
        self._limit(limits.RECEIVE_SECONDS)
        return READ

    def linger(self) -> int:
        """Drop what comes: closed with bytes unread, a connection is reset, and the answer is lost."""
        return READ if self.wire.recv(_BATCH) else OVER

    # --- The request and its answer, for a thread

    def init(self) -> None:
        """Be ready: it is."""

    def __next__(self) -> Any:
        """Return the request; raises what it broke of HTTP."""
        self.sock.deadline = time.monotonic() + limits.SEND_SECONDS
        if self.error:
            raise self.error
        if self.is_cut:
            self.request.force_close()
        return self.request

    def finish_body(self, deadline: float) -> bool:
        """Drop what is left of the body; return False where nobody knows at which byte the next request begins."""
        with suppress(Exception):
            while self.request.body.read(_BATCH):
                pass
            self.incoming.rewind()
            return not (self.is_cut or self.request.body.failed)
        return False

    def answered(self, keeps: bool) -> None:
        """Go on with what is left of the answer, and then with the next request if the connection is kept."""
        self.keeps = keeps
        self.phase = self.send
        self._limit(limits.SEND_SECONDS)


def chunks(data: bytearray, at: int) -> tuple[int, bool]:
    """Return where to look on in a chunked body, and whether it ends in ``data``, or breaks there.

    ``at`` is where a chunk begins. This says only when there is enough to read; gunicorn's reader says what it means.
    """
    while (end := data.find(b"\r\n", at)) >= 0:
        size = _CHUNK_SIZE.fullmatch(data, at, end)
        if size is None:
            return at, True
        length = int(size[1], 16)
        if length == 0:
            return at, data.find(b"\r\n\r\n", end) >= 0 or len(data) - end > limits.HEAD
        if len(data) < end + 2 + length + 2:
            return at, False
        at = end + 2 + length + 2
    return at, len(data) - at > limits.HEADER_FIELD
