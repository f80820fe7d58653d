"""The files of ``deploy/scale``: what PostgreSQL's client makes of the URL, and nginx of the two servers."""

import contextlib
import re
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import requests
from postgres import binaries
from proxies import free_port, nginx, program
from serving import ROOT

from benchmarks.failover import configuration
from deploymetrics.config.storage_url import check_storage
from deploymetrics.storage.sql.address import Address

SCALE = ROOT / "deploy" / "scale"


def test_the_url_names_three_servers():
    url = re.search(r"DEPLOYMETRICS_STORAGE=\"([^\"]+)\"", (SCALE / "database.conf").read_text())[1]
    check_storage(url)
    assert Address(url).hosts == [(f"10.0.0.{number}", "5432") for number in (21, 22, 23)]
    assert "password" not in Address(url).conninfo()


def test_nginx_takes_the_two_servers(tmp_path):
    upstream = (SCALE / "upstream.conf").read_text()
    server = "server { listen 127.0.0.1:1; location / { proxy_pass http://deploymetrics; } }"
    path = tmp_path / "nginx.conf"
    path.write_text(f"pid {tmp_path}/pid;\nevents {{}}\nhttp {{ access_log off;\n{upstream}\n{server} }}\n")
    done = subprocess.run([program("nginx", "nginx"), "-t", "-e", "stderr", "-c", path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


class Server(BaseHTTPRequestHandler):
    """One of the two; where ``ends`` is set it takes a request and ends without an answer."""

    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.got.append(self.command)
        if not self.server.ends:
            self.send_response(204)
            self.end_headers()

    do_GET = do_POST = do_PUT = do_DELETE = answer

    def log_message(self, *args):
        pass


@contextlib.contextmanager
def served(*, ends=False):
    with HTTPServer(("127.0.0.1", 0), Server) as server:
        server.got, server.ends = [], ends
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        try:
            yield server
        finally:
            server.shutdown()


@contextlib.contextmanager
def before_two(folder, *ports):
    """Run nginx before servers at two ports, and return a function that sends a request and returns the status."""
    upstream = re.sub(r"(?<= max_fails=)1", "0", (SCALE / "upstream.conf").read_text())  # each is tried in its turn
    for address, port in zip(("10.0.0.11:52311", "10.0.0.12:52311"), ports):
        assert address in upstream
        upstream = upstream.replace(address, f"127.0.0.1:{port}")
    port, text = free_port(), (ROOT / "deploy" / "nginx" / "deploymetrics.conf").read_text()
    server = f"server {{ listen 127.0.0.1:{port};\n{text[text.index('    proxy_http_version') :]}"
    with nginx(folder / "nginx", port, upstream + server):
        yield lambda method: requests.request(method, f"http://127.0.0.1:{port}/", data=b"[1]").status_code


def test_nginx_sends_to_the_other_server_what_one_that_is_down_did_not_get(tmp_path):
    with served() as other, before_two(tmp_path, free_port(), other.server_port) as send:
        assert [send(method) for method in ("POST", "GET") * 2] == [204] * 4


def test_nginx_sends_no_write_twice(tmp_path):
    """It may have been stored: the second one would be another version, or be refused by its own precondition."""
    with served(ends=True) as one, served() as other, before_two(tmp_path, one.server_port, other.server_port) as send:
        for method in ("POST", "PUT", "DELETE"):
            assert sorted([send(method), send(method)]) == [204, 502]
        assert one.got == other.got == ["POST", "PUT", "DELETE"]


def test_patroni_takes_its_file(tmp_path):
    here = dict(name="one", api=free_port(), etcd=free_port(), port=free_port(), folder=tmp_path, binaries=binaries())
    path = tmp_path / "patroni.yml"
    path.write_text(configuration(**here))
    command = [program("patroni", "patroni"), "--validate-config", path]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    said = done.stdout.strip().splitlines()
    # What it says of a file for one machine, on which nothing runs yet; make failover starts Patroni with it.
    expected = ("must not contain", "is not reachable", "unix_socket_directories")
    assert said and [line for line in said if not any(text in line for text in expected)] == []
