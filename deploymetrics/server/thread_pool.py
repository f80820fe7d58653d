"""The pool of threads that answer the requests of a worker."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier


def thread_pool(number: int) -> ThreadPoolExecutor:
    """Return a pool whose threads all run already; raises RuntimeError if they cannot be started.

    A pool starts its threads as they are needed. Where the system has none left by then, the request fails, and
    gunicorn's worker with it.
    """
    pool, all_run = ThreadPoolExecutor(number), Barrier(number)
    try:
        for _ in range(number):
            pool.submit(all_run.wait)
    except RuntimeError:
        all_run.abort()  # else those that were started would keep the process from ending
        raise
    return pool
