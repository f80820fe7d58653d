"""Checks before ``serve`` listens, so that what cannot work is said in a sentence."""

import errno
import ipaddress
import os
import socket
import stat
import time
from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import SettingError

# Workers whose master was killed listen on for about a second.
_LEAVING_SECONDS = 3.0
_MEANINGS = {
    errno.EADDRINUSE: "another program listens there already",
    errno.EADDRNOTAVAIL: "this machine does not have that address",
    errno.EACCES: "this account may not listen there",
}


def check_address(bind: str) -> None:
    """Raise SettingError unless the address of BIND can be listened on now."""
    if {"GUNICORN_FD", "LISTEN_FDS"} & os.environ.keys():
        return  # the sockets are there already, from systemd or from the server that this one replaces
    deadline = time.monotonic() + _LEAVING_SECONDS
    while True:
        try:
            if bind.startswith("unix:"):
                _check_socket_path(bind.removeprefix("unix:"))
            else:
                host, _, port = bind.rpartition(":")
                with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind((host.strip("[]"), int(port)))
            return
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > deadline:
                meaning = _MEANINGS.get(error.errno or 0) or error.strerror or str(error)
                raise SettingError(f"BIND {bind} cannot be used: {meaning}.") from error
        time.sleep(0.1)


def risks(settings: Mapping[str, Any]) -> Iterator[str]:
    """Yield a warning for the log about each risk in the settings, or of running as root."""
    if not (is_local(settings["BIND"]) or settings["CERTFILE"] or settings["PROXIES"]):
        yield (
            "Passwords can be read on the way: others reach this address, and it has no TLS."
            " Set CERTFILE and KEYFILE, or PROXIES where a reverse proxy has TLS."
        )
    if os.geteuid() == 0:
        yield "This is root, whose rights the server does not need; give it an account of its own."


def is_local(bind: str) -> bool:
    """Return True if an address can be reached from this machine only."""
    host = bind.rpartition(":")[0].strip("[]")
    if bind.startswith("unix:") or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check_socket_path(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except FileNotFoundError:
            folder = os.path.dirname(path) or "."
            if not os.path.isdir(folder):
                raise OSError(errno.ENOENT, "there is no such folder") from None
            if not os.access(folder, os.W_OK | os.X_OK, effective_ids=True):
                raise OSError(errno.EACCES, "") from None
        except ConnectionRefusedError:  # what a server left that was killed, if it is a socket
            if not stat.S_ISSOCK(os.stat(path).st_mode):
                raise OSError(errno.EEXIST, "there is a file, which is not a socket") from None
        else:
            raise OSError(errno.EADDRINUSE, "")
