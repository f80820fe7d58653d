"""Let a server live through everything for some minutes: ``python -m benchmarks.soak --minutes 5`` (``make soak``).

Writers, readers, pages and scrapes go on without a break while the server is reloaded, workers are killed, and the disk
is full and read-only for a while (for root; else the disk stays as it is). Exits with 1 unless all of it holds.
"""

import argparse
import collections
import contextlib
import itertools
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from deploymetrics import create_app
from deploymetrics.documents.service import DOCUMENTS

from .filling import fill
from .servers import ours
from .soaking import Actors, Page, Reader, Scraper, Writer

#: Faults last for so long, and what they cause may last for so much longer.
FAULT_SECONDS, GRACE = 4.0, 3.0
DISK_MIB, READERS, WRITERS = 128, 3, 3
#: Reloads and kills end after this part of the time, so that the workers that are then there are the last ones.
RESTARTS_UNTIL, WARM = 0.35, 0.5
FLAT = 0.05


class Faults:
    """What happens to the server, and when: ``lasts(moment)`` is True from the beginning of a fault until its end."""

    def __init__(self, process, disk):
        self.process, self.disk = process, disk
        self.windows, self.counts = [], dict.fromkeys(("reloads", "kills", "full", "read-only"), 0)

    def lasts(self, moment):
        return any(begin <= moment <= end + GRACE for begin, end in self.windows)

    @contextlib.contextmanager
    def fault(self, name):
        window = [time.monotonic(), float("inf")]
        self.windows.append(window)
        yield
        window[1] = time.monotonic()
        self.counts[name] += 1

    def reload(self):
        """Send SIGHUP, which nobody may notice."""
        os.kill(self.process.pid, signal.SIGHUP)
        self.counts["reloads"] += 1

    def kill(self):
        """Kill a worker: what it was answering is lost."""
        with self.fault("kills"):
            os.kill(int(workers(self.process)[0]), signal.SIGKILL)

    def full(self):
        """Fill the disk for a while."""
        filler = self.disk / "filler"
        with self.fault("full"):
            with contextlib.suppress(OSError), open(filler, "wb", buffering=0) as file:
                while True:
                    file.write(b"x" * 2**16)
            time.sleep(FAULT_SECONDS)
            filler.unlink()

    def read_only(self):
        """Lay a read-only view of the disk over it for a while; what is open for writing already goes on."""
        with self.fault("read-only"):
            for options in (["--bind", self.disk], ["-o", "remount,bind,ro"]):
                subprocess.run(["mount", *options, self.disk], check=True)
            time.sleep(FAULT_SECONDS)
            subprocess.run(["umount", "--lazy", self.disk], check=True)


@contextlib.contextmanager
def small_disk(folder):
    """Give a small disk in memory of its own, or None where only root could."""
    disk = folder / "disk"
    disk.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", str(disk)]
    if subprocess.run(["mount", *options], capture_output=True).returncode:
        yield None
        return
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def workers(process):
    """The process ids of the workers, oldest first."""
    return Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()


def sample(process):
    """Memory in MiB, descriptors and threads of the master and its workers together."""
    memory = descriptors = threads = 0
    for pid in [process.pid, *workers(process)]:
        of = Path(f"/proc/{pid}")
        with contextlib.suppress(OSError):
            memory += next(
                int(line.split()[1]) / 1024
                for line in (of / "smaps_rollup").read_text().splitlines()
                if line.startswith("Pss:")
            )
            descriptors += len(os.listdir(of / "fd"))
            threads += len(os.listdir(of / "task"))
    return memory, descriptors, threads


def live(process, faults, seconds):
    """Let faults happen one after the other, and return samples as (part of the time, sample)."""
    start, samples = time.monotonic(), []
    restarts = [faults.reload, faults.kill]
    disks = [faults.full, faults.read_only] if faults.disk else []
    early = itertools.cycle([action for pair in zip(restarts, disks or restarts) for action in pair])
    late = itertools.cycle(disks)
    pause = max(2.0, min(12.0, seconds / 16))
    due = start  # the first one at once, so that there is one however slow the machine is
    while (passed := (time.monotonic() - start) / seconds) < 1:
        if time.monotonic() >= due:
            if passed < RESTARTS_UNTIL or disks:
                next(early if passed < RESTARTS_UNTIL else late)()
            due = time.monotonic() + pause
        samples.append((passed, sample(process)))
        time.sleep(min(1.0, pause / 4))
    return [*samples, (1.0, sample(process))]


def drift(samples):
    """Yield (name, halfway, at the end) for memory, descriptors and threads; each is the median of some samples."""
    for index, name in enumerate(("memory, MiB", "descriptors", "threads")):
        begin = [found[index] for passed, found in samples if WARM <= passed < WARM + 0.2] or [samples[-1][1][index]]
        end = [found[index] for passed, found in samples if passed >= 0.8]
        yield name, statistics.median(begin), statistics.median(end)


def lost_writes(instance, writers):
    """Count the acknowledged writes that no version has."""
    store = create_app(instance).extensions["deploymetrics"].store
    return sum(
        len(writer.acknowledged - {writer.number_of(item) for item in store.history(DOCUMENTS, writer.tag)})
        for writer in writers
    )


def main():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=5)
    seconds = parser.parse_args().minutes * 60
    os.environ["DEPLOYMETRICS_HISTORY_VERSIONS"] = "1000000"
    with tempfile.TemporaryDirectory() as name, small_disk(Path(name)) as disk:
        instance = (disk or Path(name)) / "instance"
        fill(instance, 20)
        with ours(instance) as (port, process):
            faults = Faults(process, disk)
            writers = [Writer(port, faults, f"soak{number}") for number in range(WRITERS)]
            readers = [Reader(port, faults, writers) for _ in range(READERS)]
            actors = Actors([*writers, *readers, Page(port, faults), Scraper(port, faults)])
            with actors:
                samples = live(process, faults, seconds)
        sys.exit(report(faults, actors, samples, lost_writes(instance, writers)))


def report(faults, actors, samples, lost):
    """Print the table; returns what to exit with."""
    print(f"{'reloads, killed workers':<56}{faults.counts['reloads']}, {faults.counts['kills']}")
    print(f"{'a full, a read-only disk, each for 4 seconds':<56}{faults.counts['full']}, {faults.counts['read-only']}")
    for kind, (requests, refused) in actors.counts().items():
        print(f"{kind + ': requests, 5xx or none while a fault lasts':<56}{requests:,}, {refused:,}")
    wrong = actors.wrong()
    print(f"{'wrong answers, 5xx otherwise':<56}{len(wrong)}")
    print(f"{'acknowledged writes that were lost':<56}{lost}")
    is_flat = True
    for name, begin, end in drift(samples):
        is_flat &= abs(end - begin) <= FLAT * begin
        print(f"{name + ', halfway and at the end':<56}{begin:.0f}, {end:.0f} ({(end - begin) / begin:+.1%})")
    for each, count in collections.Counter(wrong).most_common(20):
        print(f"wrong, {count} times: {each}")
    return 0 if not wrong and not lost and is_flat else 1


if __name__ == "__main__":
    main()
