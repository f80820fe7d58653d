"""The instance folder is moved away below a running application, as when a disk is unmounted, and comes back."""

import os
from pathlib import Path

import pytest
from conftest import PASSWORD
from problems import assert_problem

from deploymetrics import create_app
from deploymetrics.accounts.service import Role
from deploymetrics.config.loading import load_settings
from deploymetrics.errors import StorageError

LIST = "/api/deploymentmetrics"
URL = "/api/deploymentmetrics/custom"
SECRET = "a secret of an application"
BASIC = {"auth": ("jo", PASSWORD)}


@pytest.fixture
def move(app, tmp_path):
    """Move the instance folder away, and with ``back=True`` back again."""
    here, away = app.instance_path, tmp_path / "away"
    return lambda back=False: os.rename(away, here) if back else os.rename(here, away)


@pytest.fixture
def credentials(nobody, services):
    """What to send in a request, for each way of saying who asks; nothing is remembered of them."""
    services.accounts.add("jo", Role.MASTER_OPERATOR, PASSWORD)
    services.accounts.add("app", Role.WEBUI_APP, SECRET)
    token = nobody.get("/api/login", **BASIC).headers["SessionToken"]
    headers = {"SessionToken": token}, {"Authorization": f"Bearer {SECRET}"}
    return [BASIC, *({"headers": each} for each in headers)]


def test_a_moved_instance_is_503_and_not_made_anew(nobody, credentials, move, tmp_path):
    for credential in credentials:
        assert nobody.put(URL, data="1", **credential).status_code == 200
    move()
    for credential in credentials:
        for method in ("put", "post", "get", "delete"):
            answer = getattr(nobody, method)(URL, data="2", **credential)
            assert_problem(answer, 503, "storage-unavailable")
            assert answer.headers["Retry-After"] == "5"
    assert_problem(nobody.get(LIST, **BASIC), 503)
    assert os.listdir(tmp_path) == ["away"]
    move(back=True)
    assert nobody.get(URL, **BASIC).json["metrics"] == 1
    for credential in credentials:
        assert nobody.put(URL, data="3", **credential).status_code == 200


@pytest.mark.parametrize("gone", [".", "data"])
def test_a_worker_that_starts_meanwhile_makes_no_instance_either(app, tmp_path, gone):
    here, away = os.path.join(app.instance_path, gone), tmp_path / "away"
    settings = load_settings(Path(app.instance_path))
    os.rename(os.path.normpath(here), away)
    services = create_app(app.instance_path, settings).extensions["deploymetrics"]
    for call in CALLS.values():
        with pytest.raises(StorageError):
            call(services)
    assert not os.path.exists(here)
    os.rename(away, os.path.normpath(here))
    CALLS["save"](services)


CALLS = {
    "list": lambda services: services.documents.list(),
    "save": lambda services: services.documents.save("custom", b"1", "jo"),
    "expectations": lambda services: services.expectations.all(),
    "accounts": lambda services: services.accounts.list(),
    "log in": lambda services: services.authenticator.check_password("jo", PASSWORD, "::1"),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_storage_that_has_not_been_used_yet_makes_no_instance_either(services, move, tmp_path, call):
    move()
    with pytest.raises(StorageError):
        CALLS[call](services)
    assert os.listdir(tmp_path) == ["away"]
