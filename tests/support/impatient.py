"""Workers for test servers that give up on slow clients sooner than anybody would want."""

import time

from deploymetrics.http.environ_keys import RECEIVED_AT
from deploymetrics.server import limits
from deploymetrics.server.granian_worker import GranianWorker as Granian
from deploymetrics.server.worker import FairThreadWorker

__all__ = ["Granian", "Worker"]


class Worker(FairThreadWorker):
    """Says in each answer for how many milliseconds the request has been there."""

    def load_wsgi(self):
        super().load_wsgi()
        application = self.wsgi

        def answer(environ, start_response):
            def start(status, headers, exc_info=None):
                waited = 1000 * (time.perf_counter() - environ[RECEIVED_AT])
                return start_response(status, [*headers, ("Waited", f"{waited:.6f}")], exc_info)

            return application(environ, start)

        self.wsgi = answer


limits.RECEIVE_SECONDS = limits.SEND_SECONDS = 1
limits.KEEP_SECONDS = 3  # for which granian waits for a head, too; gunicorn's master sets it for its own
