"""put, history, purge and trim."""

import logging
import os
from pathlib import Path

import pytest
from flask.logging import default_handler
from launching import run

from deploymetrics import create_app
from deploymetrics.errors import PreconditionFailed


def test_history_prints_as_many_versions_as_asked_for_however_large(service, invoke):
    for _ in range(12):
        service.save("custom", b'"%b"' % (b"x" * 2**20), "alice")
    assert len(invoke("history", "custom", "--limit", 11).output.splitlines()) == 11


def test_history_prints_the_versions(service, invoke):
    service.save("custom", b"1", "alice")
    service.delete("custom", "bob")
    lines = invoke("history", "custom").output.splitlines()
    assert lines[0].split("\t")[0::2] == ["2", "bob"] and lines[0].endswith("deleted")
    assert lines[1].split("\t") == ["1", "2018-01-12T12:00:03.123456Z", "alice", "62 bytes"]
    assert invoke("history", "never").exit_code != 0


@pytest.mark.parametrize("form", ['"{}"', "{}", 'W/"{}"', "W/{}", "*", '"{}-xml"', '"{}-gzip"', '"other", "{}"'])
def test_put_writes_where_the_etag_is_the_current_one(service, invoke, tmp_path, form):
    """In each form in which a GET, a proxy or a shell may give it, or any one will do."""
    (tmp_path / "2.json").write_text("2")
    revision = service.save("custom", b"1", "alice").revision
    assert invoke("put", "custom", tmp_path / "2.json", "--if-match", form.format(revision)).exit_code == 0
    assert service.get("custom").version == 2


def test_put_takes_no_whole_document_for_its_metrics(master, service, invoke, tmp_path):
    """As a GET answers it, which is where somebody starts who changes a document."""
    service.save("custom", b"1", "alice")
    (tmp_path / "got.json").write_bytes(master.get("/api/deploymentmetrics/custom").data)
    assert invoke("put", "custom", tmp_path / "got.json").exception.code == "whole-document"
    assert service.get("custom").version == 1


@pytest.mark.parametrize("option", [("--if-match", "other"), ("--if-match", ""), ("--if-match", '""'), ("--create",)])
def test_put_ignores_no_condition(service, invoke, tmp_path, option):
    """Nor an empty one, which a script makes of an ETag that it did not get."""
    (tmp_path / "2.json").write_text("2")
    service.save("custom", b"1", "alice")
    assert isinstance(invoke("put", "custom", tmp_path / "2.json", *option).exception, PreconditionFailed)
    assert service.get("custom").version == 1


@pytest.mark.parametrize(("writes", "said"), [(1, "1 version removed\n"), (3, "3 versions removed\n")])
def test_purge_says_how_many_went(service, invoke, writes, said):
    for _ in range(writes):
        service.save("custom", b"1", "alice")
    assert invoke("purge", "custom").stdout == said
    assert "nothing is left" in str(invoke("purge", "custom").exception)
    assert "no such version" in str(invoke("purge", "custom", 1).exception)
    assert "never was" in str(invoke("purge", "nothing").exception)


def test_trim_fails_where_a_document_cannot_be_trimmed(app, service, invoke):
    for tag in ("bad", "good"):
        service.save(tag, b"1", "alice")
    assert invoke("trim").stdout == "Files or rows of old versions that were removed or written anew: 0\n"
    Path(app.instance_path, "data/deploymentmetrics/bad/00000000000000001.jsonl").write_text("nonsense\n")
    result = invoke("trim")
    assert result.exit_code == 1
    assert result.stderr.endswith("Error: 1 document could not be trimmed.\n")


def test_a_tag_cannot_steer_the_terminal_or_a_log(tmp_path):
    instance, tag = tmp_path / "instance", "a\u202eb"
    create_app(instance).extensions["deploymetrics"].documents.save(tag, b"1", "alice")
    done = run(("purge", tag), {**os.environ, "DEPLOYMETRICS_INSTANCE": str(instance)}, tmp_path)
    assert done.returncode == 0 and r"a\u202eb: versions purged" in done.stderr
    line = default_handler.format(logging.makeLogRecord({"msg": tag, "levelname": "ERROR"}))  # with other servers
    assert line.endswith(r"ERROR: a\u202eb")
