"""What lists cost as documents get many, and what a worker weighs: ``python -m benchmarks.lists``.

Times are of the processor, in milliseconds, so that other work of the machine counts little; what a server answers
first is by the clock. Memory is that of one worker, private and shared (PSS), in MiB.
"""

import argparse
import http.client
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from deploymetrics import create_app
from deploymetrics.clock import Clock
from deploymetrics.documents.paging import page_of
from deploymetrics.documents.service import DOCUMENTS
from deploymetrics.storage import Retention, Storage, open_storage

from . import load, servers
from .filling import ALL, AUTHORIZATION, METRICS, NAME, ONE, fill, one_sync

ROUNDS = 7
SAMPLE = 1000
LARGE = 200


def spent(work: Callable[[], object], rounds: int = 1) -> float:
    """Return the milliseconds of processor time that ``work`` takes, the median of some rounds."""
    times = []
    for _ in range(rounds):
        start = time.process_time()
        work()
        times.append((time.process_time() - start) * 1000)
    return statistics.median(times)


def opened(instance: Path) -> Storage:
    return open_storage("files:", str(instance), Clock(), Retention())


def of_a_process(instance: Path, documents: int) -> Iterator[tuple[str, float]]:
    """Yield (what, milliseconds) of what a process does with the storage."""

    def all_values() -> int:
        return sum(map(len, reader.items(DOCUMENTS).array()))

    def a_page() -> bytes:
        return b"".join(page_of(reader.items(DOCUMENTS), "tag00500", 100)[0].array())

    def write() -> None:
        writer.write(DOCUMENTS, "tag00000", "alice", lambda current, now: current and current.value)

    def after_a_write(work: Callable[[], object]) -> float:
        return statistics.median([write() or spent(work) for _ in range(ROUNDS)])  # type: ignore[func-returns-value]

    saved = instance / "data" / DOCUMENTS.name / ".list"
    saved.unlink(missing_ok=True)
    yield "the first list, nothing saved", spent(lambda: opened(instance).items(DOCUMENTS))
    yield "the first list of a process", spent(lambda: opened(instance).items(DOCUMENTS), 3)
    reader, writer = opened(instance), opened(instance)
    reader.items(DOCUMENTS)
    yield "its values, the first time", spent(all_values)
    yield "the list and its values again", spent(all_values, ROUNDS)
    yield "304 again", spent(lambda: reader.items(DOCUMENTS).revision, ROUNDS)
    yield "304 right after a write", after_a_write(lambda: reader.items(DOCUMENTS).revision)
    yield "all values right after a write", after_a_write(all_values)
    yield (
        "a page of 100 after a write",
        after_a_write(lambda: list(page_of(reader.items(DOCUMENTS), "tag00500", 100)[0].array())),
    )
    reader = opened(instance)
    tags = [f"tag{number:05d}" for number in range(documents)]
    for tag in tags:
        reader.read(DOCUMENTS, tag)
    some = random.Random(1).choices(tags, k=SAMPLE)
    yield f"{SAMPLE:,} documents one by one", spent(lambda: [reader.read(DOCUMENTS, tag) for tag in some], 3)


def of_a_server(instance: Path, documents: int) -> Iterator[tuple[str, float]]:
    """Yield (what, milliseconds or MiB) of a server with these documents."""
    begun = time.perf_counter()
    with servers.ours(instance) as (port, process):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

        def ask(path: str) -> float:
            start = time.perf_counter()
            connection.request("GET", path, headers={"Authorization": AUTHORIZATION})
            connection.getresponse().read()
            return (time.perf_counter() - start) * 1000

        ask(ONE % 1)
        yield "start to the first answer, clock", (time.perf_counter() - begun) * 1000
        for what, options in {"GET one": {}, "POST": {"method": "POST", "body": METRICS.decode()}}.items():
            yield f"{what}, each", _each(port, process, documents, options)
        yield "memory, MiB", _memory(process)
        yield "the first overview, clock", ask("/")
        yield "an overview, clock", statistics.median([ask("/") for _ in range(ROUNDS)])
        _both(port, "/")
        yield "memory with the overview, MiB", _memory(process)
        yield "the first whole list, clock", ask(ALL)
        _both(port, ALL)
        yield "memory with whole lists, MiB", _memory(process)


def of_large_documents(instance: Path) -> Iterator[tuple[str, float]]:
    """Yield (what, MiB) of a server with documents and versions of 1 MiB each."""
    metrics = b'"%s"' % (b"x" * (2**20 - 100))
    service = create_app(instance).extensions["deploymetrics"].documents
    with one_sync():
        for number in range(LARGE):
            service.save(f"tag{number:05d}", metrics, NAME)
            service.save("history", metrics, NAME)
    with servers.ours(instance) as (port, process):
        for path in ALL, f"{ALL}?output=xml", f"{ALL}/history/history?limit=1000":
            for _ in range(2 * servers.WORKERS):
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
                connection.request("GET", path, headers={"Authorization": AUTHORIZATION})
                answer = connection.getresponse()
                while answer.read(2**20):
                    pass
                connection.close()
            yield f"memory after {path.removeprefix(ALL) or 'whole lists'}, MiB", _memory(process)


def _both(port: int, path: str) -> None:
    """Ask so often that each worker is asked."""
    load.run(port, path, seconds=3, headers={"Authorization": AUTHORIZATION})


def _memory(process: object) -> float:
    return max(servers.worker_memory(process))


def _each(port: int, process: object, documents: int, options: dict[str, str]) -> float:
    """Return the milliseconds of processor time that the workers take for a request, tags being asked for at random."""
    load.run(port, ONE, seconds=4, tags=documents, headers={"Authorization": AUTHORIZATION}, **options)
    before = servers.processor_seconds(process)
    result = load.run(port, ONE, seconds=4, tags=documents, headers={"Authorization": AUTHORIZATION}, **options)
    return (servers.processor_seconds(process) - before) * 1000 / (result.rate * 4)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lists", description=__doc__)
    parser.add_argument("--documents", default="1000,10000,100000", help="numbers of documents, with commas between")
    parser.add_argument("--folder", default=".", help="where to make the instance: a disk, not a tmpfs")
    arguments = parser.parse_args()
    numbers = [int(number) for number in arguments.documents.split(",") if number]
    for documents in numbers:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            instance = Path(folder).resolve() / "instance"
            fill(instance, documents)
            for measure in of_a_process, of_a_server:
                for what, number in measure(instance, documents):
                    print(f"{documents:>8,}  {what:<36}{number:>10.2f}", flush=True)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        instance = Path(folder).resolve() / "instance"
        fill(instance, 0)
        for what, number in of_large_documents(instance):
            print(f"{'large':>8}  {what:<36}{number:>10.2f}", flush=True)


if __name__ == "__main__":
    main()
