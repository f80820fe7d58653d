"""Limits on work that do not depend on what else the machine does."""

import resource
import time
from contextlib import contextmanager, suppress
from multiprocessing import Pipe

from launching import forked

from deploymetrics.errors import DeploymetricsError


@contextmanager
def processor_seconds(limit):
    """Fail if the block takes more processor time than this many seconds, on its own thread."""
    start = time.thread_time()
    yield
    assert time.thread_time() - start < limit


def spent(function, *args):
    """The processor seconds and the mebibytes that a call takes, in a process of its own, whatever error of ours."""
    ours, theirs = Pipe()
    process = forked(_spend, theirs, function, args)
    process.start()
    theirs.close()
    with ours:
        found = ours.recv()
    process.join()
    return found


def _spend(pipe, function, args):
    before, start = _peak(), time.process_time()
    with suppress(DeploymetricsError):
        function(*args)
    pipe.send((time.process_time() - start, (_peak() - before) / 1024))


def _peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
