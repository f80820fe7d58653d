"""Measure, and print a table of ratios to the baselines; both are loaded in turn, round by round."""

import argparse
import math
import statistics
import tempfile
from contextlib import ExitStack
from pathlib import Path

from . import load, servers
from .alone import empty_memory, first_uses, list_times
from .filling import ALL, AUTHORIZATION, METRICS, ONE, fill, prepare_baseline
from .rivals import RIVALS

MOST_FOR_RIVALS = 100
FULL = 100  # so many documents have a full history, where that is measured: 100 MB


def scenarios(documents, etag):
    """(name, the service's load, the bare Flask app's load) for so many documents."""
    one = dict(path=ONE, tags=documents)
    post = dict(method="POST", body=METRICS.decode())
    yield "GET one", one, one
    yield "GET list", dict(path=ALL), dict(path=ALL)
    yield "GET list, 304", dict(path=ALL, headers={"If-None-Match": f'"{etag}"'}), one
    yield "POST", {**one, **post}, {**one, **post}
    yield "POST, one tag", dict(path=ONE, **post), dict(path=ONE, **post)


def full_scenarios(documents, _):
    """The one that is about documents with as many earlier versions as are kept."""
    post = dict(path=ONE, tags=min(documents, FULL), method="POST", body=METRICS.decode())
    yield "POST, history full", post, post


def measure(sides, rounds, seconds):
    """For each (port, load) of ``sides`` a list of Results, one a round; the sides are loaded in turn."""
    results = [[] for _ in sides]
    for number in range(rounds + 1):
        for (port, options), found in zip(sides, results):
            headers = {"Authorization": AUTHORIZATION, **options.get("headers", {})}
            result = load.run(port, seconds=seconds, **{**options, "headers": headers})
            if number:  # the first round is for getting warm: passwords are hashed, modules loaded, lists read
                found.append(result)
    return results


def row(name, documents, names, results):
    """A line of the table: our rate and latency, and to each other side the median of the rounds' ratios."""
    ours = results[0]
    cells = [f"{name:<20}{documents:>6}{statistics.median(result.rate for result in ours):>9.0f}/s"]
    cells.append(f"{statistics.median(result.p50 for result in ours):>9.2f} ms")
    for other in results[1:]:
        cells.append(f"{statistics.median(map(ratio, ours, other)):>14.2f}")
    errors = {side: sum(result.errors for result in found) for side, found in zip(names, results)}
    cells += [f"   {count} failed answers of {side}" for side, count in errors.items() if count]
    return "".join(cells)


def ratio(mine, its):
    """How many times the rate of ``its`` the one of ``mine`` is; infinite where the other got nothing done in time."""
    return mine.rate / its.rate if its.rate else math.inf


def run(documents, arguments, *, full, parts):
    """Measure scenarios with so many documents, and print each row as soon as it is there; ``parts`` makes them."""
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder, ExitStack() as stack:
        folder = Path(folder)
        one, everything, etag = fill(folder / "instance", documents, full)
        wanted = [scenario for scenario in parts(documents, etag) if arguments.only in scenario[0]]
        if not wanted:
            return
        prepare_baseline(folder / "baseline", one, everything)
        port, process = stack.enter_context(servers.ours(folder / "instance"))
        base, _ = stack.enter_context(servers.baseline(folder / "baseline"))
        # With more some are still at work on a list when the next server is measured.
        rivals = RIVALS if documents <= MOST_FOR_RIVALS and not full else {}
        found = {name: stack.enter_context(start(documents, folder, METRICS)) for name, start in rivals.items()}
        others = {name: rival for name, rival in found.items() if rival}
        print(f"{'':<26}{'ours':>11}{'p50':>12}" + "".join(f"{'÷ ' + name:>12}" for name in ["bare", *others]))
        for name, mine, bare in wanted:
            able = {side: (port, loads[name]) for side, (port, loads) in others.items() if name in loads}
            sides = {"ours": (port, mine), "bare Flask": (base, bare), **able}
            results = measure(list(sides.values()), arguments.rounds, arguments.seconds)
            print(row(name, documents, sides, results), flush=True)
        if not full and not arguments.only:
            unchanged, changed = list_times(port)
            memory = statistics.mean(servers.worker_memory(process)) - empty_memory(folder / "empty")
            print(f"{'GET list, alone':<20}{documents:>6}{unchanged:>9.1f} ms; right after a write {changed:.1f} ms")
            one_first, list_first = first_uses(folder / "instance")
            print(f"{'after a start':<20}{documents:>6}{one_first:>9.1f} ms for one document; the first list {list_first:.1f} ms")
            print(f"{'memory':<20}{documents:>6}{memory:>9.1f} MiB a worker above an empty one (PSS)", flush=True)


def main():
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--documents", default="1,100,1000,10000", help="numbers of documents, with commas between")
    parser.add_argument("--rounds", type=int, default=5, help="how often each side is loaded, in turn (default 5)")
    parser.add_argument("--seconds", type=int, default=3, help="how long each time (default 3)")
    parser.add_argument("--only", default="", help="only scenarios with this in their name")
    parser.add_argument("--folder", default=".", help="where to make the instance: a disk, not a tmpfs")
    arguments = parser.parse_args()
    for documents in map(int, arguments.documents.split(",")):
        run(documents, arguments, full=0, parts=scenarios)
        run(documents, arguments, full=min(documents, FULL), parts=full_scenarios)


if __name__ == "__main__":
    main()
