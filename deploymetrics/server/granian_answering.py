"""How a worker of granian answers: which thread does it, and how long a client may take.

granian parses a request and calls ``Answering.schedule`` in its one Python thread. What the application answers without
waiting for anything, it answers there (ONLY_SHORT_WAY). All else is answered by other threads, and a body is read
before, by the event loop: so no client holds a thread by sending slowly or not at all.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO
from typing import Any, NamedTuple

from ..http.document_responses import in_pieces
from ..http.request_ids import REQUEST_ID
from ..http.short_way import ONLY_SHORT_WAY
from . import limits
from .asgi import environ_of, fault_of, has_body, start_of
from .protocol_errors import refused

_PIECE_BYTES = 2**18
_PAUSE = 0.02
_CLOSE = ("Connection", "close")


class BrokenBody:
    """Stands for a body that did not come, or not wholly."""

    def read(self, size: int = -1) -> bytes:
        """Raise OSError, as reading it would have."""
        raise OSError("the body broke off")

    readline = read


class Exchange(NamedTuple):
    """A request of granian's, with its environ and the time at which it came."""

    request: Any
    environ: dict[str, Any]
    began: float


class Answering:
    """Answers the requests of a worker by its application."""

    def __init__(self, app: Any, log: Any, loop: asyncio.AbstractEventLoop, cfg: Any) -> None:
        self.app = app
        self.log = log
        self.loop = loop
        self.threads = ThreadPoolExecutor(cfg.threads)
        self.largest_body = limits.largest_body(app.config["MAX_BODY_BYTES"])
        self.held = 0
        self.tasks: set[asyncio.Task[None]] = set()
        #: What is being answered now, and when the last request came.
        self.open: set[Any] = set()
        self.latest = 0.0
        #: Each answer ends its connection from now on.
        self.is_ending = False

    def schedule(self, request: Any) -> None:
        """Answer a request, or have it answered. Raises nothing: granian does not look at that."""
        self.open.add(request)
        try:
            exchange = Exchange(request, environ_of(request.scope), time.perf_counter())
            self.latest = exchange.began
            if status := fault_of(request.scope):
                self._refuse(exchange, status)
            elif has_body(exchange.environ):
                self.loop.call_soon_threadsafe(self._await_body, exchange)
            elif not self._answer(exchange._replace(environ=exchange.environ | {ONLY_SHORT_WAY: True})):
                self.threads.submit(self._answer, exchange)
        except BaseException:
            self.log.exception("A request was not answered")
            self._end(request)

    # --- Bodies

    def _await_body(self, exchange: Exchange) -> None:
        task = self.loop.create_task(self._with_body(exchange))
        self.tasks.add(task)  # the loop itself would forget it
        task.add_done_callback(self.tasks.discard)

    async def _with_body(self, exchange: Exchange) -> None:
        """Read the body, and have a thread answer; what waits for one counts as held."""
        environ, body, more = exchange.environ, bytearray(), [_CLOSE]
        try:
            if int(environ.get("CONTENT_LENGTH", "0")) > self.largest_body:
                environ["wsgi.input"] = BrokenBody()  # it is refused by its head, whatever it is
                if "HTTP_EXPECT" not in environ:
                    await self._drop(exchange.request.proto)
            elif not await self._has_room():
                self._refuse(exchange, 503)
                return
            else:
                is_whole = await self._read(exchange.request.proto, body)
                environ["wsgi.input"] = BytesIO(body) if is_whole else BrokenBody()
                more = []
            await self.loop.run_in_executor(self.threads, self._answer, exchange, more)
        except Exception:
            self.log.exception("A request was not answered")
            self._end(exchange.request)
        finally:
            self.held -= len(body)

    async def _has_room(self) -> bool:
        """Wait until less is held than may be; False where that takes too long."""
        give_up = self.loop.time() + limits.RECEIVE_SECONDS
        while self.held > limits.HELD and self.loop.time() < give_up:
            await asyncio.sleep(_PAUSE)
        return self.held <= limits.HELD

    async def _read(self, proto: Any, body: bytearray) -> bool:
        """Read a body, or of a larger one as much as tells that; False where it breaks off or takes too long."""
        deadline = self.loop.time() + limits.RECEIVE_SECONDS
        try:
            while True:
                async with asyncio.timeout_at(deadline + len(body) / limits.BYTES_PER_SECOND):
                    message = await proto.receive()
                if message["type"] != "http.request":
                    return False
                body += message["body"]
                self.held += len(message["body"])
                if not message["more_body"]:
                    return True
                if len(body) > self.largest_body:
                    await self._drop(proto)
                    return True
        except TimeoutError:
            return False

    async def _drop(self, proto: Any) -> None:
        """Drop what comes of a body: granian reads nothing after the answer, and who still sends would be reset."""
        with suppress(TimeoutError):
            async with asyncio.timeout(limits.RECEIVE_SECONDS):
                while (await proto.receive()).get("more_body"):
                    pass

    # --- Answers

    def _answer(self, exchange: Exchange, more: Iterable[tuple[str, str]] = ()) -> bool:
        """Answer by the application, with ``more`` headers; False where it would have to wait."""
        head: list[Any] = []
        try:
            body = self.app(exchange.environ, lambda status, headers, exc_info=None: head.extend((status, headers)))
            if body is None:
                return False
            start = start_of(head[0], [*head[1], *([_CLOSE] if self.is_ending else more)])
            if _is_small(head[1], body):
                self._send(exchange, head[0], start, b"".join(body))
            elif ONLY_SHORT_WAY in exchange.environ:
                self.threads.submit(self._stream, exchange, head[0], start, body)
            else:
                self._stream(exchange, head[0], start, body)
        except Exception:
            self.log.exception("Error handling request %s", exchange.environ["RAW_URI"])
            self._refuse(exchange, 500)
        return True

    def _refuse(self, exchange: Exchange, status: int) -> None:
        line, headers, body, exchange.environ[REQUEST_ID] = refused(status)
        if status >= 500:
            self.log.error("%s: answered with %s", exchange.environ[REQUEST_ID], line)
        self._send(exchange, line, start_of(line, list(headers.items())), body)

    def _send(self, exchange: Exchange, status: str, start: dict[str, Any], body: bytes) -> None:
        """Hand over a whole answer: granian sends it, however slowly the client reads."""
        proto = exchange.request.proto
        proto.send(start)
        proto.send({"type": "http.response.body", "body": body})
        self._end(exchange.request)
        self._note(exchange, status, len(body))

    def _stream(self, exchange: Exchange, status: str, start: dict[str, Any], body: Iterable[bytes]) -> None:
        """Send an answer in pieces; a client that stops reading loses its connection, and the thread goes on."""
        proto, sent = exchange.request.proto, 0
        try:
            proto.send(start)
            for piece in in_pieces(body, _PIECE_BYTES):
                message = {"type": "http.response.body", "body": piece, "more_body": True}
                asyncio.run_coroutine_threadsafe(_awaited(proto.send, message), self.loop).result(limits.SEND_SECONDS)
                sent += len(piece)
            proto.send({"type": "http.response.body", "body": b""})
        except TimeoutError:
            self.log.debug("A client does not read its answer")
        except Exception:
            self.log.exception("Error handling request %s", exchange.environ["RAW_URI"])
        finally:
            self._end(exchange.request)  # unless all was sent, the connection ends, and the client sees that
            getattr(body, "close", lambda: None)()
            self._note(exchange, status, sent)

    def _end(self, request: Any) -> None:
        request.done()
        self.open.discard(request)

    def _note(self, exchange: Exchange, status: str, sent: int) -> None:
        """Write the line of the access log."""
        self.log.answered(exchange.environ, int(status[:3]), sent, time.perf_counter() - exchange.began)


def _is_small(headers: list[tuple[str, str]], body: Iterable[bytes]) -> bool:
    """Return True for a body that is there, or says that it is short enough to wait for its client in memory."""
    if isinstance(body, list) and len(body) < 2:
        return True
    return any(name == "Content-Length" and int(value) <= limits.UNSENT for name, value in headers)


async def _awaited(function: Callable[[Any], Any], argument: Any) -> None:
    await function(argument)
