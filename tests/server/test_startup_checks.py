"""What is checked before the server listens, and what the log warns of then."""

import os

import pytest

from deploymetrics.server.startup_checks import risks

NO_TLS = {"BIND": "0.0.0.0:52311", "CERTFILE": "", "PROXIES": 0}


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({}, "no TLS"),
        ({"BIND": "[::]:52311"}, "no TLS"),
        ({"BIND": "10.1.2.3:52311"}, "no TLS"),
        ({"BIND": "metrics.example:52311"}, "no TLS"),
        ({"BIND": "127.0.0.1:52311"}, ""),
        ({"BIND": "[::1]:52311"}, ""),
        ({"BIND": "localhost:52311"}, ""),
        ({"BIND": "unix:/run/deploymetrics.sock"}, ""),
        ({"CERTFILE": "server.pem"}, ""),
        ({"PROXIES": 1}, ""),
    ],
)
def test_passwords_that_can_be_read_on_the_way_are_warned_of(settings, word, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    sentences = list(risks(NO_TLS | settings))
    assert (word in sentences[0]) if word else sentences == []


def test_a_server_of_root_is_warned_of(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert "root" in next(risks(NO_TLS | {"PROXIES": 1}))
