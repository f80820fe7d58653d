"""The logs of ``serve``: the error log, and the access log with a line for each request.

A line of the access log is written directly: gunicorn makes a dict of fifty entries for each, which takes longer than
many a request.
"""

import logging
import os
import select
import sys
import time
from datetime import timedelta
from functools import lru_cache
from typing import Any

from gunicorn.glogging import Logger

from ..formats.escaping import escape
from ..formats.logs import JSON, TEXT, formatter, json_line
from ..http.environ_keys import ROUTE
from ..http.request_ids import request_id_of

#: How long lines wait for a reader that stands still, before they are left out until it goes on.
_PATIENCE_SECONDS = 1.0


class Outlet:
    """Standard output or error, ``fd``, of which somebody may read the other end, and may stand still."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.left_out = 0

    def takes_line(self) -> bool:
        """Return True if a line can be written, and False, after a wait at first, while its reader stands still."""
        poll = select.poll()  # a new one, since threads may not share it
        poll.register(self.fd, select.POLLOUT)
        ready = poll.poll(0 if self.left_out else _PATIENCE_SECONDS * 1000)  # if it is closed, the write finds that
        if not ready:
            self.left_out += 1  # a little inexact is fine here
        elif self.left_out:
            number, self.left_out = self.left_out, 0
            name = {1: "standard output", 2: "standard error"}[self.fd]
            logging.getLogger(__name__).warning("nobody read %s for a while, so lines were left out: %d", name, number)
        return bool(ready)


class Log(Logger):
    """gunicorn's log, which the application writes to as well; ``form``, TEXT or JSON, is that of all lines."""

    form = TEXT

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        self._out, errors = Outlet(1), Outlet(2)
        for handler in self.error_log.handlers:
            handler.setFormatter(formatter(self.form))
            handler.addFilter(lambda record: errors.takes_line())
        ours = logging.getLogger("deploymetrics")
        ours.handlers[:] = self.error_log.handlers
        ours.setLevel(self.loglevel)

    def access(self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta) -> None:
        """Write the line of a request that gunicorn answered into the access log."""
        self.write_access(environ, int(str(resp.status)[:3]), resp.sent, request_time.total_seconds())

    def write_access(self, environ: dict[str, Any], status: int, sent: int, seconds: float) -> None:
        """Write the line of a request into the access log, unless that is off; ``sent`` are the bytes of the body."""
        if self.access_log_enabled and self._out.takes_line():
            line = (_json_line if self.form == JSON else _text_line)(environ, status, sent, seconds)
            data = f"{line}\n".encode()
            try:
                os.write(sys.stdout.fileno(), data[: select.PIPE_BUF])
                for begin in range(select.PIPE_BUF, len(data), select.PIPE_BUF):  # more may have to wait for its reader
                    if self._out.takes_line():
                        os.write(sys.stdout.fileno(), data[begin : begin + select.PIPE_BUF])
            except OSError:
                pass  # nobody reads it any more


@lru_cache(maxsize=1)
def _format_time(second: int, form: str) -> str:
    return time.strftime(form, time.localtime(second))


def _text_line(environ: dict[str, Any], status: int, sent: int, seconds: float) -> str:
    request = f"{environ.get('REQUEST_METHOD')} {environ.get('RAW_URI')} {environ.get('SERVER_PROTOCOL')}"
    if "\\" in request or '"' in request:
        request = request.replace("\\", "\\\\").replace('"', '\\"')
    account = environ.get("REMOTE_USER", "-").replace(" ", "\\x20")
    moment = _format_time(int(time.time()), "[%d/%b/%Y:%H:%M:%S %z]")
    head = f'{environ.get("REMOTE_ADDR") or "-"} {account} {moment} "{request}"'
    return escape(f"{head} {status} {sent} {int(seconds * 1000)}ms {request_id_of(environ)}")


def _json_line(environ: dict[str, Any], status: int, sent: int, seconds: float) -> str:
    return json_line(
        {
            "time": _format_time(int(time.time()), "%Y-%m-%dT%H:%M:%S%z"),
            "requestId": request_id_of(environ),
            "account": environ.get("REMOTE_USER"),
            "method": environ.get("REQUEST_METHOD"),
            "path": environ.get("RAW_URI"),
            "route": environ.get(ROUTE),
            "status": status,
            "seconds": round(seconds, 6),
            "bytes": sent,
            "address": environ.get("REMOTE_ADDR") or None,
        }
    )
