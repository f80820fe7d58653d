"""The audit log: what is noted of whom, that no secret is, and that it stays small."""

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from accesskit import URL, basic, token_of
from click.testing import CliRunner
from prometheus_client.parser import text_string_to_metric_families

from deploymetrics.accounts.service import Role
from deploymetrics.cli import main
from deploymetrics.telemetry import telemetry_of
from deploymetrics.telemetry.audit_log import AuditLog

PASSWORD = "correct horse battery"


@pytest.fixture
def noted(app):
    """Give what was noted since the last call, oldest first: (who, action, what, status, code)."""
    seen = []

    def new():
        entries = [*telemetry_of(app).audit_log.newest_first()][::-1][len(seen) :]
        seen.extend(entries)
        return [(entry.who, entry.action, entry.what, entry.status, entry.code) for entry in entries]

    return new


def test_changes_and_refusals_through_the_api(master, operator, nobody, noted):
    master.put(URL, data="1")
    master.get(URL)
    master.delete(URL, headers={"If-Match": '"x"'})
    operator.put(URL, data="1")
    nobody.put(URL, data="1")
    nobody.get("/api/help", headers={"Authorization": basic("master-operator", "wrong")})
    nobody.get("/api/help", headers={"Authorization": basic("a password typed as a name", "x")})
    nobody.get("/api/help", headers={"SessionToken": "made up"})
    master.get("/api/login")
    assert noted() == [
        ("master-operator", "save_document", "custom", 200, ""),
        ("master-operator", "delete_document", "custom", 412, "precondition-failed"),
        ("operator", "save_document", "custom", 403, "role-required"),
        ("master-operator", "help_index", "", 401, "unauthorized"),
        ("", "help_index", "", 401, "unauthorized"),
        ("", "help_index", "", 401, "unauthorized"),
        ("master-operator", "login", "", 200, ""),
    ]


def test_who_guesses_is_noted_and_counted(master, operator, nobody, noted):
    for _ in range(7):
        nobody.get("/api/help", headers={"Authorization": basic("operator", "wrong")})
    assert [entry[3:] for entry in noted()] == [(401, "unauthorized")] * 5 + [(429, "too-many-attempts")] * 2
    text = master.get("/metrics").text
    found = {
        sample.labels["status"]: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "deploymetrics_failed_logins_total"
    }
    assert found == {"401": 5, "429": 2}


def test_pages(app, master, noted):
    client = app.test_client()
    client.post("/login", data={"name": "master-operator", "password": "wrong"})
    client.post("/login", data={"name": "nobody at all", "password": "wrong"})
    client.post("/login", data={"name": "master-operator", "password": PASSWORD})
    client.post("/accounts", data={"name": "bob", "role": "operator"})
    client.post("/accounts/disable", data={"account": "bob"})
    client.post("/new", data={"tag": "custom", "metrics": "[1]"})
    client.post("/logout")
    assert noted() == [
        ("master-operator", "log_in", "", 401, ""),
        ("", "log_in", "", 401, ""),
        ("master-operator", "log_in", "", 302, ""),
        ("master-operator", "add_account", "bob", 200, ""),
        ("master-operator", "disable_account", "bob", 302, ""),
        ("master-operator", "create", "custom", 302, ""),
        ("master-operator", "log_out", "", 302, ""),
    ]


def test_tokens_are_noted_by_name_and_number(master, pages, noted):
    noted()
    id = master.post("/api/token?name=ci").get_json()["Id"]
    master.delete(f"/api/token/{id}")
    pages.post("/account/tokens", data={"name": "by hand", "duration": "1", "access": "full"})
    assert noted() == [
        ("master-operator", "add_token", "ci", 200, ""),
        ("master-operator", "revoke_token", str(id), 200, ""),
        ("master-operator", "add_token", "by hand", 200, ""),
    ]


def test_from_where_and_by_which_request(app, master):
    answer = master.put(URL, data="1", environ_overrides={"REMOTE_ADDR": "192.0.2.1"})
    (entry,) = telemetry_of(app).audit_log.newest_first()
    assert (entry.address, entry.request) == ("192.0.2.1", answer.headers["X-Request-ID"])
    assert entry.at == "2018-01-12T12:00:03.123456Z"


