"""export and import: what they print, what they refuse, and that nothing is half imported."""

import io
import os
import stat
from pathlib import Path

import pytest

from deploymetrics import create_app
from deploymetrics.clock import Clock
from deploymetrics.documents import transfer
from deploymetrics.documents.service import DOCUMENTS, version_json


@pytest.fixture
def elsewhere(tmp_path, clock):
    """A second application, on an instance folder of its own."""
    return create_app(tmp_path / "elsewhere", clock=clock)


def fill(service):
    """Documents of all sorts: one version, many, deleted, made again, odd tags, exact digits."""
    for number in range(150):
        service.save("many", b"%d" % number, "alice")
    service.save("once", b'{"a":1.10,"a":1E400}', "bob")
    service.save("Ä/".strip("/") + " %", b'"\\u0041"', "bob")
    service.save("gone", b"1", "alice")
    service.delete("gone", "alice")
    service.save("again", b"1", "alice")
    service.delete("again", "alice")
    service.save("again", b"2", "alice")
    service.save_platform(b'[{"number_of_endpoints":"5"}]', "collector")


def everything(store):
    """All versions of all tags, oldest first, as text."""
    return [line for tag in store.keys(DOCUMENTS) for line in transfer.export_tag(store, tag)]


def exported(invoke, tmp_path):
    assert invoke("export", tmp_path / "all.ndjson").exit_code == 0
    return tmp_path / "all.ndjson"


def test_an_export_comes_back_to_the_byte(service, invoke, elsewhere, tmp_path):
    fill(service)
    file = exported(invoke, tmp_path)
    result = elsewhere.test_cli_runner().invoke(args=["import", str(file)])
    assert (result.exit_code, result.stdout) == (0, "6 imported, 0 already there, 0 refused\n")
    there = elsewhere.extensions["deploymetrics"].documents
    assert everything(there.store) == everything(service.store) == file.read_bytes().splitlines(keepends=True)
    assert list(there.list().values()) == list(service.list().values())
    there.save("many", b"1", "carol")
    assert [item.version for item in there.history("many", limit=3).items] == [151, 150, 149]
    assert list(there.store.verify(DOCUMENTS)) == []


def test_importing_twice_changes_nothing(service, invoke, tmp_path):
    fill(service)
    file = exported(invoke, tmp_path)
    before = everything(service.store)
    assert invoke("import", file).stdout == "0 imported, 6 already there, 0 refused\n"
    assert everything(service.store) == before


def test_other_versions_are_left_alone_and_named(service, invoke, elsewhere, tmp_path):
    fill(service)
    file = exported(invoke, tmp_path)
    there = elsewhere.extensions["deploymetrics"].documents
    there.save("once", b"9", "dave")
    result = elsewhere.test_cli_runner().invoke(args=["import", str(file)])
    assert result.exit_code == 1 and "once" in result.stderr
    assert result.stdout == "5 imported, 0 already there, 1 refused\n"
    assert there.get("once").changed_by == "dave" and there.get("once").version == 1


def test_a_dry_run_says_the_same_and_stores_nothing(service, invoke, elsewhere, tmp_path):
    fill(service)
    file = exported(invoke, tmp_path)
    elsewhere.extensions["deploymetrics"].documents.save("once", b"9", "dave")
    run = elsewhere.test_cli_runner().invoke
    dry = run(args=["import", "--dry-run", str(file)])
    assert dry.exit_code == 1 and dry.stdout == "5 imported, 0 already there, 1 refused (dry run)\n"
    assert elsewhere.extensions["deploymetrics"].store.keys(DOCUMENTS) == ["once"]


GOOD = (
    b'{"version":1,"changedAt":"2018-01-12T12:00:03.123456Z","changedBy":"a","tag":"x","metrics":1,"lastChanged":"c"}\n'
)


