"""Measure the service on PostgreSQL beside the service on files, round by round, and print ratios.

PostgreSQL runs on the same machine, with a synchronous standby; the servers, the database and wrk share its processors.
"""

import argparse
import os
import statistics
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

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
    """A server on a storage; gives its port and its process id."""
    settings = {"DEPLOYMETRICS_STORAGE": url, "DEPLOYMETRICS_SECRET_KEY": SECRET["SECRET_KEY"]}
    before = dict(os.environ)
    os.environ.update(settings)
    try:
        with servers.ours(instance) as (port, process):
            yield port, process.pid
    finally:
        os.environ.clear()
        os.environ.update(before)


def children(pid):
    """The process ids of the children of a process."""
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def used(pids):
    """The processor time of processes, in seconds."""
    ticks = 0
    for pid in pids:
        with suppress(FileNotFoundError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def scenarios(documents, etags):
    """(name, what is loaded, for each storage its ETag of the list)."""
    one = dict(path=ONE, tags=documents)
    yield "GET one", [one] * 2
    yield "GET list", [dict(path=ALL)] * 2
    yield "GET list, 304", [dict(path=ALL, headers={"If-None-Match": f'"{etag}"'}) for etag in etags]
    yield "POST", [dict(method="POST", body=METRICS.decode(), **one)] * 2


class Measured(NamedTuple):
    """Requests a second, and milliseconds of a processor for each: of the server, and of the database."""

    rate: float
    server: float
    database: float


def measure(sides, options, rounds, seconds, database):
    """A list of Measured for each side; they are loaded in turn, and the first round counts for nothing."""
    found = [[] for _ in sides]
    for number in range(rounds + 1):
        for (port, server), one, results in zip(sides, options, found, strict=True):
            headers = {"Authorization": AUTHORIZATION, **one.get("headers", {})}
            before = used(children(server)), used(database())
            result = load.run(port, seconds=seconds, **{**one, "headers": headers})
            requests = max(result.rate * seconds, 1)
            after = used(children(server)), used(database())
            cost = [1000 * (now - then) / requests for now, then in zip(after, before)]
            if number:
                results.append(Measured(result.rate, *cost))
            if result.errors:
                print(f"  {result.errors} failed answers at port {port}")
    return found


def beside(ports, options, rounds, seconds):
    """For each round the rate of the first server alone, and of all at once with as many connections together."""
    found = []
    headers = {"Authorization": AUTHORIZATION, **options.get("headers", {})}
    for _ in range(rounds):
        rates = []
        for loaded in ports[:1], ports:
            share = dict(
                seconds=seconds, connections=load.CONNECTIONS // len(loaded), **{**options, "headers": headers}
            )
            with ThreadPoolExecutor() as pool:
                rates.append(sum(result.rate for result in pool.map(lambda port: load.run(port, **share), loaded)))
        found.append(rates)
    return found


def row(name, found):
    """A line of the table: both rates, the median of the rounds' ratios, and what a request costs."""
    files, sql = found
    ratio = statistics.median(other.rate / one.rate for one, other in zip(files, sql, strict=True))
    cells = [f"{statistics.median(one.rate for one in side):>9.0f}/s" for side in found]
    costs = [[one.server for one in files], [one.server for one in sql], [one.database for one in sql]]
    cells += [f"{ratio:>8.2f}", *(f"{statistics.median(cost):>9.2f} ms" for cost in costs)]
    print(f"{name:<28}" + "".join(cells), flush=True)


def main():
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.storages", description=__doc__)
    parser.add_argument("--documents", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--only", default="", help="the rows that have this in their name, and no second server")
    parser.add_argument("--folder", help="where the files are: a disk, not a tmpfs")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=arguments.folder)))
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
        sides = [stack.enter_context(on(home / "files", "files:")), stack.enter_context(on(home / "sql", pair.url()))]
        print(f"{'':<28}{'files':>11}{'database':>11}{'ratio':>8}{'server':>12}{'server':>12}{'database':>12}")

        def database():
            return [*pair.primary.processes(), *pair.standby.processes()]

        for name, options in scenarios(arguments.documents, etags):
            if arguments.only in name:
                row(name, measure(sides, options, arguments.rounds, arguments.seconds, database))
        if arguments.only:
            return
        third = stack.enter_context(on(home / "sql2", pair.url()))
        print(f"{'':<28}{'1 server':>11}{'2 servers':>11}{'ratio':>8}")
        for name, (_, options) in scenarios(arguments.documents, etags):
            rates = beside([sides[1][0], third[0]], options, arguments.rounds, arguments.seconds)
            medians = "".join(f"{statistics.median(side):>9.0f}/s" for side in zip(*rates))
            print(f"{name:<28}{medians}{statistics.median(two / one for one, two in rates):>8.2f}", flush=True)
        pair.primary.set(synchronous_standby_names="''")
        (name, options) = list(scenarios(arguments.documents, etags))[-1]
        row(f"{name}, no standby waited for", measure(sides, options, arguments.rounds, arguments.seconds, database))


if __name__ == "__main__":
    main()
