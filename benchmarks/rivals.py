"""Other servers that keep small documents by name, doing the same work as far as they can.

prometheus-pushgateway (Debian) keeps metrics by job in memory, writes them to disk now and then, and knows neither
accounts nor a way to read one job. Kinto (PyPI) keeps JSON records; its memory backend forgets them at its end.
``make bench-rivals`` installs both.
"""

import base64
import http.client
import json
import os
import shutil
import sys
from contextlib import contextmanager

from . import servers

METRIC = "# TYPE number_of_endpoints gauge\n" + "".join(f"number_{n:02d} {n}.5\n" for n in range(64))
KINTO = os.path.join(os.path.dirname(sys.executable), "kinto")
_AUTHORIZATION = "Basic " + base64.b64encode(b"bench:bench").decode()
_JSON = {"Authorization": _AUTHORIZATION, "Content-Type": "application/json"}
_RECORDS = "/v1/buckets/bench/collections/metrics/records"


@contextmanager
def pushgateway(documents, folder, metrics):
    """A running prometheus-pushgateway with so many jobs; gives (port, loads by scenario), or None if not installed."""
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
    with servers.running(command, port, {}):
        _send(port, "POST", [f"/metrics/job/tag{number:05d}" for number in range(documents)], METRIC, {})
        yield (
            port,
            {
                "GET list": dict(path="/api/v1/metrics"),
                "POST": dict(path="/metrics/job/tag%05d", method="POST", body=METRIC, tags=documents),
            },
        )


@contextmanager
def kinto(documents, folder, metrics):
    """A running Kinto with so many records; gives (port, loads by scenario), or None if it is not installed."""
    if not os.path.exists(KINTO):
        print("kinto is skipped: it is not installed (make bench-rivals)")
        yield None
        return
    port = servers.free_port()
    ini = os.path.join(folder, "kinto.ini")
    with open(ini, "w") as file:
        file.write(_INI.format(port=port))
    body = json.dumps({"data": {"metrics": json.loads(metrics)}})
    with servers.running([KINTO, "start", "--ini", ini], port, {}):
        _send(port, "PUT", ["/v1/buckets/bench", "/v1/buckets/bench/collections/metrics"], "{}", _JSON)
        _send(port, "PUT", [f"{_RECORDS}/tag{number:05d}" for number in range(documents)], body, _JSON)
        yield (
            port,
            {
                "GET one": dict(path=f"{_RECORDS}/tag%05d", headers=_JSON, tags=documents),
                "GET list": dict(path=_RECORDS, headers=_JSON),
                "POST": dict(path=f"{_RECORDS}/tag%05d", method="PUT", body=body, headers=_JSON, tags=documents),
            },
        )


RIVALS = {"pushgateway": pushgateway, "kinto": kinto}

_INI = """
[server:main]
use = egg:waitress#main
host = 127.0.0.1
port = {port}
threads = 8

[app:main]
use = egg:kinto
kinto.userid_hmac_secret = of-the-benchmark
kinto.storage_backend = kinto.core.storage.memory
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
