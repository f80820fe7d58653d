"""gunicorn's threaded worker, made to share connections fairly with the other workers.

All workers wait on one socket, and whoever wakes first takes a new connection. A client that keeps its connections
alive may so end up with nearly all of them on one worker, while the other cores idle (gunicorn issue 3433). Here a
worker that has more connections than another one steps back for a moment, so that the other takes the new one.

It also gives up on clients that fall silent, refuses in the form of all other errors what is not HTTP, and ends
connections without waiting for the client: gunicorn waits two seconds for each, in the thread that takes new ones.
"""

import mmap
import selectors
import socket
import ssl
import struct
import time
from array import array
from collections import deque
from functools import partial

from gunicorn.util import write_nonblock
from gunicorn.workers.gthread import ThreadWorker

from .protocol_errors import Overheard, refusal

SLOTS = 256
GONE = -1
# Half a millisecond is enough for an idle worker to wake up; a busy or stuck one is waited for no longer than two.
STEP_BACK_SECONDS = 0.0005
STEPS = 4

# How many connections each worker has; in memory that the master makes and all workers share.
_counts = memoryview(mmap.mmap(-1, SLOTS * 4)).cast("i")
_counts[:] = array("i", [GONE] * SLOTS)


def forget(worker):
    """The worker is gone, and no longer compared with; for gunicorn's ``child_exit``."""
    _counts[worker.age % SLOTS] = GONE


class TLSSocket(ssl.SSLSocket):
    """Where it is to block, it waits ``longest`` seconds only. Python tries again what the kernel's timeout has ended,
    in the handshake too."""

    longest = None

    def settimeout(self, seconds):
        super().settimeout(self.longest if seconds is None else seconds)

    def setblocking(self, flag):
        self.settimeout(None if flag else 0.0)


class FairThreadWorker(ThreadWorker):
    """See the module. The seconds count from the last byte, so a slow client is served."""

    receive_seconds = 10
    send_seconds = 30
    linger_seconds = 2

    def init_process(self):
        self.stepped_back = 0
        self.lingering = deque()
        self.cfg.set("ssl_context", partial(self._tls_context, self.cfg.ssl_context))
        self._publish_count()
        super().init_process()

    def enqueue_req(self, conn):
        """Have a thread serve the connection, but not wait for ever on a client that neither sends nor reads."""
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(self.receive_seconds))
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(self.send_seconds))
        super().enqueue_req(conn)

    def handle_error(self, req, client, addr, exc):
        """Answer what gunicorn refuses by itself, with the status that it chooses and logs."""
        overheard = Overheard(client)
        super().handle_error(req, overheard, addr, exc)
        answer, request_id = refusal(overheard.status)
        if request_id:
            self.log.error("%s: the error above", request_id)
        try:
            write_nonblock(client, answer)
        except OSError as error:
            self.log.debug("The refusal was not sent: %s", error)

    def finish_request(self, conn, fs):
        """Keep the connection, or let it linger: closed with bytes unread, it would be reset, and the answer lost."""
        if fs.cancelled() or fs.exception() or fs.result() is not False:
            return super().finish_request(conn, fs)
        try:
            conn.sock.shutdown(socket.SHUT_WR)
            conn.sock.setblocking(False)
            self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._discard, conn))
        except (OSError, ValueError, KeyError):  # the client was faster
            return self._end(conn)
        conn.timeout = time.monotonic() + self.linger_seconds
        self.lingering.append(conn)

    def murder_pending(self):
        """Close the connections whose time is over; gunicorn asks for this once a second at least."""
        super().murder_pending()
        while self.lingering and self.lingering[0].timeout <= time.monotonic():
            self._end_lingering(self.lingering[0])

    def _discard(self, conn, sock):
        try:
            if sock.recv(2**16):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self._end_lingering(conn)

    def _end_lingering(self, conn):
        self.lingering.remove(conn)
        self.poller.unregister(conn.sock)
        self._end(conn)

    def _end(self, conn):
        self.nr_conns -= 1
        conn.close()

    def accept(self, listener):
        """Accept a connection, unless another worker has fewer and may take it."""
        self._publish_count()
        fewest = min(count for count in _counts if count != GONE)
        if self.nr_conns > fewest and self.stepped_back < STEPS:
            self.stepped_back += 1
            time.sleep(STEP_BACK_SECONDS)
            return  # the socket stays readable: asked again, if nobody took it
        self.stepped_back = 0
        super().accept(listener)
        self._publish_count()

    def _tls_context(self, make, conf, default):
        """The TLS context that gunicorn's setting makes, whose sockets do not block for ever either."""
        context = make(conf, default)
        context.sslsocket_class = type("Socket", (TLSSocket,), {"longest": self.receive_seconds})
        return context

    def _publish_count(self):
        _counts[self.age % SLOTS] = self.nr_conns


def _timeval(seconds):
    """The kernel's form of a time: seconds and microseconds."""
    return struct.pack("@ll", seconds, 0)