@pytest.mark.parametrize(
    "line",
    [
        b"nonsense\n",
        b"[]\n",
        b'{"tag":"x"}\n',
        GOOD.replace(b":1,", b":0,"),
        GOOD.replace(b":1,", b':"1",'),
        GOOD.replace(b"2018-01-12T12:00:03.123456Z", b"yesterday"),
        GOOD.replace(b"2018-01-12T12:00:03.123456Z", b"0001-01-01T00:00:00.000000+23:00"),
        GOOD.replace(b":1,", b":100000000000000000,", 1),
        GOOD.replace(b'"metrics":1,', b""),
        GOOD.replace(b'"metrics":1', b'"deleted":true'),
        GOOD.replace(b'"metrics":1', b'"metrics":NaN'),
        GOOD.replace(b'"x"', b'"a/b"'),
        GOOD.replace(b'"x"', b"5"),
        b'{"expectation":{"tag":"x","everySeconds":1}}\n',
        b'{"expectation":{"tag":"a/b","everySeconds":60}}\n',
        b'{"expectation":60}\n',
        GOOD + GOOD,
    ],
)
def test_a_bad_line_refuses_its_tag_and_says_which(invoke, service, line):
    other = GOOD.replace(b'"x"', b'"y"')
    result = invoke("import", "-", input=line + other)
    assert result.exit_code == 1 and "line 1" in result.stderr and "{" not in result.stderr
    assert service.store.keys(DOCUMENTS) == ["y"]


@pytest.mark.parametrize("torn, kept", [(0, ["y"]), (1, ["y"]), (2, []), (3, ["x"])])
def test_a_torn_line_refuses_the_tags_of_which_it_may_be_a_version(invoke, service, torn, kept):
    """Else the versions before it would be taken for all, and a whole file be refused later."""
    second = GOOD.replace(b":1,", b":2,", 1)
    lines = [GOOD, second, GOOD.replace(b'"x"', b'"y"'), second.replace(b'"x"', b'"y"')]
    lines[torn] = lines[torn][:60] + b"\n"
    result = invoke("import", "-", input=b"".join(lines))
    assert result.exit_code == 1 and f"line {torn + 1}" in result.stderr
    assert service.store.keys(DOCUMENTS) == kept


@pytest.mark.parametrize("versions", [1, 2, 130])
def test_an_import_that_breaks_off_is_wholly_there_or_not(service, elsewhere, monkeypatch, versions):
    for number in range(versions):
        service.save("custom", b"%d" % number, "alice")
    lines = list(transfer.export_tag(service.store, "custom"))
    store = elsewhere.extensions["deploymetrics"].store
    assert store.keys(DOCUMENTS) == []

    class PulledPlug(BaseException):
        """What no handler catches."""

    for step in range(1000):
        left = iter(range(step))

        def counted(operation):
            def call(*args, **kwargs):
                if next(left, None) is None:
                    raise PulledPlug
                return operation(*args, **kwargs)

            return call

        with monkeypatch.context() as patch:
            for name in ("rename", "fsync", "pwrite"):
                patch.setattr(os, name, counted(getattr(os, name)))
            try:
                list(transfer.import_lines(store, io.BytesIO(b"".join(lines)), Clock()))
                break
            except PulledPlug:
                assert list(store.history(DOCUMENTS, "custom")) in ([], whole(store, lines))
    assert step > 2
    assert everything(store) == lines


def whole(store, lines):
    """The history when all of it is there, else something that no history equals."""
    found = list(store.history(DOCUMENTS, "custom"))
    return found if [version_json(item) + b"\n" for item in reversed(found)] == lines else None


def test_a_damaged_document_is_named_and_the_others_are_exported(app, service, invoke, tmp_path):
    fill(service)
    Path(app.instance_path, "data/deploymentmetrics/once/00000000000000001.jsonl").write_bytes(b"{\n")
    result = invoke("export", tmp_path / "all.ndjson")
    assert result.exit_code == 1 and "once" in result.stderr


