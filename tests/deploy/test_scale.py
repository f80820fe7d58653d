"""The files of ``deploy/scale``: what PostgreSQL's client makes of the URL, and nginx of the two servers."""

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


class Other(BaseHTTPRequestHandler):
    """The server that goes on while the first one is upgraded."""

    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(204)
        self.end_headers()

    do_POST = do_GET

    def log_message(self, *args):
        pass


def test_nginx_sends_to_the_other_server_what_one_that_is_down_did_not_get(tmp_path):
    port, location = free_port(), (ROOT / "deploy" / "nginx" / "deploymetrics.conf").read_text()
    directive = re.search(r"proxy_next_upstream .*;", location)[0]
    with HTTPServer(("127.0.0.1", 0), Other) as other:
        threading.Thread(target=other.serve_forever).start()
        servers = {"10.0.0.11:52311": f"127.0.0.1:{free_port()}", "10.0.0.12:52311": f"127.0.0.1:{other.server_port}"}
        upstream = (SCALE / "upstream.conf").read_text()
        for theirs, ours in servers.items():
            upstream = upstream.replace(theirs, ours)
        server = f"server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://deploymetrics; {directive} }} }}"
        try:
            with nginx(tmp_path / "nginx", port, upstream + server):
                for method in ("POST", "GET") * 2:
                    assert requests.request(method, f"http://127.0.0.1:{port}/", data=b"[1]").status_code == 204
        finally:
            other.shutdown()


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
