"""A client's connection as a state machine, which never waits, so that no client holds a thread.

It is in one of four phases, each a method that does what can be done now and returns what to wait for::

    handshake → receive → (a thread answers) → send → receive …
                                                    → linger, where the connection is to end

A thread gets a request only when its head and body are there, or when it is clear that it will be refused; what it
answers goes into a buffer.
"""

import re
import selectors
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from gunicorn.http.body import ChunkedReader
from gunicorn.http.errors import LimitRequestHeaders, NoMoreData

from . import limits
from .request_parsing import ReceiveBuffer, StrictRequest, scan_chunks
from .send_buffer import SendBuffer

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
#: A request is there, for a thread to answer; the connection is over.
READY, OVER = 0, -1

_HEAD_END = re.compile(rb"\n\r?\n")
_BATCH = 2**16


class Connection:
    """A client's connection, whose phases the worker's poller calls.

    ``deadline`` is when its phase is over in any case, ``since`` when it last began to wait, by time.monotonic().
    ``counted`` are the bytes that the worker has counted for it. Of a request ``error`` is what it broke of HTTP;
    ``is_cut`` says that no more of its body is read, ``scanned`` how far its end was looked for.
    """

    def __init__(
        self, cfg: Any, wire: socket.socket, client: Any, server: Any, tls: ssl.SSLContext | None, largest_body: int
    ) -> None:
        wire.setblocking(False)
        if tls is not None:
            wire = tls.wrap_socket(wire, server_side=True, do_handshake_on_connect=False)
        self.cfg, self.wire, self.client, self.server = cfg, wire, client, server
        self.largest_body = largest_body
        self.sock = SendBuffer(wire)
        self.incoming = ReceiveBuffer()
        self.requests = 0
        self.counted = 0
        self.keep_alive = False
        self.phase: Callable[[], int] = self.receive if tls is None else self.handshake
        self._begin()
        self._set_deadline(limits.RECEIVE_SECONDS)

    def _begin(self) -> None:
        """Forget the last request, and wait for the next one."""
        self.request: Any = None
        self.error: Exception | None = None
        self.is_cut = False
        self.scanned = 0

    def _set_deadline(self, seconds: float) -> None:
        self.since = time.monotonic()
        self.deadline = self.since + seconds

    @property
    def is_idle(self) -> bool:
        """Return True if the connection can be ended without breaking off a request or an answer."""
        return self.phase == self.linger or (self.request is None and not self.incoming.data and not self.sock.size)

    @property
    def held(self) -> int:
        """Return how many bytes are held in memory for the connection."""
        return len(self.incoming.data) + self.sock.size

    # --- The phases, for the poller

    def advance(self) -> int:
        """Run the current phase as far as possible; return READ or WRITE if it has to wait, READY or OVER."""
        try:
            return self.phase()
        except (BlockingIOError, ssl.SSLWantReadError):
            return READ
        except ssl.SSLWantWriteError:
            return WRITE
        except (OSError, ValueError, MemoryError):  # of one client, however many others the worker has
            return OVER

    def handshake(self) -> int:
        """Do the TLS handshake."""
        self.wire.do_handshake()  # type: ignore[attr-defined]
        self.phase = self.receive
        return self.receive()

    def receive(self) -> int:
        """Read until a request has come."""
        data = self.wire.recv(_BATCH)
        if not data:
            self.is_cut = True
            return READY if self.request else OVER
        if self.request is None and not self.incoming.data and self.requests:
            self._set_deadline(limits.RECEIVE_SECONDS)
        self.incoming.data += data
        while isinstance(self.wire, ssl.SSLSocket) and self.wire.pending():
            self.incoming.data += self.wire.recv(_BATCH)
        if self.request:
            self.deadline += len(data) / limits.BYTES_PER_SECOND
        return self.check_received()

    def check_received(self) -> int:
        """Return READY if a request has come, else READ."""
        data = self.incoming.data
        if self.request is None:
            if not _HEAD_END.search(data, self.scanned) and len(data) <= limits.HEAD:
                self.scanned = max(0, len(data) - 2)
                return READ
            return self._read_head()
        return READY if self._has_body() else READ

    def _read_head(self) -> int:
        """Parse the head of a request; return READY if its body is there too, or it will be refused."""
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
        self._set_deadline(limits.RECEIVE_SECONDS)
        return READ

    def _has_body(self) -> bool:
        """Return True if the whole body has come, or no more of it is to be read."""
        reader, size = self.request.body.reader, len(self.incoming.data)
        if isinstance(reader, ChunkedReader):
            self.scanned, ends = scan_chunks(self.incoming.data, self.scanned)
            self.is_cut = not ends and size > self.largest_body
        else:
            ends = size >= reader.length
            self.is_cut = reader.length > self.largest_body
        return ends or self.is_cut

    def send(self) -> int:
        """Send the rest of the answer; then wait for the next request, or for the client to close."""
        if not self.sock.flush():
            self._set_deadline(self.sock.patience)
            return WRITE
        if self.keep_alive:
            self.phase = self.receive
            self._begin()
            self._set_deadline(limits.RECEIVE_SECONDS if self.incoming.data else limits.KEEP_SECONDS)
            return self.check_received()
        self.wire.shutdown(socket.SHUT_WR)
        self.phase = self.linger
        self._set_deadline(limits.RECEIVE_SECONDS)
        return READ

    def linger(self) -> int:
        """Drop bytes until the client closes: closed with bytes unread, a connection is reset, and the answer lost."""
        return READ if self.wire.recv(_BATCH) else OVER

    # --- The request and its answer, for a thread

    def next_request(self) -> Any:
        """Return the request; raises gunicorn's error for one that is not as HTTP says."""
        self.sock.deadline = time.monotonic() + limits.SEND_SECONDS
        if self.error:
            raise self.error
        if self.is_cut:
            self.request.force_close()
        return self.request

    def finish_body(self) -> bool:
        """Drop the rest of the body; return False if it is not known where the next request begins."""
        with suppress(Exception):
            while self.request.body.read(_BATCH):
                pass
            self.incoming.rewind()
            return not (self.is_cut or self.request.body.failed)
        return False

    def finish(self, keep_alive: bool) -> None:
        """Have the poller send the rest of the answer, and then wait for the next request if ``keep_alive``."""
        self.keep_alive = keep_alive
        self.phase = self.send
        self._set_deadline(limits.SEND_SECONDS)
