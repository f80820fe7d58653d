"""Reverse proxies for tests: nginx and Caddy in front of a server, each a process that is ended with its fixture."""

import contextlib
import os
import shutil
import socket
import subprocess

import pytest
from waiting import wait_for


def program(name, package):
    """Return the path of a program; without it the test is skipped, and fails in CI."""
    path = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    if not path:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{name} is missing (Debian: apt-get install {package})")
    return path


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


NGINX = """
daemon off; pid {folder}/nginx.pid; error_log stderr; worker_processes 1; {user}
events {{ worker_connections 1024; }}
http {{
    include /etc/nginx/mime.types;
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
{text}
}}
"""


@contextlib.contextmanager
def nginx(folder, port, text):
    """Run nginx with ``text`` in its ``http`` block, which has it listen on the port, until the end of the block."""
    path = program("nginx", "nginx-light")
    folder.mkdir(exist_ok=True)
    config = folder / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""  # else its workers cannot reach a test's folder
    config.write_text(NGINX.format(folder=folder, user=user, text=text))
    with _running([path, "-c", str(config), "-e", "stderr"], folder, port):
        yield


@contextlib.contextmanager
def caddy(folder, port, text):
    """Run Caddy with a Caddyfile, which has it listen on the port, until the end of the block."""
    path = program("caddy", "caddy")
    folder.mkdir(exist_ok=True)
    (folder / "Caddyfile").write_text(text)
    command = [path, "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]
    with _running(command, folder, port, HOME=str(folder), XDG_DATA_HOME=str(folder), XDG_CONFIG_HOME=str(folder)):
        yield


@contextlib.contextmanager
def _running(command, folder, port, **environment):
    with open(folder / "log", "w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | environment)

    def listens():
        assert process.poll() is None, (folder / "log").read_text()
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return True

    try:
        wait_for(listens, command[0])
        yield
    finally:
        process.terminate()
        process.wait(10)
