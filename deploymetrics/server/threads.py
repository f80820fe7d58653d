"""The threads of a worker that answer requests."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier


def thread_pool(number: int) -> ThreadPoolExecutor:
    """Return a pool whose threads all run already. Raises RuntimeError where they cannot be started.

    A pool starts its threads one by one as they are needed: then a request could come when there is no room for another
    one, and that of gunicorn's worker took the worker with it.
    """
    pool, all_run = ThreadPoolExecutor(number), Barrier(number)
    try:
        for _ in range(number):
            pool.submit(all_run.wait)
    except RuntimeError:
        all_run.abort()  # else those that were started would keep the process from ending
        raise
    return pool
