"""The whole service on a database: the application, its commands, and servers beside each other."""

import os
import signal

import pytest
import requests
import sqlalchemy
from serving import Served
from waiting import wait_for
from werkzeug.test import EnvironBuilder

from deploymetrics import create_app
from deploymetrics.accounts.service import Role
from deploymetrics.errors import SettingError
from deploymetrics.http.environ_keys import ONLY_FAST_PATH
from deploymetrics.server.master import Server
from deploymetrics.storage import list_blocks
from deploymetrics.storage.sql import schema
from deploymetrics.storage.sql.address import Address
from deploymetrics.storage.sql.connection import Connection

PASSWORD = "correct horse battery"
DOCS = "/api/deploymentmetrics"
KEY = "0123456789abcdef"


@pytest.fixture
def settings(database):
    """The settings of a server on a database of its own, which has the master operator alice."""
    schema.init(Address(database))
    return {"STORAGE": database, "SECRET_KEY": KEY}


@pytest.fixture
def servers(settings, tmp_path):
    """Start so many servers on the database, each with an instance folder of its own; gives their URLs."""
    started = []

    def start(number):
        environment = {f"DEPLOYMETRICS_{name}": value for name, value in settings.items()}
        for name in map(str, range(number)):
            (tmp_path / name).mkdir()
            command = ("deploymetrics", "serve", "--bind", "127.0.0.1:0")
            started.append(Served(command, tmp_path / name, tmp_path / name / "instance", **environment))
        return [one.started().url for one in started]

    yield start
    for one in started:
        one.end()


def test_the_application_works_on_it(settings, tmp_path, clock):
    apps = [create_app(tmp_path / name, settings, clock) for name in "ab"]
    apps[0].extensions["deploymetrics"].accounts.add("alice", Role.MASTER_OPERATOR, PASSWORD)
    one, two = (app.test_client() for app in apps)
    auth = {"auth": ("alice", PASSWORD)}
    first = one.post(f"{DOCS}/a", data="[1.10]", **auth)
    assert first.status_code == 200
    assert two.get(f"{DOCS}/a", **auth).data == first.data
    assert two.get(DOCS, **auth).data == b"[%b]" % first.data
    assert two.post(f"{DOCS}/a", data="2", headers={"If-Match": '"0"'}, **auth).status_code == 412
    assert two.put(f"{DOCS}/a", data="2", headers={"If-Match": first.headers["ETag"]}, **auth).status_code == 200
    assert [entry["version"] for entry in one.get(f"{DOCS}/a/history", **auth).json] == [2, 1]
    token = one.get("/api/login", **auth).headers["SessionToken"]
    assert two.get(DOCS, headers={"SessionToken": token}).status_code == 200
    apps[1].extensions["deploymetrics"].accounts.set_password("alice", PASSWORD + "!")
    assert one.get(DOCS, headers={"SessionToken": token}).status_code == 401
    assert one.get(DOCS, **auth).status_code == 401
    auth = {"auth": ("alice", PASSWORD + "!")}
    assert one.put("/api/expectations/a", data='{"everySeconds":60}', **auth).status_code == 200
    assert two.get("/api/expectations/a", **auth).json["everySeconds"] == 60
    wrong = [client.get(DOCS, auth=("alice", "wrong")).status_code for client in [one, two] * 6]
    assert wrong[0] == 401 and wrong[-2:] == [429, 429]  # those at one server count at the other
    runner = apps[0].test_cli_runner()
    assert runner.invoke(args=["verify"]).exit_code == 0
    assert runner.invoke(args=["history", "a"]).output.count("\n") == 2
    assert not (tmp_path / "a" / "data").exists()


def test_a_read_asks_the_database_once(settings, tmp_path, monkeypatch):
    app = create_app(tmp_path / "a", settings)
    app.extensions["deploymetrics"].accounts.add("alice", Role.MASTER_OPERATOR, PASSWORD)
    client, auth = app.test_client(), ("alice", PASSWORD)
    client.post(f"{DOCS}/a", data="1", auth=auth)
    etag = client.get(DOCS, auth=auth).headers["ETag"]
    waits, wait = [], Connection.wait
    monkeypatch.setattr(Connection, "wait", lambda *args, **options: waits.append(args) or wait(*args, **options))
    for path, headers, status in (f"{DOCS}/a", {}, 200), (DOCS, {}, 200), (DOCS, {"If-None-Match": etag}, 304):
        client.get(path, auth=auth, headers=headers)  # each statement is prepared once
        waits.clear()
        assert client.get(path, auth=auth, headers=headers).status_code == status
        assert len(waits) == 1  # which finds the account, too
    client.post(f"{DOCS}/a", data="2", auth=auth)
    waits.clear()
    assert client.get(DOCS, auth=auth).json[0]["metrics"] == 2
    assert len(waits) == 3  # what changed, and its value