def test_no_secret_is_noted(app, master, webui, folder):
    token = token_of(master)
    client = app.test_client()
    client.post("/login", data={"name": "master-operator", "password": PASSWORD})
    shown = client.post("/accounts", data={"name": "app", "role": Role.WEBUI_APP}).text
    secret = shown.split('id="secret">')[1].split("<")[0]
    client.post(
        "/account", data={"current-password": PASSWORD, "new-password": "another one", "repeated-password": "x"}
    )
    webui.put(URL, data='"posted"', headers={"Authorization": f"Bearer {PASSWORD}", "SessionToken": token})
    text = "".join(path.read_text() for path in (folder / "audit").iterdir())
    assert text.count("\n") == 5
    for word in (PASSWORD, secret, token, "another one", "posted"):
        assert word not in text


def test_commands(app, folder):
    def run(*arguments, code=0, stdin=None):
        done = CliRunner().invoke(main, arguments, env={"DEPLOYMETRICS_INSTANCE": str(folder)}, input=stdin)
        assert done.exit_code == code, done.output
        return done.stdout

    secret = run("account", "add", "bob", "--role", "operator").strip()
    run("put", "custom", "-", stdin="[1]")
    run("history", "custom")
    run("purge", "custom", "1")
    run("account", "remove", "nobody", code=1)
    assert secret not in "".join(path.read_text() for path in (folder / "audit").iterdir())
    lines = [line.split("\t") for line in run("audit").splitlines()]
    assert [line[2:4] for line in lines] == [
        ["account add", "bob operator"],
        ["put", "custom"],
        ["purge", "custom 1"],
        ["account remove", "nobody"],
    ]
    assert all(line[1].startswith("command line (") and line[4] == "-" for line in lines)
    assert json.loads(run("audit", "--json", "--limit", "1"))["action"] == "account remove"
    assert run("audit", "--who", "alice") == ""


def test_the_page(app, pages, master, operator):
    for number in range(101):
        telemetry_of(app).audit_log.note("<b>", "save_document", what=f"tag-{number:03d}\u202e")
    first = pages.get("/audit").text
    assert "tag-100" in first and "tag-000" not in first and "<b>" not in first and "\u202e" not in first
    second = pages.get("/audit?page=2").text
    assert "tag-000" in second and "log in" in second
    assert "tag-" not in pages.get("/audit?who=master-operator").text
    assert "There are no entries for this account" in pages.get("/audit?who=x").text


def test_it_stays_small_and_forgets_what_is_old(tmp_path, clock, monkeypatch):
    log = AuditLog(str(tmp_path), clock, days=10, size=100_000)
    now = [10**18]
    monkeypatch.setattr("deploymetrics.telemetry.audit_log.time.time_ns", lambda: now[0])
    monkeypatch.setattr("deploymetrics.telemetry.audit_log.time.time", lambda: now[0] / 1e9)
    for number in range(3000):
        log.note("alice", "save_document", what=str(number))
        now[0] += 10**6
    size = sum(path.stat().st_size for path in (tmp_path / "audit").iterdir())
    assert 70_000 < size < 110_000
    whats = [int(entry.what) for entry in log.newest_first()]
    assert whats == [*range(2999, 2999 - len(whats), -1)] and len(whats) > 500
    for _ in range(3):
        now[0] += 8 * 86400 * 10**9
        log.note("alice", "save_document", what="later")
    assert [entry.what for entry in log.newest_first()] == ["later"] * 3


def test_the_half_of_a_line_harms_no_other(tmp_path, clock):
    log = AuditLog(str(tmp_path), clock, days=10, size=10**6)
    log.note("alice", "one")
    (path,) = (tmp_path / "audit").iterdir()
    with path.open("ab") as file:
        file.write(b'{"at":"2018\n\x00\x00\n')
    log.note("alice", "two")
    assert [entry.action for entry in log.newest_first()] == ["two", "one"]
    assert os.stat(path).st_mode & 0o77 == 0


def test_what_another_process_is_writing_is_no_half_of_a_line(tmp_path, clock, monkeypatch):
    """A line that goes over two pages is seen in part by who looks meanwhile."""
    log = AuditLog(str(tmp_path), clock, days=10, size=10**6)
    log.note("alice", "one")
    status = os.fstat
    half = [0] * 6 + [10] + [0] * 3
    monkeypatch.setattr(os, "fstat", lambda fd: os.stat_result([status(fd).st_mode, *half[1:]]))
    log.note("alice", "two")
    monkeypatch.undo()
    (path,) = (tmp_path / "audit").iterdir()
    assert [json.loads(line)["action"] for line in path.read_text().splitlines()] == ["one", "two"]


