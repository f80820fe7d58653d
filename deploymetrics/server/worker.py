"""The worker: gunicorn's threaded one, in which no client holds a thread, and workers share connections fairly.

Its poller reads and sends for all connections (``connection.py``); a thread gets what was sent only when it is whole,
and answers it. So a client that is slow or silent costs memory for a while, which is bounded, and no thread. What is
not HTTP is refused in the form of all other errors.
"""

import errno
import signal
import ssl
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any

from gunicorn.http.errors import NoMoreData
from gunicorn.workers.gthread import ThreadWorker

from ..http.environ_keys import RECEIVED_AT
from . import limits
from .accept_turns import GONE, SLOTS, STEP_SECONDS, Turn
from .connection import OVER, READY, Connection
from .protocol_errors import StatusReader, error_answer
from .thread_pool import thread_pool
from .tls import tls_context

SWEEP_SECONDS = 0.5
#: Errors of a connection that could not be taken, for which ending another one makes room.
SHORTAGES = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS}
#: What a worker does something about. Whoever starts it may hold them off until it can.
SIGNALS = {signal.SIGTERM, signal.SIGQUIT, signal.SIGINT, signal.SIGABRT, signal.SIGUSR1}


class FairThreadWorker(ThreadWorker):
    """Answers requests with threads, and takes a new connection only in its turn (``accept_turns.py``).

    ``waiting``: the connections that the poller waits for, and for what.
    ``held``, ``may_hold``: the bytes that are held for clients, and how many may be.
    ``capacity``: how many connections there may be.
    ``next_accept``: when connections are taken again, after one could not be.
    """

    wsgi: Any
    next_accept = 0.0

    def init_process(self) -> None:
        # Our master gave it a slot that no living worker has; gunicorn's own knows of none.
        self.turn = Turn(getattr(self, "slot", self.age % SLOTS))
        sys.setswitchinterval(limits.SWITCH_SECONDS)
        self.waiting: dict[Connection, int] = {}
        self.held = 0
        self.next_sweep = 0.0
        self.tls = tls_context(self.cfg.certfile, self.cfg.keyfile) if self.cfg.is_ssl else None
        self.capacity = min(limits.connections(), self.cfg.worker_connections)
        self.worker_connections = self.capacity + 1  # where it stops taking connections: when all are being answered
        super().init_process()

    def get_thread_pool(self) -> ThreadPoolExecutor:
        return thread_pool(self.cfg.threads)

    def load_wsgi(self) -> None:
        super().load_wsgi()
        self.largest_body = limits.largest_body(self.wsgi.config["MAX_BODY_BYTES"])
        self.may_hold = limits.may_hold(self.largest_body)
        self.application, self.wsgi = self.wsgi, self._call_application

    def init_signals(self) -> None:
        super().init_signals()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)

    # --- New connections

    def accept(self, listener: Any) -> None:
        """Accept a new connection, unless it is the turn of another worker."""
        if not self._accepting:
            return  # the listener was closed in this very round of the poller
        if not self.turn.has_come():
            time.sleep(STEP_SECONDS)
            return  # the socket stays readable: asked again, if nobody took it
        if self.nr_conns >= self.capacity:
            self._end_one()
        self._accept_one(listener)

    def _accept_one(self, listener: Any) -> bool:
        """Accept a connection; return False if none could be accepted."""
        try:
            client, address = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return False
        except OSError as error:  # no descriptor or no memory is left, or the system forbids it
            self.log.warning("A new connection is not taken: %s", error.strerror)
            if error.errno not in SHORTAGES or not self._end_one():
                # The socket stays readable, and would be asked again at once, for ever.
                self.next_accept = time.monotonic() + SWEEP_SECONDS
                self.set_accept_enabled(False)
            return False
        self.nr_conns += 1
        try:
            conn = Connection(self.cfg, client, address, listener.getsockname(), self.tls, self.largest_body)
        except (OSError, MemoryError):  # the client was faster; or there is no memory for it
            self.nr_conns -= 1
            client.close()
            return True
        self._advance(conn)
        self._publish_load()
        return True

    def set_accept_enabled(self, enabled: bool) -> None:
        """Accept new connections or not, and tell the other workers."""
        super().set_accept_enabled(enabled and time.monotonic() >= self.next_accept)
        self._publish_load()

    def _publish_load(self) -> None:
        self.turn.publish(self.nr_conns if self._accepting else GONE)

    # --- Connections that the poller looks after

    def _schedule(self, conn: Connection, state: int) -> None:
        """Have the poller wait (READ, WRITE), a thread answer the request (READY), or end the connection (OVER)."""
        before = self.waiting.get(conn)
        if state in (READY, OVER):
            if before is not None:
                del self.waiting[conn]
                self.poller.unregister(conn.wire)
            if state == READY:
                conn.sock.received_at = time.perf_counter()
                self.enqueue_req(conn)
            else:
                self.nr_conns -= 1
                self._publish_load()
                self.held -= conn.counted
                with suppress(OSError):
                    conn.wire.close()
        elif state != before:
            if before is None:
                self.poller.register(conn.wire, state, partial(self._on_event, conn))
            else:
                self.poller.modify(conn.wire, state, partial(self._on_event, conn))
            self.waiting[conn] = state

    def _on_event(self, conn: Connection, _: Any) -> None:
        if conn in self.waiting:  # else it was ended for another one of the same round
            self._advance(conn)

    def _advance(self, conn: Connection) -> None:
        """Advance a connection; while all of them hold too many bytes, end the one that holds most."""
        state, held = conn.advance(), conn.held
        self.held += held - conn.counted
        conn.counted = held
        self._schedule(conn, state)
        while self.held > self.may_hold and self.waiting:
            self._schedule(max(self.waiting, key=lambda conn: conn.counted), OVER)

    def _end_one(self) -> bool:
        """End the connection idle longest, else the one waiting longest; False if threads have all of them."""
        if not self.waiting:
            return False
        self._schedule(min(self.waiting, key=lambda conn: (not conn.is_idle, conn.since)), OVER)
        return True

    def murder_pending(self) -> None:
        """End the connections whose deadline is over; gunicorn calls this once a second at least."""
        now = time.monotonic()
        if now >= self.next_sweep:
            self.next_sweep = now + SWEEP_SECONDS
            for conn in [conn for conn in self.waiting if conn.deadline <= now]:
                self._schedule(conn, OVER)

    def murder_keepalived(self, force: bool = False) -> None:
        """End all connections if the worker's time to stop is over (``force``)."""
        if force:
            for conn in list(self.waiting):
                self._schedule(conn, OVER)

    def _cap_keepalive(self, deadline: float) -> None:
        """Accept the connections that wait already and no more; keep idle ones until ``deadline`` at most."""
        self.set_accept_enabled(False)
        while self.sockets:
            listener = self.sockets.pop()
            while self.nr_conns < self.capacity and self._accept_one(listener):
                pass  # whoever waited there until the worker ends would be reset
            listener.close()
        for conn in self.waiting:
            if conn.is_idle:
                conn.deadline = min(conn.deadline, deadline)

    # --- Requests that a thread answers

    def handle(self, conn: Connection) -> bool:
        """Answer a request in a thread; return True if the connection is kept alive."""
        request = None
        try:
            request = conn.next_request()
            return bool(self.handle_request(request, conn)) and conn.finish_body()
        except (NoMoreData, StopIteration, ConnectionError, ssl.SSLError):
            pass  # the client is gone; or its answer failed in the middle, which is in the log
        except OSError as error:
            if error.errno != errno.ENOTCONN:
                self.log.exception("Socket error processing request.")
        except Exception as error:
            self.handle_error(request, conn.sock, conn.client, error)
        finally:
            with suppress(OSError, ValueError):
                conn.sock.flush()
        return False

    def _call_application(self, environ: dict[str, Any], start_response: Any) -> Any:
        """Call the application, with the time at which the request had come."""
        environ[RECEIVED_AT] = environ["gunicorn.socket"].received_at
        return self.application(environ, start_response)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer a request that gunicorn refuses by a problem document with the status that gunicorn chose."""
        reader = StatusReader()
        super().handle_error(req, reader, addr, exc)
        line, headers, body, request_id = error_answer(reader.status)
        self.log.warning("%s: answered with %s, see above", request_id, reader.status)
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        with suppress(OSError):
            client.sendall(f"HTTP/1.1 {line}\r\n{head}\r\n".encode() + body)

    def finish_request(self, conn: Connection, fs: Any) -> None:
        """Hand a connection whose request was answered back to the poller."""
        conn.finish(not fs.cancelled() and fs.exception() is None and fs.result() is True)
        self._advance(conn)
        if not self.alive:
            self._cap_keepalive(time.monotonic() + limits.STOP_SECONDS)
