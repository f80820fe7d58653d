"""What one client alone waits for the list, what a worker weighs, and what a new process does first."""

import http.client
import statistics
import time

from deploymetrics.clock import Clock
from deploymetrics.documents.service import DOCUMENTS
from deploymetrics.storage import Retention, open_storage

from . import load, servers
from .filling import ALL, AUTHORIZATION, METRICS, ONE, fill


def list_times(port, rounds=11):
    """(milliseconds for the whole list unchanged, and right after one document was written), medians of one client."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    times = {False: [], True: []}

    def ask(method, path, body=None):
        start = time.perf_counter()
        connection.request(method, path, body, {"Authorization": AUTHORIZATION})
        connection.getresponse().read()
        return (time.perf_counter() - start) * 1000

    ask("GET", ALL)
    for _ in range(rounds):
        for change in times:
            if change:
                ask("POST", ONE % 0, METRICS)
            times[change].append(ask("GET", ALL))
            time.sleep(0.1)
    return statistics.median(times[False]), statistics.median(times[True])


def first_uses(instance):
    """(milliseconds that a new process takes to read one document, and then the whole list)."""
    store = open_storage("files:", str(instance), Clock(), Retention())
    start = time.perf_counter()
    store.read(DOCUMENTS, "tag00000")
    between = time.perf_counter()
    store.items(DOCUMENTS)
    return (between - start) * 1000, (time.perf_counter() - between) * 1000


def empty_memory(instance):
    """MiB of a worker that serves an empty instance."""
    fill(instance, 0)
    with servers.ours(instance) as (port, process):
        for path in (ALL, ONE % 0):
            load.run(port, path, seconds=1, headers={"Authorization": AUTHORIZATION})
        return statistics.mean(servers.worker_memory(process))
