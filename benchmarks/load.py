"""Load by wrk: what it is told, and what is read off its report."""

import random
import re
import shutil
import subprocess
import tempfile
from typing import NamedTuple

CONNECTIONS = 16
_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3}
_SCRIPT = """
local bodies = {{ {bodies} }}
local threads = 0
setup = function(thread)
  thread:set("number", {start} + threads * 104729)
  threads = threads + 1
end
request = function()
  number = (number + 7919) % {tags}
  return wrk.format("{method}", string.format("{path}", number), nil, bodies[number % #bodies + 1])
end
"""


class Result(NamedTuple):
    """Requests per second, the median latency in milliseconds, the answers that were not 2xx or 3xx or failed, how many
    requests there were, and the microseconds of processor time that each took, where somebody counted them."""

    rate: float
    p50: float
    errors: int
    number: int
    micros: float = 0.0


def run(port, path, *, seconds, method="GET", body="", bodies=(), headers=None, tags=1, connections=CONNECTIONS):
    """Load ``path`` (with ``%05d`` for the number of a tag) for some seconds and give a Result.

    Each of ``tags`` has its turn, in scattered order, and each thread and each run begins with another one.
    ``bodies`` are sent in turn, for a server that has the name of a tag there.
    """
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is not installed: apt-get install wrk")
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        texts = ", ".join(f"[=[{text}]=]" for text in bodies or [body])
        start = random.randrange(tags)
        script.write(_SCRIPT.format(method=method, bodies=texts, path=path, tags=tags, start=start))
        script.flush()
        command = ["wrk", "-t2", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", script.name]
        for name, value in (headers or {}).items():
            command += ["-H", f"{name}: {value}"]
        command.append(f"http://127.0.0.1:{port}/")
        report = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return Result(_rate(report), _p50(report), _errors(report), _number(report))


def _rate(report):
    return float(re.search(r"Requests/sec:\s+([\d.]+)", report)[1])


def _number(report):
    return int(re.search(r"(\d+) requests in", report)[1])


def _p50(report):
    number, unit = re.search(r"50%\s+([\d.]+)(us|ms|s)", report).groups()
    return float(number) * _UNITS[unit]


def _errors(report):
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", report)
    sockets = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", report)
    return int(failed[1] if failed else 0) + sum(map(int, sockets.groups() if sockets else ()))
