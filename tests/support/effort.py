"""A limit on work that does not depend on what else the machine does."""

import time
from contextlib import contextmanager


@contextmanager
def processor_seconds(limit):
    """Fail if the block takes more processor time than this many seconds, on its own thread."""
    start = time.thread_time()
    yield
    assert time.thread_time() - start < limit
