"""A worker for test servers that gives up on slow clients sooner than anybody would want."""

from deploymetrics.server import limits
from deploymetrics.server.worker import FairThreadWorker as Worker

__all__ = ["Worker"]

limits.RECEIVE_SECONDS = limits.SEND_SECONDS = 1
