"""The classes of gunicorn that this folder changes. gunicorn has no type hints, and only this module has to know that.

They are changed by overriding methods; ``tests/server/test_gunicorn.py`` fails when one of those is no longer what it
was when the change was made.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:

    class _Untyped(Any):  # type: ignore[misc]
        """Has every member, of any type."""

    class Arbiter(_Untyped):
        """The master process."""

    class BaseApplication(_Untyped):
        """What is served, and how."""

    class Logger(_Untyped):
        """The log and the access log."""

    class Unreader(_Untyped):
        """What a parser reads from."""

    class ChunkedReader(_Untyped):
        """Reads a body in chunks."""

    class Request(_Untyped):
        """A request, parsed from an Unreader."""

    class InvalidHeader(Exception):
        """A header field is not as HTTP says."""

        def __init__(self, name: str) -> None: ...

    class UnsupportedTransferCoding(Exception):
        """A body comes in a way that is not read."""

    class NoMoreData(Exception):
        """What is parsed ends too early; ``buf`` has it."""

        buf: bytes | None

    class LimitRequestHeaders(Exception):
        """The header fields are too many or too large."""

    class ThreadWorker(_Untyped):
        """A worker process with threads."""

    class Worker(_Untyped):
        """A worker process."""

else:
    from gunicorn.app.base import BaseApplication
    from gunicorn.arbiter import Arbiter
    from gunicorn.glogging import Logger
    from gunicorn.http.body import ChunkedReader
    from gunicorn.http.errors import InvalidHeader, LimitRequestHeaders, NoMoreData, UnsupportedTransferCoding
    from gunicorn.http.message import Request
    from gunicorn.http.unreader import Unreader
    from gunicorn.workers.base import Worker
    from gunicorn.workers.gthread import ThreadWorker

__all__ = [
    "Arbiter",
    "BaseApplication",
    "ChunkedReader",
    "InvalidHeader",
    "LimitRequestHeaders",
    "Logger",
    "NoMoreData",
    "Request",
    "ThreadWorker",
    "Unreader",
    "UnsupportedTransferCoding",
    "Worker",
]
