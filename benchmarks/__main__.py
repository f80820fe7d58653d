"""Measure ``serve`` with both of its servers beside a bare Flask app and the peers, loaded in turn, round by round.

Each row has requests per second and, in brackets, microseconds of processor time per request; below it the medians of
the rounds' ratios, of both.
"""

import argparse
import math
import statistics
import tempfile
from contextlib import ExitStack
from pathlib import Path

from . import load, servers
from .filling import ALL, AUTHORIZATION, METRICS, ONE, fill, prepare_baseline
from .rivals import RIVALS

#: With more, a peer is still at work on a list when the next one is measured.
MOST_FOR_RIVALS = 1000
FULL = 100  # so many documents have a full history, where that is measured: 100 MB
KNOWN = {"Authorization": AUTHORIZATION}
POST = dict(method="POST", body=METRICS.decode())
#: Which ratios are printed, where both were measured.
RATIOS = (("gunicorn", "bare"), ("granian", "etcd"), ("granian", "gunicorn"), ("granian", "kinto"))


def scenarios(documents, etag):
    """By name: the service's load, and the bare Flask app's, for so many documents."""
    one, everything = dict(path=ONE, tags=documents, headers=KNOWN), dict(path=ALL, headers=KNOWN)
    post, hot = {**one, **POST}, dict(path=ONE, headers=KNOWN, **POST)
    return {
        "GET one": (one, one),
        "GET list": (everything, everything),
        "GET list, 304": (dict(path=ALL, headers={**KNOWN, "If-None-Match": f'"{etag}"'}), one),
        "POST": (post, post),
        "POST, one tag": (hot, hot),
    }


def full_scenarios(documents, _):
    """The one that is about documents with as many earlier versions as are kept."""
    post = dict(path=ONE, tags=min(documents, FULL), headers=KNOWN, **POST)
    return {"POST, history full": (post, post)}


def sides(documents, folder, loads, stack, with_rivals):
    """By name: (port, process, loads by scenario) of each server, which run until ``stack`` ends."""
    mine = {name: pair[0] for name, pair in loads.items()}
    found = {
        server: (*stack.enter_context(servers.ours(folder / "instance", server)), mine)
        for server in ("gunicorn", "granian")
    }
    bare = {name: pair[1] for name, pair in loads.items()}
    found["bare"] = *stack.enter_context(servers.baseline(folder / "baseline")), bare
    for name, start in RIVALS.items() if with_rivals else ():
        if rival := stack.enter_context(start(documents, folder, METRICS)):
            found[name] = rival
    return found


def measure(scenario, found, arguments):
    """By name of a side that can do the scenario, a list of Results, one a round; the sides are loaded in turn."""
    results = {name: [] for name, (_, _, loads) in found.items() if scenario in loads}
    for number in range(arguments.rounds + 1):
        for name, rounds in results.items():
            port, process, loads = found[name]
            before = servers.processor_seconds(process)
            result = load.run(port, seconds=arguments.seconds, connections=arguments.connections, **loads[scenario])
            used = servers.processor_seconds(process) - before
            if number:  # the first round is for getting warm: passwords are hashed, modules loaded, lists read
                rounds.append(result._replace(micros=used / result.number * 1e6 if result.number else math.inf))
    return results


def show(scenario, documents, results):
    """Print a row, and its ratios."""
    cells = [f"{scenario:<20}{documents:>6}"]
    for name, rounds in results.items():
        rate, micros = (statistics.median(getattr(each, what) for each in rounds) for what in ("rate", "micros"))
        cells.append(f"   {name} {rate:.0f}/s ({micros:.0f} µs)")
    print("".join(cells))
    for mine, its in RATIOS:
        if mine in results and its in results:
            rates = statistics.median(map(ratio, results[mine], results[its]))
            times = statistics.median(map(lean, results[mine], results[its]))
            print(f"{'':<29}{mine} ÷ {its} {rates:.2f}, by processor time {times:.2f}")
    errors = {name: sum(each.errors for each in rounds) for name, rounds in results.items()}
    print(
        "".join(f"{'':<29}{count} failed answers of {name}\n" for name, count in errors.items() if count),
        end="",
        flush=True,
    )


def ratio(mine, its):
    """How many times the rate of ``its`` the one of ``mine`` is; infinite where the other got nothing done in time."""
    return mine.rate / its.rate if its.rate else math.inf


def lean(mine, its):
    """How many times the processor time of ``mine`` the one of ``its`` is: above 1, ours takes less."""
    return its.micros / mine.micros if mine.micros else math.inf


def run(documents, arguments, *, full, parts):
    """Measure scenarios with so many documents, and print each row as soon as it is there; ``parts`` makes them."""
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder, ExitStack() as stack:
        folder = Path(folder).resolve()
        one, everything, etag = fill(folder / "instance", documents, full)
        loads = {name: pair for name, pair in parts(documents, etag).items() if arguments.only in name}
        if not loads:
            return
        prepare_baseline(folder / "baseline", one, everything)
        found = sides(documents, folder, loads, stack, documents <= MOST_FOR_RIVALS and not full)
        for scenario in loads:
            show(scenario, documents, measure(scenario, found, arguments))


def main():
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--documents", default="1,100,1000,10000", help="numbers of documents, with commas between")
    parser.add_argument("--rounds", type=int, default=5, help="how often each side is loaded, in turn (default 5)")
    parser.add_argument("--seconds", type=int, default=3, help="how long each time (default 3)")
    parser.add_argument("--connections", type=int, default=load.CONNECTIONS, help="kept alive (default 16)")
    parser.add_argument("--only", default="", help="only scenarios with this in their name")
    parser.add_argument("--folder", default=".", help="where to make the instance: a disk, not a tmpfs")
    arguments = parser.parse_args()
    for documents in map(int, arguments.documents.split(",")):
        run(documents, arguments, full=0, parts=scenarios)
        run(documents, arguments, full=min(documents, FULL), parts=full_scenarios)


if __name__ == "__main__":
    main()
