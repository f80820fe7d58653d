"""What every answer with an error has in common, checked in one place."""

from http import HTTPStatus

from lxml import etree
from xmlkit import SCHEMA

from deploymetrics.formats import besxml

_NUMBERS = ("status", "line", "column", "limit")
_SECRETS = (b"Traceback", b".py", b"/tmp", b"instance/", b"SELECT", b"Error(")


def assert_problem(answer, status, code=None, form="json", **members):
    """The members of an RFC 9457 answer, whose shape, status, code and further members are as said."""
    assert answer.status_code == status, answer.data
    assert answer.headers["Content-Type"] == f"application/problem+{form}"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Accept" in answer.headers["Vary"]
    problem = answer.get_json(force=True) if form == "json" else _from_xml(answer.data)
    assert list(problem)[:6] == ["type", "title", "status", "detail", "code", "error"]
    assert problem["error"] == problem["detail"]
    assert (problem["type"], problem["status"]) == ("about:blank", status)
    assert problem["title"] == HTTPStatus(status).phrase
    assert problem["detail"].endswith((".", ")")) and problem["code"].islower()
    assert not any(secret in answer.data for secret in _SECRETS)
    assert code is None or problem["code"] == code
    assert problem["requestId"] == answer.headers["X-Request-ID"]
    assert {name: problem.get(name) for name in members} == members
    if status == 401:
        offered = answer.headers["WWW-Authenticate"]
        assert offered.startswith('Basic realm="BigFix Server", charset="UTF-8"')
        assert offered.endswith(('"UTF-8"', '", Bearer realm="BigFix Server", error="invalid_token"'))
    return problem


def assert_place(problem):
    """The problem says where in the body, from 1."""
    assert problem["line"] >= 1 and problem["column"] >= 1


def _from_xml(body):
    root = etree.fromstring(body)
    SCHEMA.assertValid(root)
    assert root.tag == f"{{{besxml.PROBLEM}}}problem"
    texts = {etree.QName(child).localname: child.text or "" for child in root}
    return {name: int(text) if name in _NUMBERS else text for name, text in texts.items()}
