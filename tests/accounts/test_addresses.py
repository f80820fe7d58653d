"""The one form of a client's address."""

import pytest

from deploymetrics.accounts.addresses import canonical_address

CASES = [
    ("192.0.2.1", "192.0.2.1"),
    (" 192.0.2.1 ", "192.0.2.1"),
    ("192.0.2.1:40001", "192.0.2.1"),
    ("::ffff:192.0.2.1", "192.0.2.1"),
    ("::FFFF:C000:0201", "192.0.2.1"),
    ("[::ffff:192.0.2.1]:40001", "192.0.2.1"),
    ("::ffff:192.0.2.1:40001", "192.0.2.1"),
    ("::ffff:192.0.2.1%eth0", "192.0.2.1"),
    ("2001:DB8:0:0::1", "2001:db8::1"),
    ("[2001:db8::1]", "2001:db8::1"),
    ("[2001:db8::1]:40001", "2001:db8::1"),
    ("fe80::1%eth0", "fe80::1"),
    ("[fe80::1%25eth0]:80", "fe80::1"),
    ("::1", "::1"),
    ("", ""),
    ("-", ""),
    ("unknown", ""),
    ("_hidden:80", ""),
    ("[", ""),
    ("host.example:80", ""),
    ("192.0.2.01", ""),
    ("1.2.3", ""),
    ("192.0.2.1\n", "192.0.2.1"),
    ("192.0.2.1 evil", ""),
    ("\x00", ""),
    ("１.2.3.4", ""),
]


@pytest.mark.parametrize(("text", "address"), CASES)
def test_canonical_address(text, address):
    assert canonical_address(text) == address
    assert canonical_address(address) == address
