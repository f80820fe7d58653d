"""Starting and ending the servers that are compared, on loopback, each a process group of its own."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress

from deploymetrics.server import master

WORKERS, THREADS = 2, 4


def free_port():
    """A port on loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def ours(instance, server="gunicorn"):
    """``deploymetrics serve`` with one of its servers on an instance folder; gives (port, process)."""
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "flask",
        "--app",
        "deploymetrics",
        "serve",
        "--server",
        server,
        "--bind",
        f"127.0.0.1:{port}",
        "--workers",
        str(WORKERS),
        "--threads",
        str(THREADS),
    ]
    # The collector would add a document to those that are measured.
    environment = {"DEPLOYMETRICS_INSTANCE": str(instance), "DEPLOYMETRICS_COLLECT": "false"}
    with running(command, port, environment) as process:
        yield port, process


@contextmanager
def baseline(bodies):
    """The bare Flask app under gunicorn's own threads, without an access log; gives (port, process)."""
    plain = dict(worker_class="gthread", logger_class="gunicorn.glogging.Logger", accesslog=None)
    with gunicorn("benchmarks.baselines:app", bodies, {"BASELINE_BODIES": str(bodies)}, **plain) as found:
        yield found


@contextmanager
def gunicorn(app, folder, environment, **others):
    """An app under gunicorn with the settings of ``serve`` but for ``others``; gives (port, process)."""
    port = free_port()
    settings = {**master.SETTINGS, "bind": f"127.0.0.1:{port}", "workers": WORKERS, "threads": THREADS, **others}
    path = os.path.join(folder, f"gunicorn{port}.conf.py")
    with open(path, "w") as file:
        file.writelines(f"{name} = {value!r}\n" for name, value in settings.items() if not callable(value))
    with running([sys.executable, "-m", "gunicorn", "-c", path, app], port, environment) as process:
        yield port, process


@contextmanager
def nginx(upstream, folder):
    """nginx in front of a port, keeping connections alive on both sides; gives its port."""
    port = free_port()
    path = os.path.join(folder, f"nginx{port}.conf")
    with open(path, "w") as file:
        file.write(_NGINX % {"port": port, "upstream": upstream, "folder": folder})
    with running(["nginx", "-e", "stderr", "-c", path], port, {}):
        yield port


_NGINX = """
daemon off;
worker_processes 2;
pid %(folder)s/nginx%(port)s.pid;
events { worker_connections 256; }
http {
    access_log off;
    client_body_temp_path %(folder)s/body%(port)s;
    proxy_temp_path %(folder)s/proxy%(port)s;
    fastcgi_temp_path %(folder)s/fastcgi%(port)s;
    uwsgi_temp_path %(folder)s/uwsgi%(port)s;
    scgi_temp_path %(folder)s/scgi%(port)s;
    upstream service { server 127.0.0.1:%(upstream)s; keepalive 16; }
    server {
        listen 127.0.0.1:%(port)s;
        keepalive_requests 1000000;
        location / {
            proxy_pass http://service;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
        }
    }
}
"""


@contextmanager
def running(command, port, environment):
    """A server process that answers on ``port``; it is ended afterwards."""
    process = subprocess.Popen(
        command,
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
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
    for _ in range(3000):
        if process.poll() is not None:
            raise RuntimeError(f"{process.args} ended with {process.returncode}")
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
            connection.request("GET", "/")
            connection.getresponse().read()
            return
        except OSError:
            time.sleep(0.01)
    raise RuntimeError(f"{process.args} does not answer")


def processor_seconds(process):
    """The processor time that a process and those that it started took so far."""
    ticks = 0
    for pid in _family(process.pid):
        with suppress(OSError), open(f"/proc/{pid}/stat") as file:
            user, system = file.read().rpartition(")")[2].split()[11:13]
            ticks += int(user) + int(system)
    return ticks / os.sysconf("SC_CLK_TCK")


def _family(pid):
    yield pid
    with suppress(OSError), open(f"/proc/{pid}/task/{pid}/children") as file:
        for child in file.read().split():
            yield from _family(child)


def worker_memory(process):
    """The private and shared memory of each worker in MiB (PSS), as the kernel counts it."""
    return [_pss(worker) for worker in _workers(process)]


def _workers(process):
    with open(f"/proc/{process.pid}/task/{process.pid}/children") as file:
        return file.read().split()


def _pss(pid):
    with open(f"/proc/{pid}/smaps_rollup") as file:
        line = next(line for line in file if line.startswith("Pss:"))
    return int(line.split()[1]) / 1024
