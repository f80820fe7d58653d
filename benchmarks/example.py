"""An instance like one after a year or two: ``python -m benchmarks.example FOLDER`` makes the folder.

523 tags with histories that are thinned out as the storage does it, arrays of 1,500 hosts among them, some late and one
deleted; the accounts alice and bob are master operators. Screenshots and what is measured of the pages rest on it.
"""

import argparse
import json
import math
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from deploymetrics import create_app
from deploymetrics.accounts.service import Role
from deploymetrics.clock import as_last_changed, as_precise
from deploymetrics.documents.service import DOCUMENTS, Documents
from deploymetrics.storage import Item

from .filling import one_sync

PASSWORD = "a password of the example"
HOSTS = 1500
Metrics = Callable[[datetime, random.Random], Any]


def times(now: datetime, minutes: int, days: int) -> Iterator[tuple[int, datetime]]:
    """Yield (version, time) of a tag that was posted so often for so long, oldest first, thinned out as it would be."""
    count = days * 1440 // minutes
    last = None
    for version in range(1, count + 1):
        age = timedelta(minutes=minutes) * (count - version)
        at = now - age
        unit = "%Y%m%d" if age > timedelta(days=60) else "%Y%m%d%H" if count - version >= 1000 else "%c"
        after = at + timedelta(minutes=minutes)
        if at.strftime(unit) != after.strftime(unit) and last != version:
            last = version
            yield version, at


def wave(at: datetime, days: float, low: float, high: float, shift: float = 0) -> float:
    """Return a value between ``low`` and ``high`` that comes again every so many days."""
    return low + (high - low) * (1 + math.sin(2 * math.pi * (at.timestamp() / 86400 / days + shift))) / 2


def platform(at: datetime, chance: random.Random) -> Any:
    """The collector's document of a growing deployment."""
    age = (at - datetime(2024, 1, 1, tzinfo=UTC)) / timedelta(days=1)
    endpoints = int(18_000 + 9 * age + wave(at, 7, -120, 120))
    return [
        {
            "server_name": "bigfix-root.example.com",
            "server_version": "11.0.4.60" if at.month % 2 else "11.0.3.82",
            "number_of_endpoints": endpoints,
            "endpoints_reported_last_day": int(endpoints * (0.9 + chance.random() / 50)),
            "open_actions": int(wave(at, 30, 40, 160) + wave(at, 1, 0, 25) + chance.randrange(9)),
            "licence_count": 25_000 if at.month < 7 else 30_000,
            "licences_used": endpoints + 311,
            "database_size_bytes": int(92e9 + 4e7 * age + chance.randrange(10**8)),
            "fill_db_queue_seconds": round(wave(at, 1, 0.4, 9) + chance.random(), 3),
            "relays": {"total": 61, "failing": chance.choice((0, 0, 0, 1, 2))},
        }
    ]


def hosts(at: datetime, chance: random.Random) -> Any:
    """The load of 1,500 hosts, in another order each time."""
    every = [
        {
            "host": f"host-{number:04}.example.com",
            "load": round(wave(at, 1, 0.1, 4, number / 97) + chance.random(), 2),
            "memory_used_percent": round(30 + (number * 7919) % 60 + chance.random() * 9, 1),
            "disk_free_bytes": (number * 104_729) % 900 * 10**9,
            "os": ("Windows Server 2022", "RHEL 9", "Windows Server 2019")[number % 3],
        }
        for number in range(HOSTS)
    ]
    chance.shuffle(every)
    every[7]["load"] = 39.5 if every[7]["host"] != "host-0007.example.com" else 3
    return every


def compliance(at: datetime, chance: random.Random) -> Any:
    """What one site posts about patches."""
    return [
        {
            "id": 4711,
            "site": "Patches for Windows",
            "compliance_percent": round(min(100, wave(at, 28, 71, 99) + chance.random()), 1),
            "missing_patches": int(wave(at, 28, 900, 30)),
            "scan_seconds": round(20 + chance.random() * 6, 2),
        }
    ]


def licences(at: datetime, chance: random.Random) -> Any:
    """The licence count, as text, as BigFix has it."""
    return [{"product": "Lifecycle", "licence_count": str(21_000 + at.timetuple().tm_yday * 7), "edition": "3"}]


def text(at: datetime, chance: random.Random) -> Any:
    """Values that are no numbers, long ones and empty ones."""
    return {
        "note": "",
        "count": 3,
        "text": "3",
        "long": "maintenance window " * 40,
        "ratio": 0.1 + 0.2 + chance.random(),
    }


# tag, author, minutes between posts, days of history, metrics
TAGS: list[tuple[str, str, int, int, Metrics]] = [
    ("platform", "deploymetrics", 15, 730, platform),
    ("hosts", "inventory", 240, 730, hosts),
    ("licences", "licence-job", 1440, 730, licences),
    ("notes", "carol", 10080, 365, text),
    ("compliance-two-years", "compliance", 5, 730, compliance),
    *((f"patch-prod-{number:03}", "patch-job", 1440, 365, compliance) for number in range(200)),
    *((f"patch-test-{number:03}", "patch-job", 2880, 365, compliance) for number in range(120)),
    *((f"inventory-emea-{number:03}", "inventory", 10080, 365, compliance) for number in range(100)),
    *((f"inventory-apac-{number:03}", "inventory", 10080, 365, compliance) for number in range(58)),
    *((f"webui-{name}", "webui", 720, 200, compliance) for name in ("custom", "query", "patch", "deploy", "profile")),
    *((f"café-{name}", "zoë", 43_200, 365, compliance) for name in ("paris", "lyon", "nice")),
    *((f"team-{number:02}", ("alice", "bob", "carol")[number % 3], 4320, 120, compliance) for number in range(32)),
]
#: Tags that are expected more often than they are posted.
LATE = {"patch-test-007": 3600, "webui-query": 300}


def restore(
    documents: Documents, tag: str, author: str, minutes: int, days: int, metrics: Metrics, now: datetime
) -> None:
    """Put the history of one tag into the storage at once, as an import does."""
    chance = random.Random(tag)
    late = timedelta(minutes=chance.randrange(minutes))
    items = (
        Item(tag, value_of(tag, metrics(at, chance), at), None, version, as_precise(at), author, "")
        for version, at in times(now - late, minutes, days)
    )
    documents.store.restore(DOCUMENTS, tag, items)


def value_of(tag: str, metrics: Any, at: datetime) -> bytes:
    """Return a document as it is stored."""
    document = {"tag": tag, "metrics": metrics, "lastChanged": as_last_changed(at)}
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


@one_sync()
def fill(folder: Path, now: datetime, tags: int | None = None) -> None:
    """Make the instance, or one with the first of the tags only."""
    services = create_app(folder, {"COLLECT": False}).extensions["deploymetrics"]
    for name in ("alice", "bob"):
        services.accounts.add(name, Role.MASTER_OPERATOR, PASSWORD)
    for row in TAGS[:tags]:
        restore(services.documents, *row, now)
    for tag, seconds in LATE.items() if tags is None else ():
        services.expectations.set(tag, seconds, "alice")
    services.documents.save("retired", b'[{"count":1}]', "carol")
    services.documents.delete("retired", "bob")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    if arguments.folder.exists():
        parser.error("the folder is there already")
    fill(arguments.folder, datetime.now(UTC))
    print(f"{len(TAGS)} tags; alice and bob log in with {PASSWORD!r}")


if __name__ == "__main__":
    main()
