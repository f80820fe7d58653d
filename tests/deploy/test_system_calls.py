"""The unit for systemd forbids no system call that the server makes: whoever makes a forbidden one is killed."""

import re
import signal
import subprocess

import pytest
from conftest import PASSWORD
from proxies import program
from serving import BIN, ROOT, Served
from waiting import wait_for

from deploymetrics import create_app
from deploymetrics.accounts.service import Role

UNIT = ROOT / "deploy" / "systemd" / "deploymetrics.service"


def members(word):
    """The system calls of a group, such as @chown, with those of the groups in it; else the one that the word names."""
    if not word.startswith("@"):
        return {word}
    command = [program("systemd-analyze", "systemd"), "syscall-filter", word]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return set().union(*(members(line) for line in re.findall(r"^ +([@\w-]+)$", shown, re.MULTILINE)))


def forbidden():
    """What the lines of the unit leave out of all calls, in their order: one with ~ takes away."""
    allowed = set()
    for line in re.findall(r"^SystemCallFilter=(.+)$", UNIT.read_text(), re.MULTILINE):
        named = set().union(*(members(word) for word in line.removeprefix("~").split()))
        allowed = allowed - named if line.startswith("~") else allowed | named
    return members("@known") - allowed


@pytest.mark.slow
@pytest.mark.parametrize("server", ["gunicorn", "granian"])
def test_the_server_makes_none_that_is_forbidden(tmp_path, server):
    create_app(tmp_path / "instance").extensions["deploymetrics"].accounts.add("a", Role.MASTER_OPERATOR, PASSWORD)
    socket, calls = tmp_path / "socket", tmp_path / "calls"
    names = ",".join(f"?{name}" for name in forbidden())  # with ? also those that only other machines have
    # As a daemon strace leaves its place, and the signals, to the server.
    options = (
        "--daemonize",
        "--follow-forks",
        "-qqq",
        "--signal=none",
        "--seccomp-bpf",
        f"--trace={names}",
        "--output",
        str(calls),
    )
    command = (
        program("strace", "strace"),
        *options,
        str(BIN / "deploymetrics"),
        "serve",
        "--server",
        server,
        "--bind",
        f"unix:{socket}",
    )
    served = Served(command, tmp_path, tmp_path / "instance", DEPLOYMETRICS_COLLECT="1")
    wait_for(lambda: "collecting from" in served.log, "the collector")
    url = "http://localhost/api/deploymentmetrics/custom"
    curl = ["curl", "-sSf", "--unix-socket", str(socket), "-u", f"a:{PASSWORD}", url]
    for more in (["-d", "[1]"], [], ["-X", "DELETE"]):
        subprocess.run([*curl, *more], check=True, capture_output=True)
    served.process.send_signal(signal.SIGHUP)
    wait_for(lambda: served.count("exiting") + served.count("Stopping worker") >= 2, "the reload")
    served.end()
    # Of a process that is killed in a call that strace looks at in any case, such as execve, it only writes "???(".
    assert re.findall(r"\w+\(.*", calls.read_text()) == []