def test_a_clock_that_was_ahead_makes_no_file_a_line(tmp_path, clock, monkeypatch):
    log = AuditLog(str(tmp_path), clock, days=10, size=10_000)
    now = [10**18 + 365 * 86400 * 10**9]
    monkeypatch.setattr("deploymetrics.telemetry.audit_log.time.time_ns", lambda: now[0])
    monkeypatch.setattr("deploymetrics.telemetry.audit_log.time.time", lambda: now[0] / 1e9)
    for number in range(100):
        log.note("alice", "save_document", what=str(number))
        now[0] = 10**18 + number
    whats = [int(entry.what) for entry in log.newest_first()]
    assert whats == [*range(99, 99 - len(whats), -1)] and len(whats) > 50
    assert len([*(tmp_path / "audit").iterdir()]) < 12


def test_a_clock_that_is_years_ahead_for_a_while_costs_no_line(tmp_path, clock, monkeypatch):
    log = AuditLog(str(tmp_path), clock, days=400, size=10**6)
    now = [1_800_000_000]
    monkeypatch.setattr("deploymetrics.telemetry.audit_log.time.time_ns", lambda: now[0] * 10**9)
    monkeypatch.setattr("deploymetrics.telemetry.audit_log.time.time", lambda: now[0])
    days = [*range(0, 300, 10), 300 + 3 * 365, 301, 302]
    for day in days:
        now[0] = 1_800_000_000 + day * 86400
        log.note("alice", "save_document", what=str(day))
    assert [entry.what for entry in log.newest_first()] == [str(day) for day in reversed(days)]


def test_a_line_that_was_written_in_part_costs_no_other(tmp_path, clock, monkeypatch, caplog):
    log = AuditLog(str(tmp_path), clock, days=10, size=10**6)
    write = os.write
    for action in ("one", "two", "three", "four"):
        half = action in ("one", "three")
        monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:30] if half else data))
        log.note("alice", action)
    assert [entry.action for entry in log.newest_first()] == ["four", "two"]
    assert caplog.text.count("the audit log cannot be written") == 2


def test_a_full_disk_costs_no_answer(master, monkeypatch, caplog):
    write = os.write

    def full(fd, data):
        if b'"action"' in data:
            raise OSError(28, "No space left on device")
        return write(fd, data)

    monkeypatch.setattr(os, "write", full)
    for number in "12":
        assert master.put(URL, data=number).status_code == 200
    assert caplog.text.count("the audit log cannot be written") == 1


def test_several_processes_add_to_one_file_and_leave_it_together(tmp_path, clock):
    """Also where one of them has not written for a while."""
    first, second = (AuditLog(str(tmp_path), clock, days=9, size=10_000) for _ in range(2))
    expected = []
    for number in range(120):
        (second if number % 7 == 0 else first).note("alice", f"action {number}")
        expected.append(f"action {number}")
    assert [entry.action for entry in first.newest_first()][::-1] == expected
    assert 2 < len(list((tmp_path / "audit").iterdir())) < 12


def test_threads_add_each_line_once(tmp_path, clock, monkeypatch):
    log, write = AuditLog(str(tmp_path), clock, days=9, size=10**6), os.write
    # Another thread has its turn here.
    monkeypatch.setattr(os, "write", lambda fd, data: [write(fd, data), time.sleep(0.0001)][0])
    with ThreadPoolExecutor(4) as threads:
        for number in range(200):
            threads.submit(log.note, "alice", f"action {number}")
    assert sorted(entry.action for entry in log.newest_first()) == sorted(f"action {n}" for n in range(200))


def put_another_in_its_place(path):
    path.rename(path.parent.parent / "archive")
    path.touch()


@pytest.mark.parametrize(
    "take_away",
    [Path.unlink, put_another_in_its_place, lambda path: path.parent.rename(path.parent.parent / "archive")],
)
def test_a_file_that_somebody_took_away_is_begun_anew(tmp_path, clock, take_away):
    log = AuditLog(str(tmp_path), clock, days=9, size=10_000)
    log.note("alice", "one")
    (path,) = (tmp_path / "audit").iterdir()
    take_away(path)
    log.note("alice", "two")
    assert [entry.action for entry in log.newest_first()] == ["two"]


def test_the_folder_may_be_on_another_disk(tmp_path, clock, caplog):
    (tmp_path / "far").mkdir()
    (tmp_path / "audit").symlink_to("far")
    log = AuditLog(str(tmp_path), clock, days=9, size=10_000)
    log.note("alice", "one")
    assert [entry.action for entry in log.newest_first()] == ["one"] and not caplog.records
    assert len([*(tmp_path / "far").iterdir()]) == 1
