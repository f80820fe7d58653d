"""Formatting log lines as text or JSON, so that input stays within its line and cannot steer a terminal."""

import json
import logging
import os
import traceback
from typing import Any

import msgspec
from pythonjsonlogger.json import JsonFormatter

from .escaping import escape

TEXT, JSON = "text", "json"
_DATE_FORM = "[%Y-%m-%d %H:%M:%S %z]"
_NAMES = {"asctime": "time", "levelname": "level", "name": "logger", "exc_info": "exception"}


class EscapingFormatter(logging.Formatter):
    """A formatter that escapes messages to one line, and indents tracebacks, so that none looks like a message."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = escape(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:
        return "\n".join(f"  {escape(line)}" for line in super().formatException(ei).split("\n"))


def formatter(form: str) -> logging.Formatter:
    """Return the formatter for log lines in a form, TEXT or JSON."""
    if form == JSON:
        names = "%(asctime)s %(levelname)s %(name)s %(process)d %(message)s"
        return JsonFormatter(names, datefmt="%Y-%m-%dT%H:%M:%S%z", rename_fields=_NAMES, json_serializer=json_line)
    return EscapingFormatter("%(asctime)s [%(process)d] [%(levelname)s] %(message)s", _DATE_FORM)


def json_line(record: dict[str, Any], **options: Any) -> str:
    """Return a log record as one line of JSON that cannot steer a terminal; a serializer for JsonFormatter."""
    text = msgspec.json.encode(record, enc_hook=str).decode()
    if text.isascii() and "\x7f" not in text:
        return text
    return json.dumps(json.loads(text)).replace("\x7f", r"\u007f")


def raised_at(error: BaseException) -> str:
    """Return the places of an exception's traceback, innermost first, as ``file:line < file:line``.

    For the log in place of a traceback, which has the message: that of an unforeseen error may hold a secret.
    """
    frames = traceback.extract_tb(error.__traceback__)
    return " < ".join(f"{os.path.basename(frame.filename)}:{frame.lineno}" for frame in reversed(frames))
