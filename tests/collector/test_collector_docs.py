"""docs/collector.rst has every metric with its relevance, every setting and every column of the state."""

import re
from pathlib import Path

import pytest

from deploymetrics.collector.states import SourceState
from deploymetrics.config.settings import SETTINGS
from deploymetrics.sources import Context
from deploymetrics.sources.bigfix.metrics import default_metrics
from deploymetrics.sources.server import ServerSource
from deploymetrics.start_record import record_start

TEXT = (Path(__file__).parents[2] / "docs" / "collector.rst").read_text(encoding="utf-8")
ROW = re.compile(r"   \* - ``(\w+)``\n     - ``(.*)``\n     - (\w+)\n     - (.*)\n     - ``(.*)``\n")
EVERY = {"5 minutes": 300, "hour": 3600, "day": 86400}


def test_the_table_is_that_of_the_data_file():
    table = [(name, relevance, answer, EVERY[every]) for name, relevance, answer, every, _ in ROW.findall(TEXT)]
    assert table == [tuple(metric) for metric in default_metrics()]


def test_the_inspectors_named_are_those_of_the_relevance():
    for name, relevance, _, _, inspectors in ROW.findall(TEXT):
        for inspector in inspectors.split("``, ``"):
            first = inspector.partition(" of <")[0]
            assert re.search(rf"\b{first}", re.sub(r"(\w+)s of", r"\1 of", relevance)) or first in relevance, name


def test_the_metrics_of_the_server(app, services, clock):
    store = services.store
    services.documents.save("custom", b"1", "alice")
    record_start(store, clock)
    found = ServerSource(Context(app.config, app.instance_path, store, services.documents, services.accounts)).collect()
    section = TEXT.split("Metrics of the server")[1].split("Metrics of BigFix")[0]
    assert re.findall(r"   \* - ``(\w+)``\n", section) == list(found)


@pytest.mark.parametrize("name", [row.name for row in SETTINGS if row.name.startswith(("COLLECT", "BIGFIX_"))])
def test_settings(name):
    assert f"``{name}``" in TEXT or f"``{name} =" in TEXT or f"    {name} = " in TEXT


def test_the_fields_of_a_state():
    hidden = {"name", "configuration", "nextAttempt", "values", "damaged"}
    assert not [name for name in SourceState.__struct_fields__ if name not in hidden and f"``{name}``" not in TEXT]
