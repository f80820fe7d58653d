"""Measure, and print a table of ratios to the baselines; both are loaded in turn, round by round."""

import argparse
import base64
import os
import statistics
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path

from deploymetrics import create_app
from deploymetrics.accounts import Role

from . import load, servers
from .rivals import RIVALS

NAME, PASSWORD = "bench", "a password of the benchmark"
METRICS = b'[{"number_of_endpoints":"5","padding":"%s"}]' % (b"x" * 920)
ONE = "/api/deploymentmetrics/tag%05d"
ALL = "/api/deploymentmetrics?"
MOST_FOR_RIVALS = 1000
AUTHORIZATION = "Basic " + base64.b64encode(f"{NAME}:{PASSWORD}".encode()).decode()


@contextmanager
def one_sync():
    """Sync everything once at the end, not each file: for making what is measured afterwards."""
    fsync, os.fsync = os.fsync, lambda fd: None
    try:
        yield
    finally:
        os.fsync = fsync
        os.sync()


@one_sync()
def fill(instance, documents, versions):
    """Make an instance with an account and documents of 1 KB that have so many earlier versions."""
    app = create_app(instance)
    parts = app.extensions["deploymetrics"]
    parts.accounts.add(NAME, Role.MASTER_OPERATOR, PASSWORD)
    for number in range(documents):
        parts.service.save(f"tag{number:05d}", METRICS, NAME)
    for number in range(documents if versions else 0):
        for _ in range(versions):
            parts.service.save(f"tag{number:05d}", METRICS, NAME)
    listing = parts.service.list()
    return parts.service.get("tag00000").value, b"[" + b",".join(listing.chunks) + b"]", listing.etag


@one_sync()
def prepare_baseline(folder, one, everything):
    """Put the bytes that the baseline answers with where it looks for them."""
    os.makedirs(folder / "written")
    (folder / "one.json").write_bytes(one)
    (folder / "list.json").write_bytes(everything)


def scenarios(documents, etag):
    """(name, the service's load, the bare Flask app's load) for so many documents."""
    tags = {"tags": documents}
    post = {"method": "POST", "body": METRICS.decode()}
    yield "GET one", dict(path=ONE, **tags), dict(path=ONE, **tags)
    yield "GET list", dict(path=ALL), dict(path=ALL)
    yield "GET list, 304", dict(path=ALL, headers={"If-None-Match": f'"{etag}"'}), dict(path=ONE)
    yield "POST", dict(path=ONE, **post, **tags), dict(path=ONE, **post, **tags)


def measure(sides, rounds, seconds):
    """For each (port, load) of ``sides`` a list of Results, one a round; the sides are loaded in turn."""
    results = [[] for _ in sides]
    for _ in range(rounds):
        for (port, options), found in zip(sides, results):
            headers = {"Authorization": AUTHORIZATION, **options.get("headers", {})}
            found.append(load.run(port, seconds=seconds, **{**options, "headers": headers}))
    return results


def row(name, documents, names, results):
    """A line of the table: our rate and latency, and to each other side the median of the rounds' ratios."""
    ours = results[0]
    cells = [f"{name:<16}{documents:>7}{statistics.median(result.rate for result in ours):>10.0f}/s"]
    cells.append(f"{statistics.median(result.p50 for result in ours):>9.2f} ms")
    for other in results[1:]:
        cells.append(f"{statistics.median(mine.rate / its.rate for mine, its in zip(ours, other)):>12.2f}")
    errors = {side: sum(result.errors for result in found) for side, found in zip(names, results)}
    cells += [f"   {count} failed answers of {side}" for side, count in errors.items() if count]
    return "".join(cells)


def run(documents, arguments):
    """Measure every scenario with so many documents, and print its row as soon as it is there."""
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder, ExitStack() as stack:
        folder = Path(folder)
        one, everything, etag = fill(folder / "instance", documents, arguments.versions)
        prepare_baseline(folder / "baseline", one, everything)
        port, process = stack.enter_context(servers.ours(folder / "instance"))
        base, _ = stack.enter_context(servers.baseline(folder / "baseline"))
        rivals = RIVALS if documents <= MOST_FOR_RIVALS else {}  # filling them takes as long as that of all else
        found = {name: stack.enter_context(start(documents, folder, METRICS)) for name, start in rivals.items()}
        others = {name: rival for name, rival in found.items() if rival}
        print(f"{'':<23}{'ours':>12}{'p50':>12}{'÷ bare':>12}" + "".join(f"{'÷ ' + name:>14}" for name in others))
        for name, mine, bare in scenarios(documents, etag):
            if arguments.only in name:
                able = {side: (port, loads[name]) for side, (port, loads) in others.items() if name in loads}
                sides = {"ours": (port, mine), "bare Flask": (base, bare), **able}
                results = measure(list(sides.values()), arguments.rounds, arguments.seconds)
                print(row(name, documents, sides, results), flush=True)
        memory = servers.worker_memory(process)
        print(f"{'memory':<16}{documents:>7}{statistics.mean(memory):>10.1f} MiB a worker (PSS)", flush=True)


def main():
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--documents", default="1,100,1000,10000", help="numbers of documents, with commas between")
    parser.add_argument("--rounds", type=int, default=5, help="how often each side is loaded, in turn (default 5)")
    parser.add_argument("--seconds", type=int, default=3, help="how long each time (default 3)")
    parser.add_argument("--versions", type=int, default=0, help="earlier versions of each document")
    parser.add_argument("--only", default="", help="only scenarios with this in their name")
    parser.add_argument("--folder", default=".", help="where to make the instance: a disk, not a tmpfs")
    arguments = parser.parse_args()
    for documents in map(int, arguments.documents.split(",")):
        run(documents, arguments)


if __name__ == "__main__":
    main()
