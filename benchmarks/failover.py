"""Let things go wrong for longer, with Patroni and etcd too, and print the table of docs/scale.rst.

Needs PostgreSQL 15, Patroni and etcd (Debian: ``apt-get install postgresql-15 patroni etcd-server``).
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests" / "support"))

import postgres  # noqa: E402
import psycopg  # noqa: E402
from failover import FAULTS, HEAD, Clients, Pair, report, served  # noqa: E402
from postgres import free_port, wait_for  # noqa: E402

#: The file of the documentation, with what is another one here in its place. There is no watchdog.
_PATRONI = Path(__file__).parents[1] / "deploy" / "scale" / "patroni.yml"
_HERE = {
    "name: db1": "name: {name}",
    "10.0.0.21:8008": "127.0.0.1:{api}",
    "10.0.0.21:5432": "127.0.0.1:{port}",
    '["10.0.0.31:2379", "10.0.0.32:2379", "10.0.0.33:2379"]': '["127.0.0.1:{etcd}"]',
    "10.0.0.0/24": "127.0.0.1/32",
    "/var/lib/postgresql/15/deploymetrics": "{folder}/{name}",
    "/usr/lib/postgresql/15/bin": "{binaries}",
    "  authentication:": "  pgpass: {folder}/{name}.pgpass\n  parameters: {SOCKETS}\n  authentication:",
    "mode: required": "mode: 'off'",
}
PASSWORD = "change-me"
#: How Patroni calls the primary, by its version.
PRIMARY = ("master", "leader")


def configuration(**here):
    """The text of ``deploy/scale/patroni.yml`` for a member on this machine."""
    text = _PATRONI.read_text()
    for theirs, ours in _HERE.items():
        assert theirs in text, theirs
        text = text.replace(theirs, ours.format(**here, SOCKETS="{unix_socket_directories: ''}"))
    return text


class Member:
    """A Patroni with its PostgreSQL."""

    def __init__(self, folder, name, etcd):
        self.name, self.port, self.api = name, free_port(), free_port()
        self.data = folder / name
        self.path = folder / f"{name}.yml"
        here = dict(name=name, api=self.api, etcd=etcd, port=self.port, folder=folder, binaries=postgres.binaries())
        self.path.write_text(configuration(**here))
        self.log = folder / f"{name}.log"
        self.start()

    def start(self):
        """Start it; it finds its place by itself."""
        self.process = start(["patroni", self.path], self.log)

    def role(self):
        """What the member is: ``master``, ``sync_standby``, ``replica``, or nothing."""
        import requests

        try:
            found = requests.get(f"http://127.0.0.1:{self.api}/cluster", timeout=2).json()
        except (requests.RequestException, ValueError):
            return ""
        roles = {one["name"]: one["role"] for one in found["members"] if one.get("state") in ("running", "streaming")}
        return roles.get(self.name, "")

    def processes(self):
        """Patroni and its PostgreSQL."""
        try:
            server = int((self.data / "postmaster.pid").read_text().split()[0])
        except (FileNotFoundError, ValueError):
            return [self.process.pid]
        children = Path(f"/proc/{server}/task/{server}/children")
        return [self.process.pid, server, *(map(int, children.read_text().split()) if children.exists() else ())]

    def signal(self, number):
        """Send a signal to all of it, as where the machine stops or goes on."""
        for pid in self.processes():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass


def is_whole(members):
    """Return True if both standbys have caught up: a fault before that is a second one, which Patroni may wait out."""
    primary = next((one for one in members if one.role() in PRIMARY), None)
    if primary is None or "sync_standby" not in [one.role() for one in members]:
        return False
    # What Patroni says of a member that has just begun again is what it was before.
    with psycopg.connect(f"host=127.0.0.1 port={primary.port} user=postgres dbname=postgres") as connection:
        (number,) = connection.execute("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'").fetchone()
    return number == len(members) - 1


def start(command, log):
    """Start a program as the ordinary account."""
    _, who = postgres.account()
    with open(log, "ab") as file:
        return subprocess.Popen([str(part) for part in command], stdout=file, stderr=file, cwd="/", **who)


@contextmanager
def patroni(folder):
    """Three members under etcd; gives them."""
    etcd, peer = free_port(), free_port()
    client = f"http://127.0.0.1:{etcd}"
    own = f"http://127.0.0.1:{peer}"
    options = ["--data-dir", folder / "etcd", "--listen-client-urls", client, "--advertise-client-urls", client]
    options += ["--listen-peer-urls", own, "--initial-advertise-peer-urls", own, "--initial-cluster", f"default={own}"]
    processes = [start(["etcd", *options], folder / "etcd.log")]
    members = []
    try:
        members.append(Member(folder, "one", etcd))
        wait_for(lambda: members[0].role() in PRIMARY, "the first member", 60)
        members += [Member(folder, name, etcd) for name in ("two", "three")]
        wait_for(lambda: "sync_standby" in [one.role() for one in members], "a synchronous standby", 90)
        yield members
    finally:
        for member in members:
            member.signal(signal.SIGCONT)
            member.signal(signal.SIGTERM)
        for member in members:
            stop(member.process)
        stop(processes[0])


def stop(process):
    """End a process."""
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def with_patroni(folder, home, kills):
    """Kill and freeze the primary's machine, and let Patroni do the rest."""
    os.environ["PGPASSWORD"] = PASSWORD
    with patroni(folder) as members:
        hosts = ",".join(f"127.0.0.1:{one.port}" for one in members)
        url = postgres.url_of(hosts).replace("deploymetrics@", "postgres@")
        with served(home, url) as servers, Clients(servers.urls) as clients:
            clients.go_on(300)
            for number in range(kills):
                freeze = number % 2
                wait_for(lambda: is_whole(members), "both others to follow the primary", 120)
                primary = next(one for one in members if one.role() in PRIMARY)
                primary.signal(signal.SIGSTOP if freeze else signal.SIGKILL)
                began, before = time.monotonic(), clients.acknowledged()
                wait_for(lambda: clients.acknowledged() > before + 5, "the service to go on", 120)
                seconds = time.monotonic() - began
                clients.go_on(300)
                primary.signal(signal.SIGKILL)  # of a frozen machine the watchdog does that, before it goes on
                primary.process.wait()
                primary.start()
                clients.go_on(300)
                name = f"Patroni: the primary's machine is {'frozen' if freeze else 'killed'}"
                print(report(url, clients).line(name, f"{seconds:.1f} s"), flush=True)
        return report(url, clients)


