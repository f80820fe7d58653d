"""verify: which collections it reads, and what it names."""

import subprocess
import sys
from pathlib import Path

import pytest


def fill(service):
    for number in range(150):
        service.save("many", b"%d" % number, "alice")
    service.save("once", b'{"a":1.10,"a":1E400}', "bob")


PROGRAM = """
import pkgutil, sys
from importlib import import_module
import deploymetrics
from deploymetrics.storage import Collection
deploymetrics.create_app(sys.argv[1])
known = {one.name for one in Collection.known}
for module in pkgutil.walk_packages(deploymetrics.__path__, "deploymetrics."):
    if not module.name.endswith((".__main__", ".env")):  # which run something
        import_module(module.name)
assert known == {one.name for one in Collection.known}
print(*known)
"""


def test_what_verify_reads_is_all_that_there_is(tmp_path):
    """Each collection adds itself, so its module has to be one that every application imports."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert {"deploymentmetrics", "accounts", "probes"} <= {*done.stdout.split()}


def test_verify_finds_nothing_where_all_is_well(service, invoke):
    fill(service)
    assert (invoke("verify").exit_code, invoke("verify").stdout) == (0, "")


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("deploymentmetrics/once.json", b"2"),
        ("deploymentmetrics/once.json", b""),
        ("deploymentmetrics/once.json", None),
        ("data/deploymentmetrics/once/00000000000000001.jsonl", b'{"version":1,}\n'),
        ("deploymentmetrics/once.json", b'{"tag":"other","metrics":1,"lastChanged":""}'),
        ("deploymentmetrics/Once.json", b'{"tag":"Once","metrics":1,"lastChanged":""}'),
        ("data/deploymentmetrics/many/00000000000000001.jsonl", b"nonsense\n"),
        ("data/accounts/accounts/99999999999999999.jsonl", b"{}\n"),
    ],
)
def test_verify_names_what_is_damaged(app, service, invoke, path, data):
    fill(service)
    file = Path(app.instance_path, path)
    file.parent.mkdir(exist_ok=True, parents=True)
    file.unlink() if data is None else file.write_bytes(data)
    result = invoke("verify")
    assert result.exit_code == 1
    name = file.parent.name if file.parent.parent.parent.name == "data" else file.stem
    assert name in result.stdout, result.output
