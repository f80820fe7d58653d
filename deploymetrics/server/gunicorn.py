"""The classes of gunicorn that this folder changes. gunicorn has no type hints, and only this module has to know that.

They are changed by overriding methods; ``tests/server/test_gunicorn.py`` fails when one of those is no longer what it
was when the change was made.
"""

import ssl
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

    class TConn(_Untyped):
        """A connection."""

    class ThreadWorker(_Untyped):
        """A worker process with threads."""

    def ssl_context(conf: Any) -> ssl.SSLContext: ...

    def write_nonblock(sock: Any, data: bytes) -> None: ...

else:
    from gunicorn.app.base import BaseApplication
    from gunicorn.arbiter import Arbiter
    from gunicorn.glogging import Logger
    from gunicorn.sock import ssl_context
    from gunicorn.util import write_nonblock
    from gunicorn.workers.gthread import TConn, ThreadWorker

__all__ = ["Arbiter", "BaseApplication", "Logger", "TConn", "ThreadWorker", "ssl_context", "write_nonblock"]
