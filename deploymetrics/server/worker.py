"""gunicorn's threaded worker, made to share connections fairly with the other workers.

All workers wait on one socket, and whoever wakes first takes a new connection. A client that keeps its connections
alive may so end up with nearly all of them on one worker, while the other cores idle (gunicorn issue 3433). Here a
worker that has more connections than another one steps back for a moment, so that the other takes the new one.

No client holds a thread by doing nothing: a new connection waits in the poller until it sends, one that falls silent in
the middle is given up, and one that is to be closed is not waited for (gunicorn waits two seconds for each, in the
thread that takes new ones). What is not HTTP is refused in the form of all other errors.
"""

import mmap
import selectors
import signal
import socket
import ssl
import struct
import time
from array import array
from collections import deque
from functools import partial
from typing import Any

from .gunicorn import TConn, ThreadWorker, ssl_context, write_nonblock
from .protocol_errors import StatusReader, refusal

SLOTS = 256
GONE = -1
# Half a millisecond is enough for an idle worker to wake up; a busy or stuck one is waited for no longer than two.
STEP_BACK_SECONDS = 0.0005
STEPS = 4
#: What a worker does something about. Whoever starts it may hold them off until it can.
SIGNALS = {signal.SIGTERM, signal.SIGQUIT, signal.SIGINT, signal.SIGABRT, signal.SIGUSR1}

# How many connections each worker has; in memory that the master makes and all workers share.
_counts = memoryview(mmap.mmap(-1, SLOTS * 4)).cast("i")
_counts[:] = array("i", [GONE] * SLOTS)


def forget(worker: ThreadWorker) -> None:
    """Compare with this worker no longer, since it is gone; for gunicorn's ``child_exit``."""
    _counts[worker.age % SLOTS] = GONE


class TLSSocket(ssl.SSLSocket):
    """Waits ``longest`` seconds only where it is to block.

    Python tries again what the kernel's timeout has ended, in the handshake too.
    """

    longest: float

    def settimeout(self, value: float | None) -> None:
        super().settimeout(self.longest if value is None else value)

    def setblocking(self, flag: bool) -> None:
        self.settimeout(None if flag else 0.0)


class FairThreadWorker(ThreadWorker):
    """See the module. The seconds count from the last byte, so a slow client is served."""

    receive_seconds = 10
    send_seconds = 30
    linger_seconds = 2

    def init_process(self) -> None:
        self.stepped_back = 0
        self.lingering: deque[TConn] = deque()
        if self.cfg.is_ssl:
            self._make_tls_context()
        self._publish_count()
        super().init_process()

    def _make_tls_context(self) -> None:
        """Make the TLS context once; gunicorn reads certificate and key for each connection."""
        context = ssl_context(self.cfg)
        context.sslsocket_class = type("Socket", (TLSSocket,), {"longest": self.receive_seconds})
        self.cfg.set("ssl_context", lambda conf, default: context)

    def init_signals(self) -> None:
        super().init_signals()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)

    def accept(self, listener: Any) -> None:
        """Take a new connection, unless another worker has fewer and may take it."""
        self._publish_count()
        fewest = min(count for count in _counts if count != GONE)
        if self.nr_conns > fewest and self.stepped_back < STEPS:
            self.stepped_back += 1
            time.sleep(STEP_BACK_SECONDS)
            return  # the socket stays readable: asked again, if nobody took it
        self.stepped_back = 0
        try:
            client, address = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(self.receive_seconds))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(self.send_seconds))
        self._await_first_byte(TConn(self.cfg, client, address, listener.getsockname()))
        self.nr_conns += 1
        self._publish_count()

    def _await_first_byte(self, conn: TConn) -> None:
        conn.timeout = time.monotonic() + self.receive_seconds
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self.on_pending_socket_readable, conn))

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer what gunicorn refuses by itself, with the status that it chooses and logs."""
        reader = StatusReader(client)
        super().handle_error(req, reader, addr, exc)
        answer, request_id = refusal(reader.status)
        if request_id:
            self.log.error("%s: the error above", request_id)
        try:
            write_nonblock(client, answer)
        except OSError as error:
            self.log.debug("The refusal was not sent: %s", error)

    def finish_request(self, conn: TConn, fs: Any) -> None:
        """Keep the connection, or let it linger: closed with bytes unread, it would be reset, and the answer lost."""
        if fs.cancelled() or fs.exception() or fs.result() is not False:
            super().finish_request(conn, fs)
            return
        try:
            conn.sock.shutdown(socket.SHUT_WR)
            conn.sock.setblocking(False)
            self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._discard, conn))
        except (OSError, ValueError, KeyError):  # the client was faster
            self._end(conn)
            return
        conn.timeout = time.monotonic() + self.linger_seconds
        self.lingering.append(conn)

    def murder_pending(self) -> None:
        """Close the connections whose time is over; gunicorn asks for this once a second at least."""
        super().murder_pending()
        while self.lingering and self.lingering[0].timeout <= time.monotonic():
            self._end_lingering(self.lingering[0])

    def _cap_keepalive(self, deadline: float) -> None:
        """Wait no longer for new connections than for kept ones when the worker stops."""
        super()._cap_keepalive(deadline)
        for conn in self.pending_conns:
            conn.timeout = min(conn.timeout, deadline)

    def _discard(self, conn: TConn, sock: socket.socket) -> None:
        try:
            if sock.recv(2**16):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self._end_lingering(conn)

    def _end_lingering(self, conn: TConn) -> None:
        self.lingering.remove(conn)
        self.poller.unregister(conn.sock)
        self._end(conn)

    def _end(self, conn: TConn) -> None:
        self.nr_conns -= 1
        conn.close()

    def _publish_count(self) -> None:
        _counts[self.age % SLOTS] = self.nr_conns


def _timeval(seconds: int) -> bytes:
    """Return the kernel's form of a time: seconds and microseconds."""
    return struct.pack("@ll", seconds, 0)
