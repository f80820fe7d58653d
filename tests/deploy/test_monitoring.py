"""The files for Prometheus and Grafana: what they ask for exists, and the alerts fire when they should."""

import itertools
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from deploymetrics.telemetry.document_metrics import HELP, NAME

DEPLOY = Path(__file__).parents[2] / "deploy"
DASHBOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
#: What Grafana puts in the place of its variables.
FILLED = {
    "${tag:percentencode}": "cust%23m",
    "${name:percentencode}": "a%5B0%5D",
    "${__from}": "1515758400000",
    "${__to}": "1515844800000",
}


@pytest.fixture
def samples(master):
    """The names of all samples that there may be."""
    master.put("/api/deploymentmetrics/custom", data="[1]")
    families = list(text_string_to_metric_families(master.get("/metrics").text))
    names = {NAME + end for end in HELP} | {family.name for family in families}
    return names | {
        f"{family.name}_{end}"
        for family in families
        for end in {"counter": ["total"], "histogram": ["bucket"]}.get(family.type, [])
    }


@pytest.mark.parametrize("path", [DEPLOY / "prometheus" / "rules.yml", *DASHBOARDS], ids=lambda path: path.name)
def test_every_metric_exists(samples, path):
    text = path.read_text()
    named = set(re.findall(r"\b(?:bigfix_deployment_metric|deploymetrics)_?\w*", text)) - {"deploymetrics"}
    assert named - samples == set()


def addresses():
    """Every address in the dashboard that asks the API."""
    for path in DASHBOARDS:
        yield from re.findall(r'"url": "(/[^"]*)"', path.read_text())


def test_every_address_answers(master, services):
    master.put("/api/deploymentmetrics/cust%23m", data='{"a":[1]}')
    services.expectations.set("cust#m", 60, "bob")
    found = list(addresses())
    assert len(found) >= 5
    for url in found:
        for name, value in FILLED.items():
            url = url.replace(name, value)
        answer = master.get(url)
        assert "$" not in url and answer.status_code == 200, (url, answer.text)
    points = master.get("/api/deploymentmetrics/cust%23m/series?name=a%5B0%5D").get_json()["series"][0]["points"]
    assert list(points[0]) == ["time", "version", "value"]


def test_each_panel_has_a_place_of_its_own():
    for path in DASHBOARDS:
        panels = json.loads(path.read_text())["panels"]
        places = [place for one in panels for place in covered(**one["gridPos"])]
        assert len(set(places)) == len(places) and all(one["title"] and one["targets"] for one in panels)


def covered(x, y, w, h):
    return itertools.product(range(x, x + w), range(y, y + h))


@pytest.mark.parametrize(
    "arguments", ["check rules rules.yml", "test rules rules.test.yml", "check config --syntax-only prometheus.yml"]
)
def test_promtool(arguments):
    if not shutil.which("promtool"):
        assert "CI" not in os.environ, "promtool is missing"
        pytest.skip("needs promtool")
    command = ["promtool", *arguments.split()]
    done = subprocess.run(command, cwd=DEPLOY / "prometheus", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
