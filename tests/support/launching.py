"""Processes that are forked from one that has imported the package, which spares each of them most of its start.

That one is a fresh interpreter, so nothing that a test changes in its own reaches them.
"""

import gc
import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

from hashing import hash_quickly
from waiting import SECONDS

from deploymetrics.cli import main

ROOT = Path(__file__).resolve().parents[2]
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(
    [
        "deploymetrics.cli",
        "deploymetrics.server.master",
        "deploymetrics.server.granian_worker",
        "deploymetrics.storage.sql",
    ]
)


def forked(target, *args):
    """Return a process, not started yet, that calls ``target`` in the environment that this one has now."""
    return PROCESSES.Process(target=_call, args=(dict(os.environ), target, args))


def _call(environment, target, args):
    gc.freeze()  # else the first collection copies all pages that are shared until then
    os.environ.clear()
    os.environ.update(environment)
    target(*args)


class Launched:
    """``deploymetrics`` with arguments as a process; of subprocess.Popen it has what tests use."""

    def __init__(self, arguments, *, cwd, env, stdout, stderr, start_new_session=False):
        arguments = list(map(str, arguments))
        self._process = PROCESSES.Process(
            target=_call, args=(dict(env), _run, (arguments, str(cwd), stdout.name, stderr.name, start_new_session))
        )
        self._process.start()
        self.pid = self._process.pid
        while start_new_session and self.poll() is None and os.getpgid(self.pid) != self.pid:
            time.sleep(0.001)

    @property
    def returncode(self):
        return self._process.exitcode

    def poll(self):
        """Return the exit code, None while it runs."""
        return self._process.exitcode

    def wait(self, timeout=None):
        """Return the exit code, once it has ended."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("deploymetrics", timeout)
        return self._process.exitcode

    def send_signal(self, number):
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self):
        self._process.terminate()

    def kill(self):
        self._process.kill()


def run(arguments, env, folder):
    """Run ``deploymetrics`` in the checkout until it ends: ``returncode``, and what it wrote to files in ``folder``."""
    with open(folder / "stdout", "w+") as out, open(folder / "stderr", "w+") as errors:
        process = Launched(arguments, cwd=ROOT, env=env, stdout=out, stderr=errors)
        return SimpleNamespace(returncode=process.wait(SECONDS), stdout=out.read(), stderr=errors.read())


def _run(arguments, folder, out, log, is_new_session):
    if is_new_session:
        os.setsid()
    os.chdir(folder)
    sys.path[:0] = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    for number, path in (1, out), (2, log):
        os.dup2(os.open(path, os.O_WRONLY | os.O_APPEND), number)
    for stream in sys.stdout, sys.stderr:
        stream.reconfigure(write_through=True)
    sys.argv = ["deploymetrics", *arguments]
    hash_quickly()
    main(arguments, prog_name="deploymetrics")
