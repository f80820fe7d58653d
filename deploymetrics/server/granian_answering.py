"""Answering requests in a worker of granian: in which thread, and how long a client may take.

granian parses a request and calls ``Answering.schedule`` in its one Python thread. What the application answers without
waiting for anything, it answers there (ONLY_FAST_PATH). All else is answered by other threads, once the body is there
(``granian_bodies.py``).
"""

import time
from collections.abc import Iterable
from threading import Event
from typing import Any

from ..http.document_responses import in_pieces
from ..http.environ_keys import ONLY_FAST_PATH, RECEIVED_AT, REQUEST_ID
from . import limits
from .asgi import environ_of, has_body, refusal_of, start_message
from .granian_bodies import Bodies, Body, Exchange
from .protocol_errors import error_answer
from .thread_pool import Threads

_PIECE_BYTES = 2**18
_CLOSE = ("Connection", "close")


class Answering:
    """Answers the requests of a worker by its WSGI application."""

    def __init__(self, app: Any, log: Any, cfg: Any) -> None:
        self.app = app
        self.log = log
        self.threads = Threads(cfg.threads)
        self.bodies = Bodies(
            limits.largest_body(app.config["MAX_BODY_BYTES"]),
            finish=lambda body: self.threads.submit(self._answer_with_body, body),
            no_room=lambda body: self._send_error(body.exchange, 503),
        )
        #: What is being answered now, and when the last request came.
        self.open: set[Any] = set()
        self.latest = 0.0
        #: Each answer ends its connection from now on.
        self.is_ending = False

    def schedule(self, request: Any) -> None:
        """Answer a request in this thread, or hand it to another one. Raises nothing, since granian ignores errors."""
        self.open.add(request)
        try:
            exchange = Exchange(request, environ_of(request.scope), time.perf_counter())
            self.latest = exchange.began
            if status := refusal_of(request.scope):
                self._send_error(exchange, status)
            elif has_body(exchange.environ):
                self.bodies.read(exchange)
            else:
                exchange.environ[ONLY_FAST_PATH] = True
                if not self._answer(exchange):
                    # The application may have changed the environ before it found that it would wait.
                    environ = environ_of(request.scope) | {RECEIVED_AT: exchange.began}
                    self.threads.submit(self._answer, exchange._replace(environ=environ))
        except BaseException:
            self.log.exception("A request was not answered")
            self._end_request(request)

    def _answer_with_body(self, body: Body) -> None:
        try:
            body.exchange.environ["wsgi.input"] = body.reader()
            # A body that was refused by its head was not read to its end.
            self._answer(body.exchange, [_CLOSE] if body.is_dropped and body.is_broken else [])
        except MemoryError:
            self._send_error(body.exchange, 503)
        finally:
            self.bodies.release(body)

    def _answer(self, exchange: Exchange, extra_headers: Iterable[tuple[str, str]] = ()) -> bool:
        """Answer by the application, with ``extra_headers``; return False if it would have to wait."""
        head: list[Any] = []
        try:
            body = self.app(exchange.environ, lambda status, headers, exc_info=None: head.extend((status, headers)))
            if body is None:
                return False
            start = start_message(head[0], [*head[1], *([_CLOSE] if self.is_ending else extra_headers)])
            is_whole = isinstance(body, list) and len(body) < 2
            # Else it says whether it is short enough to wait for its client in memory.
            if is_whole or any(name == "Content-Length" and int(value) <= limits.UNSENT for name, value in head[1]):
                self._send(exchange, head[0], start, b"".join(body))
            elif ONLY_FAST_PATH in exchange.environ:
                self.threads.submit(self._stream, exchange, head[0], start, body)
            else:
                self._stream(exchange, head[0], start, body)
        except Exception:
            self.log.exception("Error handling request %s", exchange.environ["RAW_URI"])
            self._send_error(exchange, 500)
        return True

    def _send_error(self, exchange: Exchange, status: int) -> None:
        line, headers, body, exchange.environ[REQUEST_ID] = error_answer(status)
        if status >= 500:
            self.log.error("%s: answered with %s", exchange.environ[REQUEST_ID], line)
        self._send(exchange, line, start_message(line, list(headers.items())), body)

    def _send(self, exchange: Exchange, status: str, start: dict[str, Any], body: bytes) -> None:
        """Give granian a whole answer to send, however slowly the client reads."""
        proto = exchange.request.proto
        proto.send(start)
        proto.send({"type": "http.response.body", "body": body})
        self._end_request(exchange.request)
        self._note(exchange, status, len(body))

    def _stream(self, exchange: Exchange, status: str, start: dict[str, Any], body: Iterable[bytes]) -> None:
        """Send an answer in pieces, waiting for the client; one that stops reading loses its connection."""
        proto, sent = exchange.request.proto, 0
        try:
            proto.send(start)
            for piece in in_pieces(body, _PIECE_BYTES):
                message = {"type": "http.response.body", "body": piece, "more_body": True}
                _wait_for(proto.send(message), limits.SEND_SECONDS)
                sent += len(piece)
            proto.send({"type": "http.response.body", "body": b""})
        except TimeoutError:
            self.log.debug("A client does not read its answer")
        except Exception:
            self.log.exception("Error handling request %s", exchange.environ["RAW_URI"])
        finally:
            self._end_request(exchange.request)  # unless all was sent, the connection ends, and the client sees that
            getattr(body, "close", lambda: None)()
            self._note(exchange, status, sent)

    def _end_request(self, request: Any) -> None:
        request.done()
        self.open.discard(request)

    def _note(self, exchange: Exchange, status: str, sent: int) -> None:
        """Write the line of a request into the access log."""
        self.log.write_access(exchange.environ, int(status[:3]), sent, time.perf_counter() - exchange.began)


def _wait_for(future: Any, seconds: float) -> None:
    """Wait for a future of granian's; raises TimeoutError after so many seconds."""
    for pending in future.__await__():
        completion = Event()
        pending.add_done_callback(lambda _: completion.set(), context=None)
        if not completion.wait(seconds):
            raise TimeoutError