def test_an_export_is_private_and_says_what_is_in_it(app, service, invoke, tmp_path):
    fill(service)
    app.extensions["deploymetrics"].expectations.set("once", 3600, "alice")
    file = tmp_path / "all.ndjson"
    file.write_text("older")
    file.chmod(0o644)
    result = invoke("export", file)
    assert result.stdout == "" and result.stderr == (
        "6 documents with 158 versions and 1 expectation exported; accounts, sessions and settings are left out.\n"
    )
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_bytes().endswith(b'{"expectation":{"tag":"once","everySeconds":3600}}\n')
    assert os.listdir(tmp_path).count("all.ndjson") == 1 and not (tmp_path / "all.ndjson.tmp").exists()
    assert invoke("export", "-").stdout.encode() == file.read_bytes()


def test_an_export_that_breaks_off_leaves_the_older_one(service, invoke, tmp_path, monkeypatch):
    service.save("custom", b"1", "alice")
    (tmp_path / "all.ndjson").write_text("older")

    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(transfer, "export_tag", interrupted)
    assert invoke("export", tmp_path / "all.ndjson").exit_code == 1
    assert (tmp_path / "all.ndjson").read_text() == "older" and not (tmp_path / "all.ndjson.tmp").exists()


def test_an_export_can_go_into_a_pipe(service, invoke, tmp_path):
    service.save("custom", b"1", "alice")
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    assert invoke("export", tmp_path / "pipe").exit_code == 0
    assert os.read(reader, 1000).startswith(b'{"version":1,')
    os.close(reader)


def test_expectations_come_back_and_others_are_left_alone(app, invoke, elsewhere, tmp_path):
    expectations = app.extensions["deploymetrics"].expectations
    for tag, seconds in (("Ä", 60), ("other", 3600), ("same", 86400)):
        expectations.set(tag, seconds, "alice")
    there = elsewhere.extensions["deploymetrics"].expectations
    there.set("other", 61, "bob")
    there.set("same", 86400, "bob")
    file = exported(invoke, tmp_path)
    run = elsewhere.test_cli_runner().invoke
    assert run(args=["import", "--dry-run", str(file)]).stdout == "1 imported, 1 already there, 1 refused (dry run)\n"
    assert there.of("Ä") is None
    result = run(args=["import", str(file)])
    assert result.exit_code == 1 and result.stdout == "1 imported, 1 already there, 1 refused\n"
    assert "'other' is expected every 61 seconds here" in result.stderr
    assert there.all() == {"Ä": 60, "other": 61, "same": 86400}


ODD = {
    "more members": b'"tag":"x","metrics":1,"lastChanged":"c","more":{"a":1.10,"a":1E400},"_":null',
    "odd lastChanged": b'"tag":"x","metrics":1,"lastChanged":"\\u0001 yesterday"',
    "no lastChanged": b'"tag":"x","metrics":1,"lastChanged":""',
}


@pytest.mark.parametrize("members", ODD.values(), ids=ODD)
def test_what_a_file_by_hand_has_survives(service, invoke, members):
    line = GOOD[: GOOD.index(b'"tag"')] + members + b"}\n"
    assert invoke("import", "-", input=line).stdout == "1 imported, 0 already there, 0 refused\n"
    assert invoke("export", "-").stdout.encode() == line
    assert invoke("import", "-", input=line).stdout == "0 imported, 1 already there, 0 refused\n"


def test_what_came_from_outside_cannot_steer_a_terminal(service, invoke):
    line = GOOD.replace(b'"a"', b'"\\u202e[31m\\u2028x"').replace(b'"x"', '"x\u202e"'.encode())
    assert invoke("import", "-", input=line).exit_code == 0
    assert invoke("history", "x\u202e").stdout.split("\t")[2] == r"\u202e[31m\u2028x"
    torn = invoke("import", "-", input=line.replace(b"\\u2028", b"\\u001b"))
    assert torn.exit_code == 1 and torn.stderr.rstrip("\n").isprintable()
    refused = invoke("import", "-", input=line.replace(b'"metrics":1', b'"metrics":2'))
    assert refused.exit_code == 1 and refused.stderr.rstrip("\n").isprintable()