def by_hand(folder, home, rounds):
    """What ``tests/storage/test_failover.py`` does, more often and with more writes between."""
    pair = Pair(folder)
    try:
        with served(home, pair.url()) as servers, Clients(servers.urls) as clients:
            for _ in range(rounds):
                for fault in FAULTS:
                    clients.go_on(300)
                    seconds = fault(pair, servers, clients)
                    if pair.standby is None:
                        pair.add_standby()
                    print(
                        report(pair.primary.url(), clients).line(fault.__name__.replace("_", " "), f"{seconds:.1f} s"),
                        flush=True,
                    )
        return report(pair.primary.url(), clients)
    finally:
        pair.stop()


def main():
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.failover", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often each fault comes (default 3)")
    parser.add_argument("--kills", type=int, default=4, help="how often the primary goes under Patroni (default 4)")
    arguments = parser.parse_args()
    if lacking := [name for name in ("patroni", "etcd") if arguments.kills and not shutil.which(name)]:
        parser.error(f"missing: {', '.join(lacking)}")
    print(HEAD)
    for part, number in (by_hand, arguments.rounds), (with_patroni, arguments.kills):
        if number:
            with ExitStack() as stack:
                folder = stack.enter_context(postgres.folder_for_servers())
                home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                found = part(folder, home, number)
            print(f"{found.refused_but_stored} refused and stored; out of order: {found.violations or 'nothing'}")
            if found.lost or found.refused_but_stored or found.violations:
                raise SystemExit(1)


if __name__ == "__main__":
    main()
