"""What is answered where the system has no memory left: by the application, and by a server before it."""

import json

import pytest
from accesskit import URL
from problems import assert_problem

from deploymetrics.server.protocol_errors import error_answer


@pytest.mark.parametrize(("method", "work"), [("GET", "get"), ("PUT", "save")])
def test_it_is_no_bug_and_fills_no_log(master, services, monkeypatch, caplog, method, work):
    def fail(*args, **kwargs):
        raise MemoryError

    monkeypatch.setattr(services.documents, work, fail)
    answer = master.open(URL, method=method, data="1")
    assert_problem(answer, 503, "no-memory")
    assert answer.headers["Retry-After"] == "5"
    assert [record.exc_info for record in caplog.records] == [None]


def test_a_server_says_the_same_before_the_application():
    line, headers, body, _ = error_answer(503)
    assert line == "503 Service Unavailable" and headers["Retry-After"] == "5"
    assert json.loads(body)["code"] == "no-memory"
