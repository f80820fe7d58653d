"""README and docs name every setting, command and route, and the generated parts are the current ones."""

import re
from pathlib import Path

import click
import pytest
from docutils.core import publish_doctree
from prometheus_client.parser import text_string_to_metric_families

from deploymetrics.api.openapi import help_index
from deploymetrics.config import documentation
from deploymetrics.telemetry.documents import HELP, NAME

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.rst").read_text()
DOCS = README + "".join(path.read_text() for path in sorted((ROOT / "docs").glob("*.rst")))
OWN_COMMANDS = {"run", "shell", "routes"}  # Flask's


def test_the_readme_has_the_table_of_settings():
    table = README.split(".. settings\n\n")[1].split("\n.. end of settings")[0]
    assert table == documentation.table()


def test_the_example_has_every_setting():
    assert (ROOT / "instance" / "config.example.py").read_text() == documentation.example()


def commands(group, prefix=""):
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{prefix}{name} ")
        else:
            yield prefix + name


def test_every_command_is_named(app):
    missing = [name for name in commands(app.cli) if name.split()[-1] not in OWN_COMMANDS and not named(name)]
    assert not missing


def named(command):
    group, _, name = command.rpartition(" ")
    return re.search(rf"\b{group} .*\b{name}\b" if group else rf"deploymetrics\s{name}\b", DOCS)


def test_every_route_of_the_api_is_in_the_readme(app):
    missing = [path for path in help_index(app.url_map).split() if f"``{path}``" not in README]
    assert not missing


def doors():
    """Each folder of the package, and each module that stands beside them."""
    for path in sorted((ROOT / "deploymetrics").glob("[!_]*")):
        if path.suffix == ".py" or any(path.glob("*.py")):
            yield path.name if path.suffix else f"{path.name}/"


@pytest.mark.parametrize("door", [*doors()])
def test_every_folder_is_in_the_architecture(door):
    assert f"``{door}``" in (ROOT / "docs" / "architecture.rst").read_text()


@pytest.mark.parametrize("path", [*ROOT.glob("*.rst"), *(ROOT / "docs").glob("*.rst")], ids=lambda path: path.name)
def test_every_document_is_good_restructuredtext(path):
    publish_doctree(path.read_text(), str(path), settings_overrides={"report_level": 2, "halt_level": 2})


def test_every_metric_is_in_the_docs(app, master):
    """And no other."""
    families = [family.name for family in text_string_to_metric_families(master.get("/metrics").text)]
    shown = {f"{name}_total" if is_counter(name) else name for name in families} | {NAME + end for end in HELP}
    table = (ROOT / "docs" / "monitoring.rst").read_text().split("Beside BigFix")[0]
    named = set(re.findall(r"``((?:bigfix_deployment|deploymetrics)_\w+)``", table))
    assert {name.removesuffix("_info") for name in named} == {name.removesuffix("_info") for name in shown}


def is_counter(name):
    return name.endswith(("_requests", "_errors", "_rounds"))
