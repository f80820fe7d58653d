"""The worker with granian in place of gunicorn's threads: granian reads, parses and sends, in Rust.

The master is gunicorn's as ever. So settings, reloads, stops, the collector, sockets and the log are those of ``serve``
with gunicorn, and nothing here repeats them. How a request gets to the application is in ``granian_answering.py``.
"""

import asyncio
import atexit
import logging
import os
import select
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from gunicorn.workers.base import Worker

from ..errors import SettingError
from . import limits
from .granian_answering import Answering
from .granian_bodies import Callbacks
from .worker import SIGNALS

if TYPE_CHECKING:
    native: Any
    HTTP1Settings: Any
else:
    from granian import _granian as native
    from granian.http import HTTP1Settings

_BACKLOG = 2048


def prepare_worker(master: Any, worker: Any) -> None:
    """Give a new worker its slot and its share of the listeners, before the fork."""
    master.assign_slot(worker)
    share_listeners(master, worker)


def share_listeners(master: Any, worker: Any) -> None:
    """Choose the share of the master's listeners that a new worker serves; there are as many as workers.

    The kernel spreads new connections over them; from one for all, whoever wakes first would take nearly all. The
    master keeps each open, so that none that waits there is lost with a worker.
    """
    _add_listeners(master)
    workers_of = Counter(getattr(other, "share", None) for other in master.WORKERS.values())
    worker.share = min(range(master.num_workers), key=lambda share: workers_of[share])
    worker.shares = master.num_workers


def _add_listeners(master: Any) -> None:
    """Open more listeners in the master, until it has one for each worker, if they are ports that it opened itself."""
    listeners = master.LISTENERS
    if listeners[0].FAMILY == socket.AF_UNIX:
        return
    for listener in listeners:
        # Ends the connection of a client that does not read its answer, of which granian does not get tired.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, limits.SEND_SECONDS * 1000)
    while len(listeners) < master.num_workers and "LISTEN_FDS" not in os.environ:
        listeners[0].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock = socket.socket(listeners[0].FAMILY)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(listeners[0].getsockname())
        listeners.append(type(listeners[0])(sock.getsockname(), master.cfg, master.log, fd=sock.detach()))


def cores_of(share: int, shares: int, cores: set[int]) -> set[int]:
    """Return which of the cores a worker with one of so many shares runs on: one of its own, or all if there are more.

    Python runs one thread of a process at a time, so on a second core they only take it from one another.
    """
    return cores if shares < len(cores) else {sorted(cores)[share % len(cores)]}


def serve(
    sock: socket.socket,
    callbacks: Callbacks,
    answer: Callable[[Any], None],
    ended: Any,
    certfile: str | None,
    keyfile: str | None,
) -> None:
    """Have granian's threads serve a socket, and call ``answer`` with each request, until ``ended`` is set.

    Ends the process where granian does not begin: one of its threads that cannot be started may leave it waiting.
    """
    is_unix = sock.family == socket.AF_UNIX
    scheduler = native.CallbackScheduler(callbacks, None, None, None, None)
    scheduler._schedule_fn = answer
    worker = native.ASGIWorker(
        worker_id=os.getpid(),
        sock=(None, native.SocketHolder(sock.detach(), is_unix, _BACKLOG)),
        ipc=None,
        threads=1,
        blocking_threads=16,
        py_threads=1,
        py_threads_idle_timeout=30,
        backpressure=limits.connections(limits.MOST_CONNECTIONS),
        http_mode="1",
        http1_opts=HTTP1Settings(header_read_timeout=limits.KEEP_SECONDS * 1000, max_buffer_size=limits.HEAD),
        http2_opts=None,
        websockets_enabled=False,
        static_files=None,
        ssl_enabled=certfile is not None,
        ssl_cert=certfile,
        ssl_key=keyfile,
        ssl_key_password=None,
        ssl_protocol_min="tls1.2",  # as OpenSSL's, which gunicorn uses; of its ciphers, those with forward secrecy
        ssl_ca=None,
        ssl_crl=[],
        ssl_client_verify=False,
        metrics=(None, None),
    )
    signal.alarm(limits.BEGIN_SECONDS)
    (worker.serve_mtr_uds if is_unix else worker.serve_mtr)(scheduler, callbacks, ended)
    signal.alarm(0)


def check_certificate(name: str, certfile: str, keyfile: str) -> None:
    """Raise SettingError unless granian can use a certificate and its key; it knows fewer kinds than OpenSSL.

    It is tried in a copy of this process: granian's way to say no is to end.
    """
    copy = os.fork()
    if not copy:
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
            sock = socket.create_server(("127.0.0.1", 0))
            serve(sock, Callbacks(None), print, native.WorkerSignal(), certfile, keyfile)
            os._exit(0)
        finally:
            os._exit(1)
    if os.waitpid(copy, 0)[1]:
        raise SettingError(f"granian cannot use the certificate {name}: its key is to be RSA, P-256, P-384 or Ed25519.")


