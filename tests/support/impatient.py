"""Workers for test servers that give up on slow clients sooner than anybody would want."""

from deploymetrics.server import limits
from deploymetrics.server.granian import GranianWorker as Granian
from deploymetrics.server.worker import FairThreadWorker as Worker

__all__ = ["Granian", "Worker"]

limits.RECEIVE_SECONDS = limits.SEND_SECONDS = 1
limits.KEEP_SECONDS = 3  # for which granian waits for a head, too; gunicorn's master sets it for its own
