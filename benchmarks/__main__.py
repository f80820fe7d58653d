"""Measure, and print a table of ratios to the baselines; both are loaded in turn, round by round."""

import argparse
import base64
import os
import statistics
import tempfile
from pathlib import Path

from deploymetrics import create_app
from deploymetrics.accounts import Role

from . import load, servers

NAME, PASSWORD = "bench", "a password of the benchmark"
METRICS = b'[{"number_of_endpoints":"5","padding":"%s"}]' % (b"x" * 920)
ONE = "/api/deploymentmetrics/tag%05d"
ALL = "/api/deploymentmetrics?"
AUTHORIZATION = "Basic " + base64.b64encode(f"{NAME}:{PASSWORD}".encode()).decode()


def fill(instance, documents, versions):
    """Make an instance with an account and documents of 1 KB, the first of which has so many versions."""
    app = create_app(instance)
    parts = app.extensions["deploymetrics"]
    parts.accounts.add(NAME, Role.MASTER_OPERATOR, PASSWORD)
    for number in range(documents):
        parts.service.save(f"tag{number:05d}", METRICS, NAME)
    for _ in range(versions):
        parts.service.save("tag00000", METRICS, NAME)
    listing = parts.service.list()
    return parts.service.get("tag00000").value, b"[" + b",".join(listing.chunks) + b"]", listing.etag


def prepare_baseline(folder, one, everything):
    """Put the bytes that the baseline answers with where it looks for them."""
    os.makedirs(folder / "written")
    (folder / "one.json").write_bytes(one)
    (folder / "list.json").write_bytes(everything)


def scenarios(documents, etag):
    """(name, the service's load, the baseline's load) for so many documents."""
    tags = {"tags": documents}
    post = {"method": "POST", "body": METRICS.decode()}
    yield "GET one", dict(path=ONE, **tags), dict(path=ONE, **tags)
    yield "GET list", dict(path=ALL), dict(path=ALL)
    yield "GET list, 304", dict(path=ALL, headers={"If-None-Match": f'"{etag}"'}), dict(path=ONE)
    yield "POST", dict(path=ONE, **post, **tags), dict(path=ONE, **post, **tags)


def measure(ports, loads, rounds, seconds):
    """Results of (ours, baseline), a list of rounds each, loaded in turn."""
    results = ([], [])
    for _ in range(rounds):
        for port, options, found in zip(ports, loads, results):
            headers = {"Authorization": AUTHORIZATION, **options.get("headers", {})}
            found.append(load.run(port, seconds=seconds, **{**options, "headers": headers}))
    return results


def row(name, documents, results):
    """A line of the table: medians, and the median of the rounds' ratios."""
    ours, base = results
    ratio = statistics.median(mine.rate / other.rate for mine, other in zip(ours, base))
    rate, base_rate = (statistics.median(result.rate for result in side) for side in results)
    p50 = statistics.median(result.p50 for result in ours)
    errors = sum(result.errors for result in ours) + sum(result.errors for result in base)
    return f"{name:<16}{documents:>8}{rate:>12.0f}{base_rate:>12.0f}{ratio:>8.2f}{p50:>10.2f}{errors:>8}"


def run(documents, arguments):
    """Measure every scenario with so many documents, and print its row as soon as it is there."""
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        folder = Path(folder)
        one, everything, etag = fill(folder / "instance", documents, arguments.versions)
        prepare_baseline(folder / "baseline", one, everything)
        with servers.ours(folder / "instance") as (port, process), servers.baseline(folder / "baseline") as (base, _):
            for name, mine, other in scenarios(documents, etag):
                if arguments.only in name:
                    results = measure((port, base), (mine, other), arguments.rounds, arguments.seconds)
                    print(row(name, documents, results), flush=True)
            memory = servers.worker_memory(process)
            print(f"{'memory, MiB':<16}{documents:>8}{statistics.mean(memory):>12.1f}  per worker (PSS)", flush=True)


def main():
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--documents", default="1,100,1000,10000", help="numbers of documents, with commas between")
    parser.add_argument("--rounds", type=int, default=5, help="how often each side is loaded, in turn (default 5)")
    parser.add_argument("--seconds", type=int, default=3, help="how long each time (default 3)")
    parser.add_argument("--versions", type=int, default=0, help="earlier versions of the first document")
    parser.add_argument("--only", default="", help="only scenarios with this in their name")
    parser.add_argument("--folder", default=".", help="where to make the instance: a disk, not a tmpfs")
    arguments = parser.parse_args()
    print(f"{'':<16}{'docs':>8}{'ours/s':>12}{'baseline/s':>12}{'ratio':>8}{'p50 ms':>10}{'errors':>8}")
    for documents in map(int, arguments.documents.split(",")):
        run(documents, arguments)


if __name__ == "__main__":
    main()
