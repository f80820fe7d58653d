"""Folders that earlier releases wrote, by the commits that wrote them, are brought over wholly or not at all."""

import json
import os
import shutil
import tarfile
from pathlib import Path

import pytest

from deploymetrics import create_app
from deploymetrics.documents import transfer
from deploymetrics.documents.service import DOCUMENTS
from deploymetrics.errors import SettingError
from deploymetrics.upgrade import upgrade

RELEASES = Path(__file__).parent / "upgrade"
COMMITS = sorted(path.name.removesuffix(".tar.gz") for path in RELEASES.glob("*.tar.gz"))
NEW = {"data", "deploymentmetrics", "locks", "secret_key"}


@pytest.fixture(params=COMMITS)
def commit(request):
    return request.param


@pytest.fixture
def folder(tmp_path, commit):
    """An instance folder as a release left it."""
    with tarfile.open(RELEASES / f"{commit}.tar.gz") as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", None)  # Debian 12's Python does not have it yet
        archive.extractall(tmp_path / "instance")
    return tmp_path / "instance"


def exported(services):
    store = services.store
    return {tag: [line.decode() for line in transfer.export_tag(store, tag)] for tag in store.keys(DOCUMENTS)}


def start(folder, clock):
    return create_app(folder, {"SECRET_KEY": "k" * 32}, clock).extensions["deploymetrics"]


def everything_in(folder):
    return {
        str(path.relative_to(folder)): path.is_file() and path.read_bytes()
        for path in folder.rglob("*")
        if "locks" not in path.parts
    }


def test_there_are_folders_of_several_releases():
    assert len(COMMITS) == 3


def test_every_version_and_author_is_there(folder, commit, clock):
    services = start(folder, clock)
    assert exported(services) == json.loads((RELEASES / f"{commit}.json").read_text())
    assert services.documents.list().damaged == ()


def test_accounts_and_expectations_are_there(folder, clock):
    services = start(folder, clock)
    roles = {account.name: (account.role.value, account.enabled) for account in services.accounts.list()}
    assert roles["admin"] == ("master-operator", True)
    assert roles["app"] == ("webui-app", True)
    assert roles["Opérateur"][0] == "operator"
    assert services.accounts.find_by_secret("s" * 43)[0].name == "app"
    assert services.expectations.all() == {"custom": 3600}


def test_a_password_still_works(folder, clock):
    app = create_app(folder, {"SECRET_KEY": "k" * 32}, clock)
    assert app.test_client().get("/api/login", auth=("admin", "correct horse battery")).status_code == 200


def test_the_old_files_are_gone_and_copies_are_there(folder, clock):
    services = start(folder, clock)
    services.documents.list()
    assert {path.name for path in folder.iterdir()} <= NEW
    for item in services.documents.list().items:
        name = next(
            name
            for name in os.listdir(folder / "deploymentmetrics")
            if name.lower().replace("%43", "C")
            in (f"{item.key}.json".replace(" ", "%20"), "%c3%a4_b.json" if item.key == "ä_b" else "")
        )
        assert (folder / "deploymentmetrics" / name).read_bytes() == services.documents.get(item.key).value
    assert list(services.store.verify(DOCUMENTS)) == []


def test_versions_go_on(folder, clock):
    services = start(folder, clock)
    assert services.documents.save("custom", b"1", "bob").version == 71
    assert services.documents.save("gone", b"1", "bob").version == 4


def test_a_second_start_changes_nothing(folder, clock):
    start(folder, clock)
    before = everything_in(folder)
    start(folder, clock)
    assert everything_in(folder) == before


@pytest.mark.parametrize("commit", ["399492f"], indirect=True)
def test_what_is_interrupted_is_wholly_there_or_not_at_all(folder, tmp_path, clock, commit, monkeypatch):
    """At each call that renames or removes something the process ends; another one finishes."""
    expected = json.loads((RELEASES / f"{commit}.json").read_text())
    before, number, ended = everything_in(folder), 0, False
    while not ended:
        instance = tmp_path / f"instance{number}"
        shutil.copytree(folder, instance)
        with monkeypatch.context() as patch:
            ended = not interrupt(patch, number, lambda instance=instance: start(instance, clock))
        if not (instance / "data").exists():
            after = everything_in(instance)
            assert after.items() >= {name: data for name, data in before.items() if data}.items()
        assert exported(start(instance, clock)) == expected
        assert {path.name for path in instance.iterdir()} <= NEW
        shutil.rmtree(instance)
        number += 1
    assert number > 5


