"""Whether the process answers, and whether the storage reads and writes."""

import errno
import os
import threading

import pytest
from problems import assert_problem
from storekit import newest_file

from deploymetrics import create_app
from deploymetrics.errors import StorageFullError
from deploymetrics.telemetry import health
from deploymetrics.telemetry.health import PROBES, Health


def test_a_good_server_says_so_to_everyone_and_no_more(nobody, operator, scraper):
    for person in (nobody, operator, scraper):
        for path, said in (("/healthz", "ok\n"), ("/readyz", "ready\n")):
            answer = person.get(path)
            assert (answer.status_code, answer.text) == (200, said)
            assert answer.headers["Cache-Control"] == "no-store"


def test_a_master_operator_is_told_more(master, save, folder):
    save("custom", b"[1]")
    save("other", b"[1]")
    newest_file(folder, "deploymentmetrics", "other").write_bytes(b"garbage\n")
    found = create_app(folder).test_client().get("/readyz", auth=(master.name, master.password)).get_json()
    assert (found["documents"], found["damaged"], found["readOnly"], found["sources"]) == (1, ["other"], False, [])
    assert_problem(master.client.get("/readyz", auth=(master.name, "wrong")), 401, "unauthorized")


@pytest.fixture
def disk(monkeypatch):
    """Make each write fail with an error number, while there is one."""
    state = {"errno": None}
    fdatasync = os.fdatasync

    def sync(fd):
        if state["errno"]:
            raise OSError(state["errno"], os.strerror(state["errno"]))
        fdatasync(fd)

    monkeypatch.setattr(os, "fdatasync", sync)
    monkeypatch.setattr(health, "GOOD_SECONDS", 0)
    return state


def test_a_storage_that_takes_no_writes_is_not_ready_until_it_does(nobody, disk):
    assert nobody.get("/readyz").status_code == 200
    disk["errno"] = errno.EIO
    problem = assert_problem(nobody.get("/readyz"), 503, "storage-unavailable")
    assert "instance" not in str(problem)
    assert nobody.get("/healthz").status_code == 200
    disk["errno"] = None
    assert nobody.get("/readyz").status_code == 200


@pytest.mark.parametrize("app_settings", [{"READ_ONLY": True}])
def test_a_server_that_takes_no_changes_needs_no_writes(nobody, disk):
    disk["errno"] = errno.EIO
    assert nobody.get("/readyz").status_code == 200


def test_a_folder_that_is_gone_is_not_ready(nobody, folder):
    folder.rename(folder.with_name("elsewhere"))
    assert_problem(nobody.get("/readyz"), 503, "storage-unavailable")


def test_probes_are_few_and_one_that_hangs_holds_no_other_thread(services, clock, monkeypatch):
    monkeypatch.setattr(health, "_WAIT_SECONDS", 0.01)
    began, go_on, probes = threading.Event(), threading.Event(), []

    def hanging(collection, *rest):
        probes.append(collection)
        began.set()
        go_on.wait(20)

    monkeypatch.setattr(services.store, "write", hanging)
    asked = Health(services.documents, clock, is_read_only=False)
    first = threading.Thread(target=asked.check)
    first.start()
    assert began.wait(20)
    with pytest.raises(Exception, match="storage cannot answer"):
        asked.check()
    go_on.set()
    first.join()
    for _ in range(3):
        asked.check()
    assert probes == [PROBES]


@pytest.mark.parametrize("app_settings", [{"TRUSTED_HOSTS": "metrics.example"}])
def test_a_probe_may_name_any_host(nobody):
    for path, status in (("/healthz", 200), ("/readyz", 200), ("/metrics", 400)):
        assert nobody.get(path, headers={"Host": "10.0.0.7:8080"}).status_code == status


def test_a_full_disk_is_told_apart(nobody, services, monkeypatch):
    def full(*args, **kwargs):
        raise StorageFullError(log="no space")

    monkeypatch.setattr(services.store, "write", full)
    assert_problem(nobody.get("/readyz"), 507, "storage-full")
