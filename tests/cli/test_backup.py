"""backup and restore: what is in the copy, while somebody writes, and what is refused."""

import os
import stat
import threading

import pytest
from click.testing import CliRunner
from conftest import PASSWORD

from deploymetrics import create_app
from deploymetrics.accounts.service import Role
from deploymetrics.cli import main
from deploymetrics.documents.service import DOCUMENTS


@pytest.fixture
def instance(tmp_path):
    return tmp_path / "instance"


@pytest.fixture
def source(instance):
    services = create_app(instance).extensions["deploymetrics"]
    services.accounts.add("alice", Role.MASTER_OPERATOR, PASSWORD)
    for number in range(5):
        services.documents.save("custom", b"%d" % number, "alice")
    services.documents.save("Ä b", b'["x"]', "alice")
    services.documents.save("gone", b"1", "alice")
    services.documents.delete("gone", "alice")
    (instance / "config.py").write_text("GUESSES = 7\n")
    (instance / "config.py").chmod(0o600)
    return services


def run(instance, *arguments):
    return CliRunner().invoke(main, [str(one) for one in arguments], env={"DEPLOYMETRICS_INSTANCE": str(instance)})


def contents(folder):
    store = create_app(folder).extensions["deploymetrics"].store
    return {
        tag: [(item.version, item.value, item.deleted) for item in store.history(DOCUMENTS, tag)]
        for tag in store.keys(DOCUMENTS)
    }


def test_a_backup_has_everything_and_comes_back(instance, source, tmp_path):
    backup = tmp_path / "backup"
    before = contents(instance)
    result = run(instance, "backup", backup)
    assert (result.exit_code, result.output) == (0, f"2 documents and 1 account are in {backup}.\n")
    instance.rename(tmp_path / "away")
    result = run(instance, "restore", backup)
    assert (result.exit_code, result.output) == (0, f"2 documents and 1 account are in {instance}.\n")
    again = create_app(instance)
    assert contents(instance) == before and again.config["GUESSES"] == 7
    assert again.extensions["deploymetrics"].accounts.find("alice").role == Role.MASTER_OPERATOR
    assert (instance / "secret_key").read_bytes() == (tmp_path / "away" / "secret_key").read_bytes()


def test_a_tag_may_have_the_name_of_what_an_instance_holds(instance, source, tmp_path):
    """Of the locks, too, which are the only folder that a copy does not have."""
    for tag in ("locks", "data", "accounts", "secret_key", "config.py"):
        source.documents.save(tag, b"1", "alice")
    assert source.store.lease("collector").acquire() and (instance / "locks").is_dir()
    before = contents(instance)
    assert run(instance, "backup", tmp_path / "backup").exit_code == 0
    assert not (tmp_path / "backup" / "locks").exists()
    instance.rename(tmp_path / "away")
    assert run(instance, "restore", tmp_path / "backup").exit_code == 0
    assert contents(instance) == before


def test_a_copy_is_private(instance, source, tmp_path):
    os.umask(0o022)
    run(instance, "backup", tmp_path / "backup")
    paths = [tmp_path / "backup", *(tmp_path / "backup").rglob("*")]
    assert {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in paths} == {0}


def test_a_backup_beside_writers_lacks_nothing_that_was_there(instance, source, tmp_path):
    stopped, written = threading.Event(), []

    def write():
        while not stopped.is_set():
            written.append(source.documents.save("busy", b"%d" % len(written), "alice").version)
            source.documents.save(f"new {len(written)}", b"1", "alice")

    thread = threading.Thread(target=write)
    thread.start()
    try:
        while len(written) < 20:
            pass
        acknowledged = len(written)
        result = run(instance, "backup", tmp_path / "backup")
    finally:
        stopped.set()
        thread.join()
    assert result.exit_code == 0, result.output
    there = contents(tmp_path / "backup")
    assert there["busy"][0][0] >= acknowledged and {f"new {n}" for n in range(1, acknowledged)} <= there.keys()


def test_what_is_damaged_in_a_backup_is_said(instance, source, tmp_path):
    run(instance, "backup", tmp_path / "backup")
    (path,) = (tmp_path / "backup" / "data" / "deploymentmetrics" / "custom").iterdir()
    path.write_bytes(b"{\n")
    instance.rename(tmp_path / "away")
    result = run(instance, "restore", tmp_path / "backup")
    assert result.exit_code == 1 and "damaged or missing" in result.output and "custom" in result.output


def test_a_backup_within_the_instance_is_refused(instance, source):
    result = run(instance, "backup", instance / "backup")
    assert result.exit_code == 1 and "is within" in result.output and not (instance / "backup").exists()


def test_nothing_is_overwritten(instance, source, tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").write_text("mine")
    assert "exists" in run(instance, "backup", tmp_path / "there").output
    run(instance, "backup", tmp_path / "backup")
    result = run(instance, "restore", tmp_path / "backup")
    assert result.exit_code == 1 and "There is an instance at" in result.output
    result = run(tmp_path / "elsewhere", "restore", tmp_path / "there")
    assert result.exit_code == 1 and "There is no backup at" in result.output
    assert not (tmp_path / "elsewhere").exists()
