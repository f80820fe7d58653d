"""The tables of PostgreSQL: made, brought over, and refused where they are those of another release."""

import sys
import threading
from urllib.parse import quote

import pytest
import sqlalchemy
from click.testing import CliRunner
from postgres import Cluster, folder_for_servers, url_of
from storekit import THINGS, put

from deploymetrics.cli import main
from deploymetrics.clock import Clock
from deploymetrics.errors import SettingError
from deploymetrics.storage import Retention, open_storage
from deploymetrics.storage.sql import schema
from deploymetrics.storage.sql.address import Address


def open_at(url, **options):
    return open_storage(url, "", Clock(), Retention(), **options)


@pytest.fixture
def storage(database, tmp_path):
    """Run ``deploymetrics storage`` for the database; gives its result."""
    environment = {"DEPLOYMETRICS_INSTANCE": str(tmp_path), "DEPLOYMETRICS_STORAGE": database}
    return lambda *arguments: CliRunner().invoke(main, ["storage", *arguments], env=environment)


def test_keys_and_times_are_compared_byte_by_byte(database):
    schema.init(Address(database))
    with sqlalchemy.create_engine(database, poolclass=sqlalchemy.NullPool).connect() as connection:
        collations = "SELECT DISTINCT collation_name FROM information_schema.columns WHERE column_name = ANY(:names)"
        names = ["collection", "key", "changed_at"]
        assert connection.scalars(sqlalchemy.text(collations), {"names": names}).all() == ["C"]


def test_they_are_made_once(storage, database):
    assert storage("init").exit_code == 0
    put(open_at(database), "a")
    again = storage("init")
    assert (again.exit_code, "has tables already" in again.output) == (1, True)
    assert open_at(database).read(THINGS, "a").version == 1
    assert "version of this release" in storage("upgrade").output


def test_a_status_says_how_it_is(storage, database):
    assert storage("status").exit_code == 1
    storage("init")
    status = storage("status")
    assert status.exit_code == 0, status.output
    assert f"version {schema.VERSION}" in status.output and "a failover may lose" in status.output


@pytest.mark.parametrize("command", ["init", "upgrade"])
def test_of_two_commands_at_once_one_makes_them(database, command):
    if command == "upgrade":
        schema.init(Address(database))
    said = []

    def work():
        try:
            said.append(getattr(schema, command)(Address(database)))
        except SettingError as error:
            said.append(error.detail)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(said) == 3
    assert sum("Made" in one for one in said) == (command == "init")
    put(open_at(database), "a")


@pytest.mark.parametrize("command", ["init", "upgrade", "status"])
def test_a_command_says_what_a_database_needs(monkeypatch, tmp_path, command):
    monkeypatch.setitem(sys.modules, "deploymetrics.storage.sql", None)  # as where it cannot be imported
    environment = {"DEPLOYMETRICS_STORAGE": "postgresql+psycopg://a@b/c", "DEPLOYMETRICS_INSTANCE": str(tmp_path)}
    result = CliRunner().invoke(main, ["storage", command], env=environment)
    assert result.exit_code == 1 and "pip install 'deploymetrics[postgresql]'" in result.stderr


def test_a_database_without_tables_is_refused(storage, database):
    with pytest.raises(SettingError, match="storage init"):
        open_at(database)
    assert "storage init" in storage("upgrade").output


def test_tables_of_a_later_release_are_refused(storage, database, postgresql):
    storage("init")
    name = sqlalchemy.make_url(database).database
    postgresql.ask(f"UPDATE {schema.VERSION_TABLE} SET version_num = '9999'", name)
    with pytest.raises(SettingError, match="version 9999.*Use the release that made them"):
        open_at(database)
    for command in "init", "upgrade", "status":
        assert storage(command).exit_code == 1


def test_tables_of_an_earlier_release_are_refused(storage, database, monkeypatch):
    storage("init")
    monkeypatch.setattr(schema, "VERSION", "0009")
    with pytest.raises(SettingError, match="version 0001.*this release needs 0009.*storage upgrade"):
        open_at(database)


def test_another_encoding_is_refused(postgresql, tmp_path):
    postgresql.ask("CREATE DATABASE ascii TEMPLATE template0 ENCODING SQL_ASCII LC_COLLATE 'C' LC_CTYPE 'C'")
    environment = {"DEPLOYMETRICS_INSTANCE": str(tmp_path), "DEPLOYMETRICS_STORAGE": postgresql.url("ascii")}
    for command in "init", "upgrade":
        result = CliRunner().invoke(main, ["storage", command], env=environment)
        assert "has the encoding SQL_ASCII; make one with UTF8" in result.output and result.exit_code == 1


