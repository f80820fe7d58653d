"""The logs of ``serve``: the error log, and the access log with a line for each request.

A line of the access log is written directly: gunicorn makes a dict of fifty entries for each, which takes longer than
many a request.
"""

import logging
import time
from datetime import timedelta
from functools import lru_cache
from typing import Any

from gunicorn.glogging import Logger

from ..formats.escaping import escape
from ..formats.logs import JSON, TEXT, formatter, json_line
from ..http.environ_keys import ROUTE
from ..http.request_ids import request_id_of
from ..telemetry.log_outlet import Outlet, OutletHandler


class Log(Logger):
    """gunicorn's log, which the application writes to as well; ``form``, TEXT or JSON, is that of all lines."""

    form = TEXT

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        self._out = Outlet(1, "standard output")
        self.error_log.handlers[:] = [OutletHandler(Outlet(2, "standard error"), formatter(self.form))]
        ours = logging.getLogger("deploymetrics")
        ours.handlers[:] = self.error_log.handlers
        ours.setLevel(self.loglevel)

    def access(self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta) -> None:
        """Write the line of a request that gunicorn answered into the access log."""
        self.write_access(environ, int(str(resp.status)[:3]), resp.sent, request_time.total_seconds())

    def write_access(self, environ: dict[str, Any], status: int, sent: int, seconds: float) -> None:
        """Write the line of a request into the access log, unless that is off; ``sent`` are the bytes of the body."""
        if self.access_log_enabled:
            self._out.write((_json_line if self.form == JSON else _text_line)(environ, status, sent, seconds))


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