class Interrupted(BaseException):
    """Like a kill: nothing catches it."""


def interrupt(patch, number, work):
    """Let ``work`` end before the call of that number; True if it did."""
    calls = [0]

    def counting(function):
        def call(*args, **kwargs):
            if calls[0] == number:
                raise Interrupted
            calls[0] += 1
            return function(*args, **kwargs)

        return call

    patch.setattr(os, "rename", counting(os.rename))
    patch.setattr(shutil, "rmtree", counting(shutil.rmtree))
    try:
        work()
    except Interrupted:
        return True
    return False


@pytest.mark.parametrize(
    "name",
    [
        "deploymentmetrics/custom.json",
        "history/deploymentmetrics/custom/000000000001.jsonl",
        "accounts/admin.json",
    ],
)
def test_what_cannot_be_read_stops_it_and_is_named(folder, clock, name):
    (folder / name).write_bytes(b'{"version":1,\n' * 3)
    before = everything_in(folder)
    with pytest.raises(SettingError, match="custom|admin"):
        start(folder, clock)
    after = {path: data for path, data in everything_in(folder).items() if not path.startswith(".upgrade.tmp")}
    assert after == before
    assert not (folder / "data").exists()


def test_an_old_server_that_still_runs_keeps_it_from_being_brought_over(folder, clock):
    import fcntl

    (folder / "locks").mkdir(exist_ok=True)
    with open(folder / "locks" / "collector", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(SettingError, match="server"):
            start(folder, clock)
    assert not (folder / "data").exists()
    assert exported(start(folder, clock))


def test_a_torn_end_of_a_history_is_no_version(folder, commit, clock):
    path = folder / "history/deploymentmetrics/custom/000000000065.jsonl"
    path.write_bytes(path.read_bytes() + b'{"version":99,"changedAt":"2018')
    assert exported(start(folder, clock)) == json.loads((RELEASES / f"{commit}.json").read_text())


@pytest.mark.parametrize("commit", ["399492f"], indirect=True)
def test_a_file_behind_its_history_gives_way(folder, clock):
    """As a power loss leaves it: the newest line was acknowledged."""
    path = folder / "history/deploymentmetrics/custom/000000000065.jsonl"
    line = path.read_bytes().splitlines()[-1]
    number = json.loads(line)["version"]
    newer = line.replace(b'"version":%d' % number, b'"version":71').replace(b".10}", b".99}")
    path.write_bytes(path.read_bytes() + newer + b"\n")
    services = start(folder, clock)
    assert services.documents.get("custom").version == 71
    assert b".99" in services.documents.get("custom").value


def test_the_deepest_metrics_are_brought_over(folder, clock):
    value = b'{"tag":"deep","metrics":%s,"lastChanged":"12 Jan 2018 12:00"}' % (b"[" * 512 + b"]" * 512)
    (folder / "deploymentmetrics/deep.json").write_bytes(value)
    assert start(folder, clock).documents.get("deep").value == value


def test_a_file_that_was_removed_stays_removed(folder, clock):
    os.unlink(folder / "deploymentmetrics/custom.json")
    services = start(folder, clock)
    assert services.documents.find("custom") is None
    assert next(services.store.history(DOCUMENTS, "custom")).deleted


def test_an_import_that_broke_off_leaves_nothing(folder, clock):
    """So it can be done again: it placed the history, and was about to place the file."""
    os.unlink(folder / "deploymentmetrics/custom.json")
    (folder / "history/deploymentmetrics/custom/unfinished").write_text("999999")
    services = start(folder, clock)
    assert next(services.store.history(DOCUMENTS, "custom"), None) is None
    assert services.documents.list().damaged == ()


def test_only_an_old_folder_is_brought_over(tmp_path, clock):
    upgrade(str(tmp_path), clock)
    assert list(tmp_path.iterdir()) == []
