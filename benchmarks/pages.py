"""What the overview costs beside the API's list of the same documents: ``python -m benchmarks.pages``.

``--example FOLDER`` asks for pages of an instance that ``benchmarks.example`` made, plots over two years among them,
and prints the processor time.

Both are asked for in turn, within this process and with the same credential, so that the ratio is that of the server's
own work. It prints the weight of the page as well, and what other pages take.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from deploymetrics import create_app
from deploymetrics.accounts.service import Role

from .example import PASSWORD as EXAMPLE_PASSWORD
from .filling import ALL as LIST
from .filling import NAME, PASSWORD

METRICS = b'[{"number_of_endpoints":"%d","server":"bigfix-01"}]'
OVERVIEW = "/"
OTHERS = (
    "/?q=tag0001",
    "/?q=endpoints",
    "/?groups=1",
    "/?order=-changed",
    "/?page=2",
    "/tags/tag00000",
    "/tags/tag00000/history",
    "/tags/tag00000/edit",
)


EXAMPLES = (
    "/",
    "/tags/platform",
    "/tags/hosts?sort=-load",
    "/plot?series=platform/open_actions&range=all",
    "/plot?series=platform/open_actions&series=platform/licences_used&series=licences/licence_count&range=all",
    "/plot?series=hosts/max([].load)&range=all",
    "/plot?series=hosts/[host-0007.example.com].load&range=all",
    "/tags/platform/history",
    "/tags/platform/compare?since=week",
)


def fill(app, documents, versions):
    """Make an account and so many documents of so many versions each."""
    services = app.extensions["deploymetrics"]
    services.accounts.add(NAME, Role.MASTER_OPERATOR, PASSWORD)
    for number in range(documents):
        for version in range(versions):
            services.documents.save(f"tag{number:05d}", METRICS % (number + version), NAME)


def measure(client, urls, rounds, credential=(NAME, PASSWORD), clock=time.perf_counter):
    """{url: (median milliseconds, bytes)} by that clock; each round asks for each URL once."""
    times, sizes = {url: [] for url in urls}, {}
    for _ in range(rounds):
        for url in urls:
            start = clock()
            answer = client.get(url, auth=credential)
            sizes[url] = len(answer.data)
            times[url].append((clock() - start) * 1000)
            assert answer.status_code == 200, (url, answer.status)
    return {url: (statistics.median(times[url]), sizes[url]) for url in urls}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--documents", type=int, default=100)
    parser.add_argument("--versions", type=int, default=3, help="of each document")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--example", type=Path, help="a folder that benchmarks.example made")
    arguments = parser.parse_args()
    if arguments.example:
        client = create_app(arguments.example, {"COLLECT": False}).test_client(use_cookies=False)
        measured = measure(client, EXAMPLES, arguments.rounds, ("alice", EXAMPLE_PASSWORD), time.process_time)
        print("medians of the processor time")
        for url, (milliseconds, size) in measured.items():
            print(f"{milliseconds:7.0f} ms {size / 1000:7.1f} KB  {url}")
        return
    with tempfile.TemporaryDirectory() as folder:
        app = create_app(Path(folder) / "instance", {"COLLECT": False})
        fill(app, arguments.documents, arguments.versions)
        client = app.test_client(use_cookies=False)
        measured = measure(client, (LIST, OVERVIEW, *OTHERS), arguments.rounds)
        anew, cache = [], app.extensions["deploymetrics_overview_cache"]
        for _ in range(min(arguments.rounds, 20)):
            cache.spark.cache_clear()
            anew.append(measure(client, [OVERVIEW], 1)[OVERVIEW][0])
    print(f"{arguments.documents:,} documents of {arguments.versions} versions; medians of {arguments.rounds} rounds")
    for url, (milliseconds, size) in measured.items():
        ratio = milliseconds / measured[LIST][0]
        print(f"{url:28} {milliseconds:8.2f} ms {size / 1000:9.1f} KB {ratio:7.1f} x the list")
    print(f"{'/ with every plot drawn anew':28} {statistics.median(anew):8.2f} ms")


if __name__ == "__main__":
    main()