def test_a_start_says_why_the_database_cannot_be_used(postgresql):
    with pytest.raises(SettingError, match="cannot be used.*does not exist"):
        open_at(postgresql.url("nowhere"))
    with pytest.raises(SettingError, match="cannot be used.*refused"):
        open_at(url_of("127.0.0.1:1"))


def test_a_worker_waits_for_a_database_that_is_not_there_yet(database):
    store = open_at(database, make=False)
    schema.init(Address(database))
    assert put(store, "a").version == 1


SECRET = "hunter2"


@pytest.mark.parametrize("url", ["postgresql+psycopg://u:%s@h:1/d", "postgresql+psycopg://u@h:1/d?password=%s"])
def test_no_password_is_told(url, tmp_path, caplog):
    environment = {
        "DEPLOYMETRICS_INSTANCE": str(tmp_path),
        "DEPLOYMETRICS_STORAGE": url % SECRET,
        "DEPLOYMETRICS_SECRET_KEY": "0123456789abcdef",
    }
    for command in ["settings"], ["storage", "init"], ["storage", "status"], ["account", "list"]:
        result = CliRunner().invoke(main, command, env=environment)
        assert SECRET not in result.output and SECRET not in caplog.text
        assert SECRET not in repr(result.exception)


@pytest.mark.parametrize(
    "rest", ["", "h:port/d", "h..x/d", "h:99999/d", "$hunter2@h/d", "hö/d", "/d?host=a:1&host=b:99999", "[::g]/d"]
)
def test_what_is_no_url_is_named_without_it(rest):
    with pytest.raises(SettingError, match="^STORAGE " if rest else None) as caught:
        open_at(f"postgresql+psycopg://u:hunter2@{rest}" if rest else "postgresql+psycopg://")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("rest", "hosts"),
    [
        ("/d", [("", "")]),
        ("h_1.example:1/d", [("h_1.example", "1")]),
        ("[::1]:1/d", [("::1", "1")]),
        ("/d?host=/run/a b&port=1", [("/run/a b", "1")]),
        ("/d?host=a,10.0.0.1&port=1,2", [("a", "1"), ("10.0.0.1", "2")]),
    ],
)
def test_servers_are_named_as_libpq_has_them(rest, hosts):
    assert Address(f"postgresql+psycopg://u@{rest}").hosts == hosts


@pytest.mark.parametrize("hosts", ["host=[::1]:1&host=h:2", "host=g:1&host=h:2&hostaddr=10.0.0.1,10.0.0.2"])
def test_no_server_is_silently_left_out(hosts):
    with pytest.raises(SettingError, match="several servers by name or IPv4 address"):
        open_at(f"postgresql+psycopg://u@/d?{hosts}")


def test_a_password_comes_from_the_url_or_a_file(tmp_path):
    odd = "p@/:%+ #?\\\N{EURO SIGN}"
    with folder_for_servers() as folder:
        cluster = Cluster(folder, fsync="off")
        (cluster.data / "pg_hba.conf").write_text("host all all 127.0.0.1/32 scram-sha-256\n")
        cluster.run_single(f"ALTER ROLE deploymetrics PASSWORD '{odd}'")
        try:
            cluster.start()
            passwords = tmp_path / "pgpass"
            passwords.write_text("*:*:*:*:" + odd.replace("\\", "\\\\").replace(":", "\\:") + "\n")
            from_file = cluster.url(passfile=str(passwords))
            for mode in 0o640, 0o604:  # which others may read is not taken
                passwords.chmod(mode)
                with pytest.raises(SettingError, match="no password supplied"):
                    schema.init(Address(from_file))
            passwords.chmod(0o600)
            schema.init(Address(from_file))
            put(open_at(from_file), "a")
            from_url = cluster.url().replace("deploymetrics@", f"deploymetrics:{quote(odd, safe='')}@")
            assert open_at(from_url).read(THINGS, "a").version == 1
            with pytest.raises(SettingError, match="password authentication failed") as caught:
                open_at(cluster.url().replace("deploymetrics@", f"deploymetrics:{SECRET}@"))
            assert SECRET not in caught.value.detail
        finally:
            cluster.stop()
