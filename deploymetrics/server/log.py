"""The log of ``serve``: what came from outside stays within its line, and cannot steer a terminal.

A line of the access log is written directly: gunicorn makes a dict of fifty entries for each, which takes longer than
many a request.
"""

import logging
import os
import sys
from contextlib import suppress
from datetime import timedelta
from typing import Any

from ..formats.printable import escaped
from .gunicorn import Logger


class EscapingFormatter(logging.Formatter):
    """Keeps a message on one line; the lines of a traceback are indented, so that none looks like another message."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = escaped(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:
        return "\n".join(f"  {escaped(line)}" for line in super().formatException(ei).split("\n"))


class Log(Logger):
    """gunicorn's log. What the application logs goes there too."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        for handler in self.error_log.handlers:
            handler.setFormatter(EscapingFormatter(self.error_fmt, self.datefmt))
        logging.getLogger("deploymetrics").handlers[:] = self.error_log.handlers

    def access(self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta) -> None:
        """Write the line of a request: address, account, time, request, status, bytes, milliseconds."""
        if not self.access_log_enabled:
            return
        request = f"{environ.get('REQUEST_METHOD')} {environ.get('RAW_URI')} {environ.get('SERVER_PROTOCOL')}"
        if "\\" in request or '"' in request:
            request = request.replace("\\", "\\\\").replace('"', '\\"')
        account = environ.get("REMOTE_USER", "-").replace(" ", "\\x20")
        milliseconds = request_time // timedelta(milliseconds=1)
        line = (
            f'{environ.get("REMOTE_ADDR") or "-"} {account} {self.now()} "{request}"'
            f" {str(resp.status)[:3]} {resp.sent} {milliseconds}ms"
        )
        with suppress(OSError):  # nobody reads it any more
            os.write(sys.stdout.fileno(), f"{escaped(line)}\n".encode())
