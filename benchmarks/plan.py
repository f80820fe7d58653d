"""Plan servers and a database from a few figures; ``docs/scale.rst`` explains them.

The costs are in milliseconds of one processor, as ``benchmarks.storages`` measures them. Measure your own, and give
them: another machine has others.
"""

import argparse
import math


def plan(options):
    """Yield (name, figure) pairs."""
    reads = options.rate * (1 - options.writes - options.lists)
    writes, lists = options.rate * options.writes, options.rate * options.lists
    server = reads * options.server_read + writes * options.server_write + lists * options.server_list
    database = reads * options.database_read + writes * options.database_write + lists * options.database_list
    processors = server / 1000 / options.busy
    workers = max(2, math.ceil(processors))
    yield "reads, writes, lists a second", f"{reads:.0f}, {writes:.0f}, {lists:.0f}"
    yield "statements a second", f"{reads + 5 * writes + lists:.0f}"
    yield "processors for the servers", f"{math.ceil(processors)}"
    yield "processors for the database", f"{math.ceil(database / 1000 / options.busy)}"
    connections = workers * (options.threads + 4)
    yield "workers of all servers", f"{workers}"
    yield "connections at most", f"{connections}"
    versions = options.tags * (options.versions + 1440 + 740)
    yield "database at most, GB", f"{versions * options.bytes * 1.3 / 1e9:.0f}"
    yield "log to the standbys, MB a second", f"{writes * (2 * options.bytes + 1000) / 1e6:.1f}"
    yield "memory of the list in a worker, MB", f"{options.tags * 400 / 1e6:.0f}"
    yield "posts of each application, one in", f"{options.apps / max(writes, 1e-9):.1f} s"


def main():
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plan", description=__doc__)
    parser.add_argument("--apps", type=int, default=1000, help="WebUI applications that post")
    parser.add_argument("--tags", type=int, default=100_000)
    parser.add_argument("--rate", type=float, default=10_000, help="requests a second")
    parser.add_argument("--writes", type=float, default=0.1, help="the part of them that are posts")
    parser.add_argument("--lists", type=float, default=0.01, help="the part that are lists, nearly all of them 304")
    parser.add_argument("--bytes", type=int, default=1000, help="of a document")
    parser.add_argument("--versions", type=int, default=1000, help="HISTORY_VERSIONS")
    parser.add_argument("--threads", type=int, default=4, help="THREADS")
    parser.add_argument("--busy", type=float, default=0.6, help="how busy a processor may be")
    for name, cost in COSTS.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, default=cost, help="ms of a processor")
    for name, figure in plan(parser.parse_args()):
        print(f"{name:<36}{figure:>12}")


COSTS = {
    "server_read": 0.68,
    "server_write": 1.51,
    "server_list": 0.66,
    "database_read": 0.11,
    "database_write": 0.71,
    "database_list": 0.08,
}

if __name__ == "__main__":
    main()
