"""What others notice while strangers hold on: ``python -m benchmarks.strangers``, with nginx in front if it is there.

500 connections send a head or a body byte by byte, and 500 say nothing; whoever is sent away comes back. Meanwhile one
client reads a document, on a new connection each time.
"""

import argparse
import contextlib
import http.client
import selectors
import shutil
import socket
import statistics
import tempfile
import threading
import time
from pathlib import Path

from .filling import AUTHORIZATION, ONE, fill
from .servers import free_port, ours, running

SLOW, SILENT, READS, PAUSE = 500, 500, 300, 0.05
_HEAD = b"POST /api/deploymentmetrics/x HTTP/1.1\r\nHost: a\r\nX-Slow: "
_BODY = b"POST /api/deploymentmetrics/x HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n"
_NGINX = """
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/log;
events {{ worker_connections 4096; }}
http {{ access_log off; client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
uwsgi_temp_path {folder}; scgi_temp_path {folder};
upstream ours {{ server 127.0.0.1:{port}; keepalive 16; }}
server {{ listen 127.0.0.1:{front}; location / {{ proxy_pass http://ours; proxy_http_version 1.1;
proxy_set_header Connection ""; }} }} }}
"""


class Crowd:
    """Connections that hold on to a port, in a thread."""

    def __init__(self, port, silent, slow):
        self.port, self.came_back = port, 0
        self.selector = selectors.DefaultSelector()
        self.goes_on = True
        for number in range(silent + slow):
            self.connect(None if number < silent else (_HEAD if number % 2 else _BODY))
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def connect(self, begins):
        client = socket.create_connection(("127.0.0.1", self.port))
        client.setblocking(False)
        if begins:
            client.send(begins)
        self.selector.register(client, selectors.EVENT_READ, begins)

    def run(self):
        while self.goes_on:
            for key in list(self.selector.get_map().values()):
                if key.data:
                    with contextlib.suppress(OSError):
                        key.fileobj.send(b"1")
            until = time.monotonic() + 1
            while (left := until - time.monotonic()) > 0:
                for key, _ in self.selector.select(left):
                    self.selector.unregister(key.fileobj)
                    key.fileobj.close()
                    self.came_back += 1
                    self.connect(key.data)

    def end(self):
        self.goes_on = False
        self.thread.join()
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()


def times(port):
    """How long each of some reads took, in milliseconds, shortest first."""
    found = []
    for _ in range(READS):
        start = time.perf_counter()
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        client.request("GET", ONE % 0, headers={"Authorization": AUTHORIZATION})
        answer = client.getresponse()
        answer.read()
        client.close()
        if answer.status != 200:
            raise SystemExit(f"A read was answered with {answer.status}.")
        found.append((time.perf_counter() - start) * 1000)
        time.sleep(PAUSE)
    return sorted(found)


def measure(name, port):
    """Print how long reads took, alone and beside the crowd."""
    for silent, slow in ((0, 0), (SILENT, SLOW)):
        crowd = Crowd(port, silent, slow)
        try:
            found = times(port)
        finally:
            crowd.end()
        p50, p99 = statistics.median(found), found[int(len(found) * 0.99) - 1]
        print(f"{name}, {silent} silent, {slow} slow: p50 {p50:.1f} ms, p99 {p99:.1f} ms, longest {found[-1]:.1f} ms;")
        print(f"    connections that were ended and came back: {crowd.came_back}", flush=True)


def main():
    argparse.ArgumentParser(description=__doc__.partition("\n")[0]).parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fill(folder / "instance", 1)
        with ours(folder / "instance") as (port, _):
            measure("straight", port)
            if shutil.which("nginx"):
                front = free_port()
                (folder / "nginx.conf").write_text(_NGINX.format(folder=folder, port=port, front=front))
                with running(["nginx", "-c", str(folder / "nginx.conf")], front, {}):
                    measure("through nginx", front)


if __name__ == "__main__":
    main()
