"""What the largest bodies in XML cost: processor time and memory, measured in a process of its own."""

import subprocess
import sys

import pytest

MIB = 1 << 20
COST = """
import resource, sys, time
from deploymetrics.errors import BadRequest
from deploymetrics.formats import xmlbody

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

body = sys.stdin.buffer.read()
before, start = peak(), time.process_time()
try:
    xmlbody.read_document(body, "custom")
except BadRequest:
    pass
print(time.process_time() - start, (peak() - before) / 1024)
"""


@pytest.mark.parametrize(
    "inside",
    ["<null/>", "<a/>", "<string>a</string>", "<map/>", "<!---->", "<a b='", "&amp;", "<![CDATA[]]>", "<a>", "x\n"],
)
def test_a_mebibyte_of_anything_is_read_or_refused_cheaply(inside):
    start = "<BESAPI><DeploymentMetrics><Metrics><array xmlns='http://www.w3.org/2005/xpath-functions'>"
    end = "</array></Metrics></DeploymentMetrics></BESAPI>"
    body = f"{start}{inside * ((MIB - len(start + end)) // len(inside))}{end}".encode()
    done = subprocess.run([sys.executable, "-c", COST], input=body, capture_output=True, check=True)
    seconds, mebibytes = map(float, done.stdout.split())
    assert seconds < 2 and mebibytes < 50