def test_the_one_thread_for_reads_never_waits_for_the_database(settings, tmp_path):
    """A frozen one would hold up what asks nothing of it, such as /healthz, and bodies that are there."""
    app = create_app(tmp_path / "a", settings)
    app.extensions["deploymetrics"].accounts.add("alice", Role.MASTER_OPERATOR, PASSWORD)
    app.test_client().get(DOCS, auth=("alice", PASSWORD))
    for path in DOCS, f"{DOCS}/a":
        environ = EnvironBuilder(path, auth=("alice", PASSWORD)).get_environ()
        assert app.fast_path.answer(environ) is not None
        assert app.fast_path.answer({**environ, ONLY_FAST_PATH: True}) is None


def test_two_servers_are_one(servers, settings, tmp_path):
    app = create_app(tmp_path / "made", settings)
    app.extensions["deploymetrics"].accounts.add("alice", Role.MASTER_OPERATOR, PASSWORD)
    urls = servers(2)
    with requests.Session() as session:
        session.auth = ("alice", PASSWORD)
        etags = set()
        for number in range(20):
            written = session.post(f"{urls[number % 2]}{DOCS}/a", data=str(number))
            assert written.status_code == 200
            for url in urls:
                assert session.get(f"{url}{DOCS}/a").text == written.text
                assert session.get(f"{url}{DOCS}").text == f"[{written.text}]"
            etags.add(session.get(f"{urls[number % 2]}{DOCS}").headers["ETag"])
        assert len(etags) == 20


def test_granian_refuses_a_credential_that_was_revoked_elsewhere(servers, settings, tmp_path):
    settings |= {"SERVER": "granian", "GUESSES": "50"}
    app = create_app(tmp_path / "made", settings)
    accounts = app.extensions["deploymetrics"].accounts
    accounts.add("alice", Role.MASTER_OPERATOR, PASSWORD)
    here, there = app.test_client(), {"auth": ("alice", PASSWORD)}
    urls = servers(2)
    written = here.post(f"{DOCS}/a", data="1", **there)
    for url in urls * 2:
        assert requests.get(f"{url}{DOCS}/a", **there).text == written.text
        assert requests.get(f"{url}{DOCS}", **there).text == f"[{written.text}]"
    accounts.set_password("alice", PASSWORD + "!")
    for url in urls * 2:
        for path in f"{DOCS}/a", DOCS:
            assert requests.get(f"{url}{path}", **there).status_code == 401
            assert requests.get(f"{url}{path}", auth=("alice", PASSWORD + "!")).status_code == 200


def test_two_servers_have_one_collector_and_keep_it_when_one_is_killed(servers, settings, postgresql):
    settings |= {"COLLECT": "1", "COLLECT_INTERVAL_SECONDS": "1"}
    servers(2)
    name = sqlalchemy.make_url(settings["STORAGE"]).database
    holder = "SELECT holder FROM leases WHERE expires > now()"
    first = wait_for(lambda: postgresql.ask(f"SELECT ({holder})", name), "a collector")
    written = "SELECT coalesce(max(version), 0) FROM items WHERE collection = 'collector' AND key = 'server'"
    wait_for(lambda: postgresql.ask(written, name) > 1, "it to collect")
    assert postgresql.ask("SELECT number FROM leases", name) == 1
    os.kill(int(first.split()[0]), signal.SIGKILL)
    postgresql.ask("UPDATE leases SET expires = now()", name)  # which takes some seconds else
    before = postgresql.ask(written, name)
    wait_for(lambda: postgresql.ask(written, name) > before, "another one to collect")
    assert postgresql.ask(holder, name) != first
    assert postgresql.ask("SELECT number FROM leases", name) == 2


def test_a_server_does_not_start_on_a_database_without_tables(database, tmp_path):
    environment = {"DEPLOYMETRICS_STORAGE": database, "DEPLOYMETRICS_SECRET_KEY": KEY}
    served = Served(("deploymetrics", "serve"), tmp_path, tmp_path / "instance", **environment)
    assert served.process.wait(30) == 1
    assert "deploymetrics storage init" in served.log


def test_a_list_that_is_not_kept_is_read_a_part_at_a_time(settings, monkeypatch, tmp_path):
    app = create_app(tmp_path / "a", settings)
    service = app.extensions["deploymetrics"].documents
    for number in range(300):
        service.save(f"t{number:03d}", b"%d" % number, "alice")
    kept = list(service.list().values())
    monkeypatch.setattr(list_blocks, "KEPT_BYTES", 0)
    monkeypatch.setattr(list_blocks, "PIECE_BYTES", 1000)
    service.save("t000", b"0", "alice")
    large = service.list()
    assert list(large.values())[1:] == kept[1:]
    assert b"".join(large.read(298, 300)) == b"," + b",".join(kept[298:])


def test_a_reload_does_not_change_the_storage(tmp_path, monkeypatch):
    server = Server(tmp_path, {"BIND": "127.0.0.1:0"}, bool)
    monkeypatch.setenv("DEPLOYMETRICS_SECRET_KEY", KEY)
    server.renew_settings()
    monkeypatch.setenv("DEPLOYMETRICS_STORAGE", "postgresql+psycopg://deploymetrics@db1/deploymetrics")
    with pytest.raises(SettingError, match="STORAGE is read at the start only"):
        server.renew_settings()
    assert server.settings["STORAGE"] == "files:"
