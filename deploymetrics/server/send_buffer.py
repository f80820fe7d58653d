"""The send buffer of a connection, in place of the socket, so that no thread waits for a slow reader."""

import errno
import select
import socket
import ssl
import time

from . import limits

_BATCH = 2**16


class SendBuffer:
    """Buffers an answer; stands in for the socket while gunicorn writes it."""

    def __init__(self, wire: socket.socket) -> None:
        self.wire = wire
        self.pieces: list[bytes | memoryview] = []
        self.size = 0
        self.deadline = 0.0
        #: When the request had come that is being answered, by time.perf_counter().
        self.received_at = 0.0

    def sendall(self, data: bytes) -> None:
        """Buffer data, and send it in batches; wait only for a client that is far behind."""
        self.pieces.append(data)
        self.size += len(data)
        if self.size >= _BATCH:
            self.flush()
            while self.size > limits.UNSENT:
                poll = select.poll()
                poll.register(self.wire, select.POLLOUT)
                if not poll.poll(self.patience * 1000):
                    raise ConnectionResetError(errno.ECONNRESET, "The client reads too slowly.")
                self.flush()

    def flush(self) -> bool:
        """Send as much as possible now; return True if the buffer is empty."""
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

    @property
    def patience(self) -> float:
        """Return for how many seconds the client may still pause."""
        return min(limits.SEND_SECONDS, max(0, self.deadline - time.monotonic()))

    def shutdown(self, how: int) -> None:
        """Raise ConnectionResetError: an answer that failed in the middle must not look like a whole one."""
        raise ConnectionResetError(errno.ECONNRESET, "The answer failed in the middle.")

    def close(self) -> None:
        """Do nothing, since the worker closes the socket."""
