"""What a request can make the server spend, measured in a process of its own: processor time and memory."""

import subprocess
import sys
from pathlib import Path

_BEGIN = """
import os, resource, sys, tempfile, time
from deploymetrics import create_app
from deploymetrics.accounts.service import Role
folder = tempfile.TemporaryDirectory()
app = create_app(folder.name + "/instance", {"PROXIES": 1, "PROXY_PREFIX": True, "CORS_ORIGINS": ["https://a"],
    "GUESSES_PER_ADDRESS": 100_000, "GUESSES": 1000})
services = app.extensions["deploymetrics"]
services.accounts.add("master", Role.MASTER_OPERATOR, "correct horse battery")
client = app.test_client(use_cookies=False)
SIZE, LIMIT = 8000, 0.02
"""
_HEADERS = (
    _BEGIN
    + """
PATTERNS = ["a/b" + "\\t" * SIZE + "b", " " * SIZE, "," * SIZE, ";" * SIZE, '"' * SIZE, "\\\\" * SIZE,
    'a/b;c="' + "\\\\" * SIZE, "a/b;q=" + "1" * SIZE, "a/b;" + "a=b;" * (SIZE // 4), "a/b," * (SIZE // 4),
    'W/"a" , ' * (SIZE // 8), "W/" * (SIZE // 2), "a" + " " * SIZE + "b", '"a"' + " " * SIZE + "b", "*" * SIZE,
    "a=" * (SIZE // 2), "(" * SIZE, "Fri, " * (SIZE // 5), "Basic " + "=" * SIZE, "Bearer " + "a." * (SIZE // 2),
    "/a" * (SIZE // 2), "[" * SIZE, "1." * (SIZE // 2), "%" * SIZE, "bytes=" + "0-1," * (SIZE // 4), "9" * SIZE]
NAMES = ["Accept", "Accept-Language", "Access-Control-Request-Headers", "Access-Control-Request-Method",
    "Authorization", "Cache-Control", "Content-Encoding", "Content-Type", "Cookie", "Expect", "Forwarded", "Host",
    "If-Match", "If-Modified-Since", "If-None-Match", "If-Range", "If-Unmodified-Since", "Origin", "Range", "Referer",
    "Sec-Fetch-Dest", "Sec-Fetch-Mode", "Sec-Fetch-Site", "SessionToken", "Transfer-Encoding", "Traceparent",
    "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Prefix", "X-Forwarded-Proto", "X-Request-ID"]
WAYS = [("GET", "/api/deploymentmetrics/x"), ("OPTIONS", "/api/login"), ("GET", "/login"), ("POST", "/new")]

def cost(name, pattern, method, path, tries=2):
    start = time.process_time()
    client.open(path, method=method, headers={name: pattern}).close()
    seconds = time.process_time() - start
    if seconds > LIMIT and tries > 1:  # it may have loaded something
        return cost(name, pattern, method, path, tries - 1)
    return seconds

for method, path in WAYS:
    client.open(path, method=method).close()
for name in NAMES:
    for pattern in PATTERNS:
        for method, path in WAYS:
            print(f"{cost(name, pattern, method, path):.4f} {name} {pattern[:9]!r} {method} {path}")
"""
)
_BOMBS = (
    _BEGIN
    + """
auth = {"auth": ("master", "correct horse battery")}
URL = "/api/deploymentmetrics/bomb"
M = 2**20 - 100
XML = {"content_type": "application/xml"}
FORM = {"content_type": "application/x-www-form-urlencoded"}
def xml(metrics, begin=""):
    return f"{begin}<BESAPI><DeploymentMetrics><Metrics>{metrics}</Metrics></DeploymentMetrics></BESAPI>"
LAUGHS = "<!DOCTYPE a [<!ENTITY a 'ha'>" + "".join(
    f"<!ENTITY {chr(98 + n)} '{('&' + chr(97 + n) + ';') * 10}'>" for n in range(12)) + "]>"
NS = "xmlns='http://www.w3.org/2005/xpath-functions'"
BOMBS = {
    "nothing": ("POST", URL, dict(data="1", **auth)),
    "deep arrays": ("POST", URL, dict(data="[" * M, **auth)),
    "deep objects": ("POST", URL, dict(data='{"a":' * (M // 5), **auth)),
    "a long number": ("POST", URL, dict(data="1" * M, **auth)),
    "a large exponent": ("POST", URL, dict(data="1E" + "9" * (M - 9), **auth)),
    "many small values": ("POST", URL, dict(data="[" + "1," * (M // 2 - 9) + "1]", **auth)),
    "one name many times": ("POST", URL, dict(data="{" + '"a":1,' * (M // 6 - 9) + '"a":1}', **auth)),
    "escapes": ("POST", URL, dict(data='"' + "\\\\u0000" * (M // 6) + '"', **auth)),
    "lone surrogates": ("POST", URL, dict(data='"' + "\\\\ud800" * (M // 6) + '"', **auth)),
    "white space": ("POST", URL, dict(data=" " * M, **auth)),
    "broken UTF-8": ("POST", URL, dict(data=b'"' + b"\\xff" * M + b'"', **auth)),
    "laughs": ("POST", URL, dict(data=xml("&m;", LAUGHS), **XML, **auth)),
    "an external entity": ("POST", URL, dict(
        data=xml("&a;", "<!DOCTYPE a [<!ENTITY a SYSTEM 'file:///dev/zero'>]>"), **XML, **auth)),
    "deep elements": ("POST", URL, dict(data=xml("<array>" * (M // 8)), **XML, **auth)),
    "many attributes": ("POST", URL, dict(
        data=xml("<null " + " ".join(f"a{n}='1'" for n in range(M // 13)) + "/>"), **XML, **auth)),
    "many namespaces": ("POST", URL, dict(
        data=xml("<null " + " ".join(f"xmlns:a{n}='u{n}'" for n in range(M // 21)) + "/>"), **XML, **auth)),
    "many elements": ("POST", URL, dict(data=xml(f"<array {NS}>" + "<null/>" * (M // 8) + "</array>"), **XML, **auth)),
    "references": ("POST", URL, dict(data=xml("&#65;" * (M // 6)), **XML, **auth)),
    "comments": ("POST", URL, dict(data=xml("<!---->" * (M // 8)), **XML, **auth)),
    "many fields": ("POST", "/login", dict(data="a=1&" * (2**14 - 2), **FORM)),
    "many parts": ("POST", "/login", dict(data="--x\\r\\n" * 9000, content_type="multipart/form-data; boundary=x")),
    "a part's head": ("POST", "/login", dict(
        data="--x\\r\\nA: " + "a;" * 30_000, content_type="multipart/form-data; boundary=x")),
    "a long boundary": ("POST", "/login", dict(
        data="-" * 60_000, content_type="multipart/form-data; boundary=" + "-" * 7000)),
    "a form too large": ("POST", "/new", dict(data="a=" + "&" * 8_000_000, **FORM)),
    "a form to give back": ("POST", "/new", dict(data="a=" + "%26" * 21_000, **FORM)),
    "many arguments": ("GET", "/api/help?" + "a=1&" * 1000, auth),
    "percent signs": ("GET", "/api/deploymentmetrics/" + "%25" * 1300, auth),
    "slashes": ("GET", "/api/" + "/" * 3900, {}),
    "many cookies": ("GET", "/", dict(headers={"Cookie": "a=1;" * 2000})),
    "a long session": ("GET", "/", dict(headers={"Cookie": "deploymetrics=" + "." + "A" * 8000})),
    "a compressed session": ("GET", "/", dict(headers={"Cookie": "deploymetrics=.eJ" + "A" * 8000 + ".a.b"})),
    "a long password": ("GET", "/api/login", dict(headers={"Authorization": "Basic " + "QTpB" * 2000})),
}
for method, path, options in BOMBS.values():
    client.open(path, method=method, **(options | {"data": "1"} if "data" in options else options)).close()
for name, (method, path, options) in BOMBS.items():
    if os.fork() == 0:
        before = resource.getrusage(resource.RUSAGE_SELF)
        answer = client.open(path, method=method, **options)
        size = len(answer.data)
        after = resource.getrusage(resource.RUSAGE_SELF)
        seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        mebibytes = (after.ru_maxrss - before.ru_maxrss) / 1024
        print(f"{seconds:.3f} {mebibytes:.1f} {answer.status_code} {size} {name}", flush=True)
        os._exit(0)
    os.wait()
"""
)


def lines_of(program):
    """What a program prints, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=Path(__file__).parents[2]
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()


def test_no_header_costs_more_than_its_length():
    """20 ms of processor time: 8,000 characters are read in 2, and a careless parser takes 300."""
    lines = lines_of(_HEADERS)
    assert len(lines) > 3000
    assert [line for line in lines if float(line.split()[0]) > 0.02] == []


def test_no_bomb_costs_a_second_or_50_mebibytes():
    lines = lines_of(_BOMBS)
    assert len(lines) > 30
    for line in lines:
        seconds, mebibytes, status, size, _ = line.split(" ", 4)
        assert float(seconds) < 1 and float(mebibytes) < 50 and int(status) < 500 and int(size) < 2**21, line
