"""What the largest bodies in XML cost: processor time and memory, measured in a process of its own."""

import pytest
from effort import spent

from deploymetrics.formats.xmlbody import read_document

MIB = 1 << 20


@pytest.mark.parametrize(
    "inside",
    ["<null/>", "<a/>", "<string>a</string>", "<map/>", "<!---->", "<a b='", "&amp;", "<![CDATA[]]>", "<a>", "x\n"],
)
def test_a_mebibyte_of_anything_is_read_or_refused_cheaply(inside):
    start = "<BESAPI><DeploymentMetrics><Metrics><array xmlns='http://www.w3.org/2005/xpath-functions'>"
    end = "</array></Metrics></DeploymentMetrics></BESAPI>"
    body = f"{start}{inside * ((MIB - len(start + end)) // len(inside))}{end}".encode()
    seconds, mebibytes = spent(read_document, body, "custom")
    assert seconds < 2 and mebibytes < 50