class GranianWorker(Worker):
    """Answers requests with granian, on its share of the listeners."""

    sockets: list[Any]
    share, shares = 0, 1

    def init_signals(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.running: list[Any] = []
        super().init_signals()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)

    def run(self) -> None:
        """Serve until a signal; then finish the answers that have begun."""
        log = logging.getLogger("_granian")
        log.handlers, log.propagate = self.log.error_log.handlers, False
        log.setLevel(logging.WARNING)
        sys.setswitchinterval(limits.SWITCH_SECONDS)
        with suppress(OSError):  # where that is forbidden it runs on all
            os.sched_setaffinity(0, cores_of(self.share, self.shares, os.sched_getaffinity(0)))
        with suppress(OSError):
            if os.sched_getscheduler(0) == os.SCHED_OTHER:
                # A thread that wakes waits for the one that runs; each change takes longer than most of what they do.
                os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        self.answering = Answering(self.wsgi, self.log, self.cfg)
        mine = self.sockets[self.share :: self.shares] or [self.sockets[self.share % len(self.sockets)]]
        for listener in set(self.sockets) - set(mine):
            listener.close()  # else whoever comes there when its own worker has stopped would wait, and be reset
        self.sockets = mine
        self.running = [self._serve(listener) for listener in mine]
        self.unfinished = len(self.running)
        self._beat()
        if not self.alive:  # a signal came before it could be heeded
            self.handle_exit(signal.SIGTERM, None)
        self.loop.run_forever()
        atexit.register(os._exit, 0)  # while the interpreter is taken down, a thread of granian's may abort the process
        self.answering.threads.end()  # so that each answer has its line in the access log

    def _serve(self, listener: Any) -> Any:
        """Have granian serve a listener; return the signal that ends it."""
        ended = native.WorkerSignal()
        ended.add_cb(lambda: self.loop.call_soon_threadsafe(self._on_listener_end))
        # It closes what it is given, and the master's listener is not its own.
        sock = socket.socket(fileno=os.dup(listener.fileno()))
        serve(sock, Callbacks(self.log), self.answering.schedule, ended, self.cfg.certfile, self.cfg.keyfile)
        return ended

    def _beat(self) -> None:
        """Tell the master, each second, that this worker lives; stop if the master does not."""
        self.notify()
        self.answering.bodies.end_late()
        if self.ppid != os.getppid():
            self.log.info("Parent changed, shutting down: %s", self)
            self.handle_exit(signal.SIGTERM, None)
        self.loop.call_later(1, self._beat)

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Stop accepting, have the clients close their connections, and finish the answers that have begun."""
        super().handle_exit(sig, frame)
        if self.running:
            self.answering.is_ending = True
            self.loop.call_soon_threadsafe(self._stop_accepting)

    def _stop_accepting(self) -> None:
        """Close the listeners; granian cannot, so its copies are replaced by a socket that nobody knows."""
        if not self.sockets:
            return
        is_unix = self.sockets[0].FAMILY == socket.AF_UNIX
        address = "" if is_unix else ("127.0.0.1", 0)  # the kernel chooses
        nobody = socket.create_server(address, family=socket.AF_UNIX if is_unix else socket.AF_INET)
        nobody.setblocking(False)
        listening = {os.fstat(listener.fileno()).st_ino for listener in self.sockets}
        self._drain_queues()
        while self.sockets:
            self.sockets.pop().close()
        for fd in map(int, os.listdir("/proc/self/fd")):
            with suppress(OSError):  # it was that of the folder
                if os.fstat(fd).st_ino in listening:
                    os.dup2(nobody.fileno(), fd, inheritable=False)
        self.answering.latest = now = time.perf_counter()  # whoever has just connected is about to send
        self._stop_granian(now + limits.STOP_SECONDS)

    def _drain_queues(self) -> None:
        """Wait until granian has accepted the connections in the queues of the listeners; closing would reset them."""
        poll, until = select.poll(), time.monotonic() + limits.QUIET_SECONDS
        for listener in self.sockets:
            poll.register(listener, select.POLLIN)
        while poll.poll(0) and time.monotonic() < until:
            time.sleep(0.0005)

    def _stop_granian(self, until: float) -> None:
        """Stop granian, which ends connections without notice, once no client is about to send, or at ``until``."""
        now = time.perf_counter()
        if now < until and now - self.answering.latest < limits.QUIET_SECONDS:
            self.loop.call_later(limits.QUIET_SECONDS / 10, self._stop_granian, until)
            return
        running, self.running = self.running, []
        for end_signal in running:
            end_signal.set()
        if running:
            self.loop.call_later(limits.RECEIVE_SECONDS, self._end_when_idle)

    def _end_when_idle(self) -> None:
        """End the process once all begun answers are sent, without waiting for requests that may never be whole."""
        if self.answering.open:
            self.loop.call_later(0.1, self._end_when_idle)
        else:
            self.loop.stop()

    def _on_listener_end(self) -> None:
        self.unfinished -= 1
        if not self.unfinished:
            self.loop.stop()


#: What is different where the setting SERVER is granian.
SETTINGS = {"worker_class": GranianWorker, "pre_fork": prepare_worker}
