"""``python -m benchmarks.workers``: gunicorn's kinds of worker beside that of ``serve``, directly and behind nginx.

All run the same application on the same documents and are loaded in turn. A worker that leaves the connections to
chance is quick in one round and slow in the next: that is what the lowest round shows.
"""

import argparse
import importlib.util
import shutil
import statistics
import tempfile
from contextlib import ExitStack
from pathlib import Path

from deploymetrics.server import master

from . import load, servers
from .filling import AUTHORIZATION, METRICS, ONE, fill

DOCUMENTS = 100
KINDS = {
    "serve": dict(worker_class=master.SETTINGS["worker_class"]),
    "gthread": dict(worker_class="gthread"),
    # Each of these does one thing at a time: as many as the others have threads.
    "sync": dict(worker_class="sync", threads=1, workers=servers.WORKERS * servers.THREADS),
    "gevent": dict(worker_class="gevent"),
}
LOADS = {"GET one": {}, "POST": dict(method="POST", body=METRICS.decode())}


def installed(name):
    """Whether a kind of worker or a way to it can be measured here; says so where it cannot."""
    there = shutil.which("nginx") if name == "behind nginx" else name != "gevent" or importlib.util.find_spec("gevent")
    if not there:
        print(f"{name} is skipped: it is not installed")
    return bool(there)


def ports(kinds, ways, folder, stack):
    """The port of each (kind, way), of servers that run until ``stack`` ends."""
    found = {}
    environment = {"DEPLOYMETRICS_INSTANCE": str(folder / "instance"), "DEPLOYMETRICS_COLLECT": "false"}
    for kind in kinds:
        app = "deploymetrics:create_app()"
        port, _ = stack.enter_context(servers.gunicorn(app, folder, environment, **KINDS[kind]))
        for way in ways:
            found[kind, way] = port if way == "directly" else stack.enter_context(servers.nginx(port, folder))
    return found


def main():
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.workers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="how often each is loaded, in turn (default 7)")
    parser.add_argument("--seconds", type=int, default=2, help="how long each time (default 2)")
    parser.add_argument("--folder", default=".", help="where to make the instance: a disk, not a tmpfs")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder, ExitStack() as stack:
        folder = Path(folder).resolve()
        fill(folder / "instance", DOCUMENTS)
        kinds, ways = filter(installed, KINDS), list(filter(installed, ("directly", "behind nginx")))
        found = ports(kinds, ways, folder, stack)
        print(f"{'':<10}{'worker':<10}{'':<16}{'median':>10}{'lowest':>10}{'p50':>12}{'failed':>8}")
        for what, options in LOADS.items():
            results = {side: [] for side in found}
            for number in range(arguments.rounds + 1):
                for side, port in found.items():
                    result = load.run(
                        port,
                        ONE,
                        seconds=arguments.seconds,
                        tags=DOCUMENTS,
                        headers={"Authorization": AUTHORIZATION},
                        **options,
                    )
                    if number:  # the first round is for getting warm
                        results[side].append(result)
            for (kind, way), rounds in results.items():
                rates = [result.rate for result in rounds]
                print(
                    f"{what:<10}{kind:<10}{way:<16}{statistics.median(rates):>8.0f}/s{min(rates):>8.0f}/s"
                    f"{statistics.median(result.p50 for result in rounds):>9.2f} ms"
                    f"{sum(result.errors for result in rounds):>8}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
