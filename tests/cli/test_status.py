"""``deploymetrics status``: the page about an instance."""

from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from storekit import newest_file

from deploymetrics import create_app
from deploymetrics.cli import main
from deploymetrics.version import VERSION

SECRET = "a secret of sixteen"


@pytest.fixture
def instance(tmp_path):
    folder = tmp_path / "instance"
    create_app(folder)
    (folder / "config.py").write_text(f"SECRET_KEY = {SECRET!r}\nTHREADS = 7\n")
    (folder / "config.py").chmod(0o600)
    return folder


@pytest.fixture
def run(instance):
    """Run the command; gives what it printed, once it exited as said."""

    def call(*arguments, code=0):
        result = CliRunner().invoke(main, arguments, env={"DEPLOYMETRICS_INSTANCE": str(instance)})
        assert result.exit_code == code, (result.output, result.exception)
        return result.stdout

    return call


def test_a_good_instance(run, instance, monkeypatch):
    monkeypatch.setattr("deploymetrics.cli.status.disk_usage", lambda folder: SimpleNamespace(total=2e9, free=3.4e6))
    run("collect")
    create_app(instance).extensions["deploymetrics"].documents.save("custom", b"1", "bob")
    shown = run("status")
    for words in (
        f"deploymetrics {VERSION}, Python",
        "storage: files:, 2 documents, 0 damaged",
        "reads and writes",
        "3 MB of 2,000 MB are free",
        "collector: ",
        "server: good",
        f"# The instance folder is {instance}.",
        "THREADS = 7  # config.py",
        "SECRET_KEY = ...  # config.py",
    ):
        assert words in shown
    assert SECRET not in shown


def test_what_is_wrong_is_named_and_is_the_exit_status(run, instance):
    assert "server: never asked" in run("status", code=1)
    run("collect")
    create_app(instance).extensions["deploymetrics"].documents.save("cus\u202etom", b"1", "bob")
    newest_file(instance, "deploymentmetrics", "cus%E2%80%AEtom").write_bytes(b"garbage\n")
    assert r"damaged: cus\u202etom" in run("status", code=1)


def test_a_folder_that_takes_no_writes(run, instance, monkeypatch):
    run("collect")
    monkeypatch.setattr("os.fdatasync", lambda fd: (_ for _ in ()).throw(OSError(5, "broken")))
    assert "storage: The storage cannot answer now" in run("status", code=1)
