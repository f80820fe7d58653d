"""verify: which collections it reads, and what it names."""

from pathlib import Path

import pytest

from deploymetrics.storage import Collection


def fill(service):
    for number in range(150):
        service.save("many", b"%d" % number, "alice")
    service.save("once", b'{"a":1.10,"a":1E400}', "bob")


def test_what_verify_reads_is_all_that_there_is(app, master):
    master.post("/api/deploymentmetrics/custom", data="1")
    master.get("/readyz")
    folders = {folder.name for folder in Path(app.instance_path, "data").iterdir() if folder.is_dir()}
    assert {"deploymentmetrics", "accounts", "probes"} <= folders <= {one.name for one in Collection.known}


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
