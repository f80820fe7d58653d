"""The package as others install it: built from its own sdist, installed elsewhere, and used as the README says."""

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from serving import ROOT
from waiting import wait_for

pytestmark = pytest.mark.slow


def run(*command, cwd, **environment):
    done = subprocess.run(command, cwd=cwd, env=os.environ | environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel that is made of the sdist that is made of what is under version control."""
    folder = tmp_path_factory.mktemp("package")
    source = folder / "source"
    source.mkdir()
    names = run("git", "ls-files", "-z", cwd=ROOT).split("\0")[:-1]
    run("cp", "--parents", "-t", str(source), *[name for name in names if (ROOT / name).exists()], cwd=ROOT)
    run(sys.executable, "-m", "build", "--outdir", str(folder), str(source), cwd=folder)
    (wheel,) = folder.glob("*.whl")
    return wheel


def test_everything_is_in_it(wheel):
    with zipfile.ZipFile(wheel) as archive:
        there = set(archive.namelist())
    names = run("git", "ls-files", "-z", "deploymetrics", cwd=ROOT).split("\0")[:-1]
    assert {name for name in names if (ROOT / name).exists()} <= there
    assert not [name for name in there if name.startswith(("tests", "benchmarks", "instance"))]


def test_it_serves_outside_a_checkout(wheel, tmp_path):
    run(sys.executable, "-m", "venv", "--without-pip", "there", cwd=tmp_path)
    there = tmp_path / "there"
    packages = Path(sysconfig.get_path("purelib", vars=dict.fromkeys(("base", "platbase"), str(there))))
    # What it depends on is that of the tests; the package itself is the one of the wheel.
    dependencies = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "dependencies.pth").write_text("\n".join(dependencies))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    python = str(there / "bin" / "python")
    environment = {"HOME": str(tmp_path), "DEPLOYMETRICS_INSTANCE": str(tmp_path / "instance"), "PYTHONPATH": ""}
    where = run(python, "-c", "import deploymetrics; print(deploymetrics.__file__)", cwd=tmp_path, **environment)
    assert where.strip() == str(packages / "deploymetrics" / "__init__.py")
    command = [python, "-m", "deploymetrics", "serve", "--bind", f"unix:{tmp_path / 'socket'}"]
    with open(tmp_path / "log", "w") as log:
        server = subprocess.Popen(command, cwd=tmp_path, env=os.environ | environment, stdout=log, stderr=log)
    try:
        wait_for(lambda: "Booting worker" in (tmp_path / "log").read_text(), "the server")
        for path, words in (
            ("/login", "Log in"),
            ("/api/docs", "/api/deploymentmetrics"),
            ("/static/style.css", "body"),
            ("/openapi.json", '"openapi"'),
            ("/xmlschema/BESAPI.xsd", "DeploymentMetrics"),
        ):
            shown = run(
                "curl", "-sS", "--unix-socket", str(tmp_path / "socket"), f"http://localhost{path}", cwd=tmp_path
            )
            assert words in shown, path
    finally:
        server.terminate()
        assert server.wait(30) == 0
