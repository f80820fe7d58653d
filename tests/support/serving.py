"""Real servers for tests: a process that is ended with its fixture, and waits that have a deadline."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from launching import ROOT, Launched
from waiting import SECONDS, wait_for

BIN = Path(sys.executable).parent


def make_certificate(folder):
    """The paths of a certificate for 127.0.0.1 and of its key."""
    paths = [str(folder / name) for name in ("cert.pem", "key.pem")]
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-out",
            paths[0],
            "-keyout",
            paths[1],
            "-days",
            "2",
            "-subj",
            "/CN=127.0.0.1",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
        ],
        check=True,
        capture_output=True,
    )
    return paths


class Served:
    """A server process: its address, its output, and signals to it.

    ``deploymetrics`` as the command is forked from a process that has imported it; others start as they do.
    """

    def __init__(self, command, folder, instance, **environment):
        self.paths = folder / "stdout", folder / "stderr"
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("DEPLOYMETRICS_")},
            "DEPLOYMETRICS_INSTANCE": str(instance),
            "DEPLOYMETRICS_COLLECT": "0",
            "PYTHONUNBUFFERED": "1",
            **environment,
        }
        with open(self.paths[0], "w") as out, open(self.paths[1], "w") as log:
            options = {"cwd": ROOT, "env": environment, "stdout": out, "stderr": log}
            if command[0] == "deploymetrics":
                self.process = Launched(command[1:], **options)
            else:
                command = [str(BIN / command[0]), *command[1:]]
                self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, **options)

    @property
    def out(self):
        return self.paths[0].read_text()

    @property
    def log(self):
        return self.paths[1].read_text()

    def started(self):
        """Itself, once it listens; ``url`` is then where."""

        def listens():
            assert self.process.poll() is None, self.out + self.log
            return re.search(r"(?:Listening at:|Running on) (https?://127\.0\.0\.1:\d+)", self.log + self.out)

        self.url = wait_for(listens, "the server to listen")[1]
        self.port = int(self.url.rpartition(":")[2])
        return self

    def workers(self):
        """The process ids of its children, once there are two that answer (the collector is off)."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return wait_for(lambda: len(found := path.read_text().split()) == 2 and found, "two workers")

    def count(self, words):
        """How often the log has the words."""
        return self.log.count(words)

    def stop(self, number=signal.SIGTERM):
        """The exit code after a signal."""
        self.process.send_signal(number)
        return self.process.wait(SECONDS)

    def end(self):
        """End it, however it is."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if isinstance(self.process, subprocess.Popen):  # of granian by hand a worker may go on
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
