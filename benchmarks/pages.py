"""What the overview costs beside the API's list of the same documents: ``python -m benchmarks.pages``.

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

from .filling import ALL as LIST
from .filling import NAME, PASSWORD

METRICS = b'[{"number_of_endpoints":"%d","server":"bigfix-01"}]'
OVERVIEW = "/"
OTHERS = (
    "/?q=tag0001",
    "/?order=-changed",
    "/?page=2",
    "/tags/tag00000",
    "/tags/tag00000/history",
    "/tags/tag00000/edit",
)


def fill(app, documents, versions):
    """Make an account and so many documents of so many versions each."""
    services = app.extensions["deploymetrics"]
    services.accounts.add(NAME, Role.MASTER_OPERATOR, PASSWORD)
    for number in range(documents):
        for version in range(versions):
            services.service.save(f"tag{number:05d}", METRICS % (number + version), NAME)


def measure(client, urls, rounds):
    """{url: (median milliseconds, bytes)}; each round asks for each URL once."""
    times, sizes = {url: [] for url in urls}, {}
    for _ in range(rounds):
        for url in urls:
            start = time.perf_counter()
            answer = client.get(url, auth=(NAME, PASSWORD))
            sizes[url] = len(answer.data)
            times[url].append((time.perf_counter() - start) * 1000)
            assert answer.status_code == 200, (url, answer.status)
    return {url: (statistics.median(times[url]), sizes[url]) for url in urls}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--documents", type=int, default=100)
    parser.add_argument("--versions", type=int, default=3, help="of each document")
    parser.add_argument("--rounds", type=int, default=200)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        app = create_app(Path(folder) / "instance", {"COLLECT": False})
        fill(app, arguments.documents, arguments.versions)
        client = app.test_client(use_cookies=False)
        measured = measure(client, (LIST, OVERVIEW, *OTHERS), arguments.rounds)
        anew, remembered = [], app.extensions["deploymetrics_sparklines"]
        for _ in range(min(arguments.rounds, 20)):
            remembered.forget()
            anew.append(measure(client, [OVERVIEW], 1)[OVERVIEW][0])
    print(f"{arguments.documents:,} documents of {arguments.versions} versions; medians of {arguments.rounds} rounds")
    for url, (milliseconds, size) in measured.items():
        ratio = milliseconds / measured[LIST][0]
        print(f"{url:28} {milliseconds:8.2f} ms {size / 1000:9.1f} KB {ratio:7.1f} x the list")
    print(f"{'/ with every plot drawn anew':28} {statistics.median(anew):8.2f} ms")


if __name__ == "__main__":
    main()
