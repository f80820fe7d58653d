"""Reading the bodies of requests in a worker of granian, before a thread is taken, within limits of time and memory.

granian calls back with each piece that has come. So no client holds a thread by sending slowly or not at all, and a
body that came with its head costs no thread but the one that answers.
"""

import time
from collections.abc import Callable
from functools import partial
from io import BytesIO
from threading import Lock
from typing import Any, NamedTuple

from . import limits


class Exchange(NamedTuple):
    """A request of granian's, its environ, and when it came, by time.perf_counter()."""

    request: Any
    environ: dict[str, Any]
    began: float


class BrokenBody:
    """Stands in for the file of a body that did not come, or not completely."""

    def read(self, size: int = -1) -> bytes:
        """Raise OSError, as reading from the connection would have."""
        raise OSError("the body broke off")

    readline = read


class Body:
    """The body of an Exchange that is being read.

    ``data`` is what came of it. One that ``is_broken`` will not be whole. Of one that ``is_dropped`` nothing more is
    kept: granian reads nothing after an answer, and who still sends would be reset. ``since`` is when its client
    was first waited for.
    """

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.length = int(exchange.environ.get("CONTENT_LENGTH", "-1"))
        self.data = bytearray()
        self.is_broken = self.is_dropped = False
        self.since = time.monotonic()

    def reader(self) -> BytesIO | BrokenBody:
        """Return a file with a copy of the body. Raises MemoryError."""
        return BrokenBody() if self.is_broken else BytesIO(self.data)

    def is_late(self) -> bool:
        """Return True if the client takes longer to send the body than it may."""
        return time.monotonic() - self.since > limits.RECEIVE_SECONDS + len(self.data) / limits.BYTES_PER_SECOND


class Bodies:
    """Reads the bodies of a worker's requests, each up to ``largest`` bytes.

    None is begun while more than limits.HELD bytes are held; of those that come together and are more than may be held,
    the longest is given up. Once for each Body one of two is called: ``finish``, after which it is to be
    released, or ``no_room``.
    """

    def __init__(self, largest: int, finish: Callable[[Body], Any], no_room: Callable[[Body], Any]) -> None:
        self.largest = largest
        self.finish = finish
        self.no_room = no_room
        #: The bytes of bodies that come, or are being answered.
        self.held = 0
        self._lock = Lock()  # for all that is here: those that take too long are ended by another thread
        self._coming: set[Body] = set()
        self._without_room: set[Body] = set()

    def read(self, exchange: Exchange) -> None:
        """Read the body of an exchange."""
        body = Body(exchange)
        body.is_broken = body.is_dropped = body.length > self.largest  # it is refused by its head, whatever it is
        with self._lock:
            has_room = body.is_broken or self.held <= limits.HELD
            (self._coming if has_room else self._without_room).add(body)
        if body.is_broken and "HTTP_EXPECT" in exchange.environ:
            self._end_body(body)
        elif has_room:
            self._wait_for_piece(body)

    def release(self, body: Body) -> None:
        """Free the memory of a body whose request was answered, and read those that waited for room."""
        ready: set[Body] = set()
        with self._lock:
            self.held -= len(body.data)
            if self.held <= limits.HELD:
                ready, self._without_room = self._without_room, ready
                self._coming |= ready
        for body in ready:
            body.since = time.monotonic()
            self._wait_for_piece(body)

    def end_late(self) -> None:
        """End the bodies that take too long; to be called now and then."""
        with self._lock:
            late = {body for body in self._coming if body.is_late()}
            refused = {body for body in self._without_room if body.is_late()}
            self._without_room -= refused
        for body in late:
            self._end_body(body, is_broken=not body.is_dropped)
        for body in refused:
            self.no_room(body)

    def _wait_for_piece(self, body: Body) -> None:
        future = body.exchange.request.proto.receive()
        future.add_done_callback(partial(self._take_piece, body), context=None)

    def _take_piece(self, body: Body, future: Any) -> None:
        """Take a piece of a body that has come, and end the body or wait for its next piece."""
        try:
            self._add_piece(body, result_of(future))
        except MemoryError:
            with self._lock:
                if body not in self._coming:
                    return
                self._give_up(body)
            self.no_room(body)

    def _add_piece(self, body: Body, message: dict[str, Any]) -> None:
        """Add a message of granian's to a body; drop the longest body if all hold too much."""
        given_up = None
        with self._lock:
            if body not in self._coming:
                return
            if not body.is_dropped:
                piece = message.get("body", b"")
                body.data += piece
                self.held += len(piece)
            if self.held > limits.may_hold(self.largest):
                given_up = max(self._coming, key=lambda body: len(body.data))
                self._give_up(given_up)
        if given_up:
            self.no_room(given_up)
        if given_up is body:
            return
        if message["type"] != "http.request":
            self._end_body(body, is_broken=True)
        elif not message["more_body"] or len(body.data) == body.length:
            self._end_body(body)
        else:
            if len(body.data) > self.largest and not body.is_dropped:
                body.is_dropped, body.since = True, time.monotonic()
            self._wait_for_piece(body)

    def _give_up(self, body: Body) -> None:
        """Drop a body and free its memory; the caller holds the lock."""
        self._coming.remove(body)
        self.held -= len(body.data)
        body.data.clear()

    def _end_body(self, body: Body, *, is_broken: bool = False) -> None:
        with self._lock:
            if body not in self._coming:
                return
            self._coming.remove(body)
        body.is_broken = body.is_broken or is_broken
        self.finish(body)


class Callbacks:
    """Stands in for the event loop that granian calls back: callbacks run at once, in granian's thread."""

    def __init__(self, log: Any) -> None:
        self.log = log

    def call_soon(self, callback: Callable[..., Any], *args: Any, context: Any = None) -> None:
        """Run a callback. Raises nothing, since granian would abort the process."""
        try:
            callback(*args)
        except BaseException:
            self.log.exception("A request was not answered")

    call_soon_threadsafe = call_soon


def result_of(future: Any) -> Any:
    """Return the result of a future of granian's that is done."""
    try:
        next(future.__await__())
    except StopIteration as end:
        return end.value
