"""Starting and ending the servers that are compared, on loopback, each a process group of its own."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

from deploymetrics import server

WORKERS, THREADS = 2, 4


def free_port():
    """A port on loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def ours(instance):
    """``deploymetrics serve`` on an instance folder; gives (port, process)."""
    port = free_port()
    command = [sys.executable, "-m", "flask", "--app", "deploymetrics", "serve", "--bind", f"127.0.0.1:{port}",
               "--workers", str(WORKERS), "--threads", str(THREADS)]
    with running(command, port, {"DEPLOYMETRICS_INSTANCE": str(instance)}) as process:
        yield port, process


@contextmanager
def baseline(bodies):
    """The bare Flask app under gunicorn with the service's own settings; gives (port, process)."""
    port = free_port()
    settings = {**server.SETTINGS, "bind": f"127.0.0.1:{port}", "workers": WORKERS, "threads": THREADS}
    path = os.path.join(bodies, "gunicorn.conf.py")
    with open(path, "w") as file:
        file.writelines(f"{name} = {value!r}\n" for name, value in settings.items() if not callable(value))
    command = [sys.executable, "-m", "gunicorn", "-c", path, "benchmarks.baselines:app"]
    with running(command, port, {"BASELINE_BODIES": str(bodies)}) as process:
        yield port, process


@contextmanager
def running(command, port, environment):
    """A server process that answers on ``port``; it is ended afterwards."""
    process = subprocess.Popen(
        command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _wait_until_up(port, process)
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(40)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def _wait_until_up(port, process):
    for _ in range(300):
        if process.poll() is not None:
            raise RuntimeError(f"{process.args} ended with {process.returncode}")
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
            connection.request("GET", "/")
            connection.getresponse().read()
            return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"{process.args} does not answer")


def worker_memory(process):
    """The private and shared memory of each worker in MiB (PSS), as the kernel counts it."""
    with open(f"/proc/{process.pid}/task/{process.pid}/children") as file:
        children = file.read().split()
    return [_pss(child) for child in children]


def _pss(pid):
    with open(f"/proc/{pid}/smaps_rollup") as file:
        line = next(line for line in file if line.startswith("Pss:"))
    return int(line.split()[1]) / 1024
