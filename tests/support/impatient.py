"""A worker for test servers that gives up on silent clients sooner than anybody would want."""

from deploymetrics.server.worker import FairThreadWorker


class Worker(FairThreadWorker):
    """See the module."""

    receive_seconds = 1
    send_seconds = 1
    linger_seconds = 1
