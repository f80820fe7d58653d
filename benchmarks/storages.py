"""Measure the service on PostgreSQL beside the service on files, round by round, and print ratios.

PostgreSQL runs on the same machine, with a synchronous standby; the servers, the database and wrk share its processors.
"""

import argparse
import os
import statistics
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests" / "support"))

import postgres  # noqa: E402
from failover import Pair  # noqa: E402

from deploymetrics import create_app, maintenance  # noqa: E402
from deploymetrics.documents.service import DOCUMENTS  # noqa: E402
from deploymetrics.storage.sql import schema  # noqa: E402
from deploymetrics.storage.sql.address import Address  # noqa: E402

from . import load, servers  # noqa: E402
from .filling import ALL, AUTHORIZATION, METRICS, ONE, fill  # noqa: E402

SECRET = {"SECRET_KEY": "0123456789abcdef"}


@contextmanager
def on(instance, url):
    """A server on a storage; gives its port."""
    settings = {"DEPLOYMETRICS_STORAGE": url, "DEPLOYMETRICS_SECRET_KEY": SECRET["SECRET_KEY"]}
    before = dict(os.environ)
    os.environ.update(settings)
    try:
        with servers.ours(instance) as (port, _):
            yield port
    finally:
        os.environ.clear()
        os.environ.update(before)


def scenarios(documents, etags):
    """(name, what is loaded, for each storage its ETag of the list)."""
    one = dict(path=ONE, tags=documents)
    yield "GET one", [one] * 2
    yield "GET list", [dict(path=ALL)] * 2
    yield "GET list, 304", [dict(path=ALL, headers={"If-None-Match": f'"{etag}"'}) for etag in etags]
    yield "POST", [dict(method="POST", body=METRICS.decode(), **one)] * 2


def measure(ports, options, rounds, seconds):
    """A list of rates for each port; they are loaded in turn, and the first round counts for nothing."""
    rates = [[] for _ in ports]
    for number in range(rounds + 1):
        for port, one, found in zip(ports, options, rates, strict=True):
            headers = {"Authorization": AUTHORIZATION, **one.get("headers", {})}
            result = load.run(port, seconds=seconds, **{**one, "headers": headers})
            if number:
                found.append(result.rate)
            if result.errors:
                print(f"  {result.errors} failed answers at port {port}")
    return rates


def row(name, rates):
    """A line of the table: both rates, and the median of the rounds' ratios."""
    ratio = statistics.median(other / files for files, other in zip(*rates, strict=True))
    print(
        f"{name:<28}{statistics.median(rates[0]):>9.0f}/s{statistics.median(rates[1]):>9.0f}/s{ratio:>9.2f}", flush=True
    )


def main():
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.storages", description=__doc__)
    parser.add_argument("--documents", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    arguments = parser.parse_args()
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=".")))
        pair = Pair(stack.enter_context(postgres.folder_for_servers()))
        stack.callback(pair.stop)
        schema.init(Address(pair.url()))
        _, _, etag = fill(home / "files", arguments.documents)
        source = maintenance.storage_at("files:", str(home / "files"), make=False)
        target = maintenance.storage_at(pair.url(), "", make=False)
        problems = [problem for *_, problem in maintenance.copy(source, target) if problem]
        assert not problems, problems
        etags = [etag, target.items(DOCUMENTS).revision]
        create_app(home / "sql", {"STORAGE": pair.url(), **SECRET})
        ports = [stack.enter_context(on(home / "files", "files:")), stack.enter_context(on(home / "sql", pair.url()))]
        print(f"{'':<28}{'files':>11}{'database':>11}{'ratio':>9}")
        for name, options in scenarios(arguments.documents, etags):
            row(name, measure(ports, options, arguments.rounds, arguments.seconds))
        pair.primary.set(synchronous_standby_names="''")
        (name, options) = list(scenarios(arguments.documents, etags))[-1]
        row(f"{name}, no standby waited for", measure(ports, options, arguments.rounds, arguments.seconds))


if __name__ == "__main__":
    main()
