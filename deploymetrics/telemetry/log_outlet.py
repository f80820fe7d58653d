"""Where the lines of the logs go: standard output or error, of which somebody may read the other end slowly or not."""

import logging
import os
import select
import time

#: How long a line waits for a reader, and which part of the time lines may wait at all.
_PATIENCE_SECONDS = 1.0
_WAITING_PART = 1 / 30
#: How long after a warning about lines that were left out the next one comes.
_QUIET_SECONDS = 10.0
_log = logging.getLogger(__name__)


class Outlet:
    """Standard output or error: ``fd``, and ``name`` for people. Lines that its reader does not take are left out.

    The threads and processes that write there are not told apart: a little inexact is fine here.
    """

    def __init__(self, fd: int, name: str) -> None:
        self.fd = fd
        self.name = name
        self._left_out = 0
        self._is_full = self._is_torn = False
        self._patient_at = self._warned_at = -_QUIET_SECONDS

    def write(self, line: str) -> None:
        """Write a line, or leave it out. Raises nothing where nobody reads it any more."""
        try:
            if self._has_room():
                if self._left_out:
                    self._warn()
                self._write(f"{line}\n".encode(errors="backslashreplace"))
            else:
                self._left_out += 1
        except OSError:
            pass

    def _write(self, data: bytes) -> None:
        """Write the data in pieces for which there is room where there is any."""
        if self._is_torn:
            data, self._is_torn = b"\n" + data, False
        os.write(self.fd, data[: select.PIPE_BUF])
        for begin in range(select.PIPE_BUF, len(data), select.PIPE_BUF):
            if not self._has_room():
                self._is_torn = True
                self._left_out += 1
                break
            os.write(self.fd, data[begin : begin + select.PIPE_BUF])

    def _has_room(self) -> bool:
        """Return True if PIPE_BUF bytes can be written; after a wait, unless the last one was in vain or just now."""
        poll = select.poll()  # a new one, since threads may not share it
        poll.register(self.fd, select.POLLOUT)
        has_room = bool(poll.poll(0))  # also if it is closed, which the write finds
        if not has_room and not self._is_full and (began := time.monotonic()) >= self._patient_at:
            has_room = bool(poll.poll(_PATIENCE_SECONDS * 1000))
            now = time.monotonic()
            self._patient_at = now + (now - began) / _WAITING_PART
        self._is_full = not has_room
        return has_room

    def _warn(self) -> None:
        now = time.monotonic()
        if now - self._warned_at >= _QUIET_SECONDS:
            number, self._left_out, self._warned_at = self._left_out, 0, now
            _log.warning("nobody read %s for a while, so lines were left out: %d", self.name, number)


class OutletHandler(logging.Handler):
    """Writes log records to an Outlet."""

    def __init__(self, outlet: Outlet, formatter: logging.Formatter) -> None:
        super().__init__()
        self.outlet = outlet
        self.setFormatter(formatter)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        try:
            self.outlet.write(self.format(record))
        except Exception:
            self.handleError(record)
