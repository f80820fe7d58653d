"""``storage copy``: everything comes over, both ways, and what differs afterwards is named."""

import pytest
from click.testing import CliRunner

from deploymetrics import create_app, maintenance
from deploymetrics.accounts.service import Role
from deploymetrics.cli import main
from deploymetrics.errors import SettingError
from deploymetrics.storage import Collection
from deploymetrics.storage.sql import schema
from deploymetrics.storage.sql.address import Address

#: What a copy need not have: it is found out anew, or of use for a short while and where it was only.
LEFT_OUT = {"failures", "notices", "probes", "quotas", "sessions", "starts", "token-uses"}
PASSWORD = "correct horse battery"
DOCS = "/api/deploymentmetrics"


@pytest.fixture
def filled(tmp_path, clock):
    """An application on files with documents of all sorts, an account and an expectation."""
    app = create_app(tmp_path / "instance", clock=clock)
    services = app.extensions["deploymetrics"]
    for number in range(150):
        clock.forward(minutes=7)
        services.documents.save("many", b"%d.10" % number, "alice", by_person=number % 5 == 0)
    services.documents.save("Ä %", b'{"a":1E400,"a":2}', "bob")
    services.documents.save("gone", b"1", "alice")
    services.documents.delete("gone", "alice")
    services.documents.save_platform(b"[{}]", "collector")
    services.expectations.set("many", 3600, "alice")
    services.accounts.add("alice", Role.MASTER_OPERATOR, PASSWORD)
    return app


@pytest.fixture
def tables(database):
    schema.init(Address(database))
    return database


@pytest.fixture
def copy(tmp_path):
    """Run ``storage copy``."""
    environment = {"DEPLOYMETRICS_INSTANCE": str(tmp_path / "instance")}
    return lambda *arguments: CliRunner().invoke(main, ["storage", "copy", *arguments], env=environment)


def test_every_collection_is_copied_or_left_out_on_purpose():
    ours = {one.name for one in Collection.known if one.record.__module__.startswith("deploymetrics.")}
    assert ours == {one.name for one in maintenance.COPIED} | LEFT_OUT, "It belongs into COPIED or LEFT_OUT."


def test_everything_comes_over_both_ways(filled, tables, copy, tmp_path, clock):
    for source, target in ("files:", tables), (tables, f"files:{tmp_path}/back"):
        done = copy(source, target)
        assert (done.exit_code, "Both are the same." in done.output) == (0, True), done.output
    settings = {"STORAGE": tables, "SECRET_KEY": "0123456789abcdef"}
    apps = [
        filled,
        create_app(tmp_path / "other", settings, clock),
        create_app(tmp_path / "back", clock=clock),
    ]
    auth = {"auth": ("alice", PASSWORD)}
    for path in DOCS, f"{DOCS}/many", f"{DOCS}/many/history", "/api/expectations/many", f"{DOCS}/gone/history":
        answers = [app.test_client().get(path, **auth) for app in apps]
        assert len({(answer.status_code, answer.data, answer.headers["ETag"]) for answer in answers}) == 1
        assert answers[0].status_code == 200
    # What a client knew of the files holds on the database.
    etag = apps[0].test_client().get(f"{DOCS}/many", **auth).headers["ETag"]
    answer = apps[1].test_client().post(f"{DOCS}/many", data="1", headers={"If-Match": etag}, **auth)
    assert answer.status_code == 200


def test_a_second_copy_changes_nothing(filled, tables, copy):
    assert copy("files:", tables).exit_code == copy("files:", tables).exit_code == 0


def test_what_differs_is_named_and_left_alone(filled, tables, copy):
    copy("files:", tables)
    service = filled.extensions["deploymetrics"].documents
    service.save("many", b"1", "alice")
    service.save("new", b"1", "alice")
    again = copy("files:", tables)
    assert again.exit_code == 1
    assert "many\tThere are other versions of 'many' already" in again.stderr
    assert "1 item not the same. Is FROM still written?" in again.stderr
    assert "copy to an empty TO" in again.stderr  # doing it again would change nothing
    assert "new" not in again.stderr  # which came over
    store = maintenance.storage_at(tables, "", make=False)
    assert len(list(store.history(maintenance.DOCUMENTS, "many"))) == 150


def test_what_only_the_target_has_is_named(filled, tables, copy, tmp_path):
    copy("files:", tables)
    back = copy(tables, f"files:{tmp_path}/back")
    assert back.exit_code == 0
    create_app(tmp_path / "back").extensions["deploymetrics"].documents.save("more", b"1", "alice")
    again = copy(tables, f"files:{tmp_path}/back")
    assert (again.exit_code, "more\tis not the same in both" in again.stderr) == (1, True)


@pytest.mark.parametrize("url", ["postgresql+psycopg://a:secret@h/d", "postgresql+psycopg://a@h/d?password=secret"])
def test_a_password_is_not_taken_from_the_command(filled, copy, url):
    for arguments in ("files:", url), (url, "files:"):
        done = copy(*arguments)
        assert done.exit_code == 1 and "PGPASSWORD" in done.output and "secret" not in done.output


def test_a_source_that_is_not_there_is_none(copy, tmp_path, tables):
    done = copy(f"files:{tmp_path}/nowhere", tables)
    assert (done.exit_code, "cannot be used" in done.output) == (1, True)
    assert not (tmp_path / "nowhere").exists()
    with pytest.raises(SettingError, match="storage init|does not exist"):
        maintenance.storage_at(tables.replace("/d", "/nodb"), "", make=False)


def test_a_folder_that_cannot_be_read_is_named(copy, tmp_path):
    (tmp_path / "odd/data/format.json").mkdir(parents=True)
    done = copy(f"files:{tmp_path}/odd", f"files:{tmp_path}/new")
    assert (done.exit_code, f"{tmp_path}/odd cannot be used: open: " in done.output) == (1, True), done.output
