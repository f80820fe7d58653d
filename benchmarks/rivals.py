"""Other servers that keep small documents by name, doing the same work as far as they can.

etcd (Debian) keeps values by key, syncs each write, and is asked by JSON over HTTP, without accounts. Kinto (PyPI)
keeps JSON records; its memory backend forgets them at its end, and KINTO_STORAGE can name a PostgreSQL database in its
place.
prometheus-pushgateway (Debian) keeps metrics by job in memory, writes them to disk now and then, and knows neither
accounts nor a way to read one job. ``make bench-rivals`` installs all three.
"""

import base64
import http.client
import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager

from . import servers

METRIC = "# TYPE number_of_endpoints gauge\n" + "".join(f"number_{n:02d} {n}.5\n" for n in range(64))
KINTO = shutil.which("kinto", path=f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}")
KINTO_STORAGE = os.environ.get("KINTO_STORAGE", "")
_AUTHORIZATION = "Basic " + base64.b64encode(b"bench:bench").decode()
_JSON = {"Authorization": _AUTHORIZATION, "Content-Type": "application/json"}
#: So many keys of etcd are loaded, since each is a body of its own.
MOST_BODIES = 100
MOST_JOBS = 100
_RECORDS = "/v1/buckets/bench/collections/metrics/records"


@contextmanager
def etcd(documents, folder, metrics):
    """A running etcd with so many keys; gives (port, process, loads by scenario), or None if it is not installed."""
    if shutil.which("etcd") is None:
        print("etcd is skipped: it is not installed (make bench-rivals)")
        yield None
        return
    port, peers = servers.free_port(), servers.free_port()
    url, peer_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peers}"
    command = [
        "etcd",
        f"--data-dir={folder}/etcd",
        f"--listen-client-urls={url}",
        f"--advertise-client-urls={url}",
        f"--listen-peer-urls={peer_url}",
        f"--initial-advertise-peer-urls={peer_url}",
        f"--initial-cluster=default={peer_url}",
        "--log-level=error",
    ]
    keys = [_base64(f"tag{number:05d}") for number in range(min(documents, MOST_BODIES))]
    put = [json.dumps({"key": key, "value": _base64(metrics)}) for key in keys]
    ranges = [json.dumps({"key": key}) for key in keys]
    everything = json.dumps({"key": _base64("tag"), "range_end": _base64("tah")})
    with servers.running(command, port, {}) as process:
        for number in range(documents):
            key = _base64(f"tag{number:05d}")
            _send(port, "POST", ["/v3/kv/put"], json.dumps({"key": key, "value": _base64(metrics)}), {})
        asked = dict(path="/v3/kv/range", method="POST")
        stored = dict(path="/v3/kv/put", method="POST")
        yield (
            port,
            process,
            {
                "GET one": dict(**asked, bodies=ranges, tags=len(keys)),
                "GET list": dict(**asked, body=everything),
                "POST": dict(**stored, bodies=put, tags=len(keys)),
                "POST, one tag": dict(**stored, body=put[0]),
            },
        )


def _base64(text):
    return base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


@contextmanager
def pushgateway(documents, folder, metrics):
    """A running prometheus-pushgateway with so many jobs; gives what ``etcd`` does."""
    if documents > MOST_JOBS:
        print(f"prometheus-pushgateway is skipped: to fill it with more than {MOST_JOBS} jobs takes minutes")
        yield None
        return
    if shutil.which("prometheus-pushgateway") is None:
        print("prometheus-pushgateway is skipped: it is not installed (make bench-rivals)")
        yield None
        return
    port = servers.free_port()
    command = [
        "prometheus-pushgateway",
        f"--web.listen-address=127.0.0.1:{port}",
        f"--persistence.file={folder}/pushgateway",
    ]
    with servers.running(command, port, {}) as process:
        _send(port, "POST", [f"/metrics/job/tag{number:05d}" for number in range(documents)], METRIC, {})
        yield (
            port,
            process,
            {
                "GET list": dict(path="/api/v1/metrics"),
                "POST": dict(path="/metrics/job/tag%05d", method="POST", body=METRIC, tags=documents),
            },
        )


@contextmanager
def kinto(documents, folder, metrics):
    """A running Kinto with so many records; gives what ``etcd`` does."""
    if KINTO is None:
        print("kinto is skipped: it is not installed (make bench-rivals)")
        yield None
        return
    port = servers.free_port()
    ini = os.path.join(folder, "kinto.ini")
    backend, storage = ("postgresql", f"kinto.storage_url = {KINTO_STORAGE}") if KINTO_STORAGE else ("memory", "")
    with open(ini, "w") as file:
        file.write(_INI.format(port=port, backend=backend, storage=storage))
    if KINTO_STORAGE:
        subprocess.run([KINTO, "migrate", "--ini", ini], check=True)
    body = json.dumps({"data": {"metrics": json.loads(metrics)}})
    with servers.running([KINTO, "start", "--ini", ini], port, {}) as process:
        _send(port, "PUT", ["/v1/buckets/bench", "/v1/buckets/bench/collections/metrics"], "{}", _JSON)
        _send(port, "PUT", [f"{_RECORDS}/tag{number:05d}" for number in range(documents)], body, _JSON)
        yield (
            port,
            process,
            {
                "GET one": dict(path=f"{_RECORDS}/tag%05d", headers=_JSON, tags=documents),
                "GET list": dict(path=_RECORDS, headers=_JSON),
                "POST": dict(path=f"{_RECORDS}/tag%05d", method="PUT", body=body, headers=_JSON, tags=documents),
            },
        )


RIVALS = {"etcd": etcd, "kinto": kinto, "pushgateway": pushgateway}

_INI = """
[server:main]
use = egg:waitress#main
host = 127.0.0.1
port = {port}
threads = 8

[app:main]
use = egg:kinto
kinto.userid_hmac_secret = of-the-benchmark
kinto.storage_backend = kinto.core.storage.{backend}
{storage}
kinto.cache_backend = kinto.core.cache.memory
kinto.permission_backend = kinto.core.permission.memory
kinto.bucket_create_principals = system.Authenticated
multiauth.policies = basicauth
kinto.paginate_by = 100000
kinto.storage_max_fetch_size = 100000

[loggers]
keys = root
[handlers]
keys = none
[formatters]
keys =
[logger_root]
level = ERROR
handlers = none
[handler_none]
class = NullHandler
args = ()
"""


def _send(port, method, paths, body, headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    for path in paths:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status}")
