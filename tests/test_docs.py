"""README and docs name every setting, command and route, and the generated parts are the current ones."""

import ast
import re
from pathlib import Path

import click
import pytest
from docutils.core import publish_doctree
from prometheus_client.parser import text_string_to_metric_families

from deploymetrics.api.openapi import routes
from deploymetrics.cli.settings import example_text
from deploymetrics.telemetry.document_metrics import HELP, NAME

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.rst").read_text()
PAGES = [path for path in sorted((ROOT / "docs").rglob("*.rst")) if "build" not in path.parts]
DOCS = README + "".join(path.read_text() for path in PAGES)


def test_the_example_has_every_setting():
    shown = (ROOT / "instance" / "config.example.py").read_text()
    assert shown == example_text(), "It is what deploymetrics settings --example prints."


def commands(group, prefix=""):
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{prefix}{name} ")
        else:
            yield prefix + name


def test_every_command_is_named(app):
    missing = [name for name in commands(app.cli) if not named(name)]
    assert not missing


def named(command):
    group, _, name = command.rpartition(" ")
    return re.search(rf"\b{group} .*\b{name}\b" if group else rf"deploymetrics\s{name}\b", DOCS)


def test_every_route_of_the_api_is_explained(app):
    explained = (ROOT / "docs" / "api.rst").read_text()
    missing = [path for path, _, _ in routes(app.url_map) if f"``{path}``" not in explained]
    assert not missing


def test_every_error_code_is_explained():
    code = re.compile(r'\bcode(?:: str)? ?= ?"([a-z-]+)"|^ {4}\d{3}: \("([a-z-]+)",', re.MULTILINE)
    source = "".join(path.read_text() for path in (ROOT / "deploymetrics").rglob("*.py"))
    codes = {found for match in code.finditer(source) for found in match.groups() if found}
    explained = (ROOT / "docs" / "reference" / "errors.rst").read_text()
    assert {name for name in codes if f"``{name}``" not in explained} == set()


def test_every_page_can_be_found():
    index = (ROOT / "docs" / "index.rst").read_text()
    names = [str(path.relative_to(ROOT / "docs").with_suffix("")) for path in PAGES]
    assert [name for name in names if name != "index" and f"\n   {name}\n" not in index] == []


def test_every_test_that_the_pages_on_security_name_exists():
    text = (ROOT / "docs" / "security.rst").read_text()
    table = (ROOT / "docs" / "asvs.rst").read_text()
    named = re.findall(r"``(tests/[\w/.]+)``", text) + [
        f"tests/{name}" for name in re.findall(r"``([\w/]*test_\w+\.py)``", table)
    ]
    assert len(named) > 80 and [name for name in named if not (ROOT / name).exists()] == []
    rows = re.findall(r"^   \d.*", table, re.MULTILINE)
    assert [row for row in rows if not re.search(r"\.py``$|:doc:`\w+`$", row)] == []


def doors():
    """Each folder of the package, and each module that stands beside them."""
    for path in sorted((ROOT / "deploymetrics").glob("[!_]*")):
        if path.suffix == ".py" or any(path.glob("*.py")):
            yield path.name if path.suffix else f"{path.name}/"


@pytest.mark.parametrize("door", [*doors()])
def test_every_folder_is_in_the_architecture(door):
    assert f"``{door}``" in (ROOT / "docs" / "architecture.rst").read_text()


def rooms():
    """The text about each folder: its rows in the architecture, and the docstring of its package."""
    rows = re.split(r"^``([a-z_/]+)/``", (ROOT / "docs" / "architecture.rst").read_text(), flags=re.MULTILINE)
    for package in sorted((ROOT / "deploymetrics").rglob("__init__.py")):
        folder = package.parent.relative_to(ROOT / "deploymetrics")
        if folder.parts and "migrations" not in folder.parts:
            names = {str(folder), str(folder.parent)}
            docstring = ast.get_docstring(ast.parse(package.read_text()))
            text = "".join(row for name, row in zip(rows[1::2], rows[2::2]) if name in names)
            yield pytest.param(package.parent, text + (docstring or ""), id=str(folder))


@pytest.mark.parametrize("folder, text", [*rooms()])
def test_every_module_is_named_where_its_folder_is_described(folder, text):
    missing = [path.name for path in folder.glob("[!_]*.py") if path.name not in text]
    assert not missing, "docs/architecture.rst says what each module is about."


@pytest.mark.parametrize("path", [*ROOT.glob("*.rst"), *(ROOT / "deploy").glob("*.rst")], ids=lambda path: path.name)
def test_what_is_read_without_sphinx_is_good_restructuredtext(path):
    publish_doctree(path.read_text(), str(path), settings_overrides={"report_level": 2, "halt_level": 2})


def test_every_metric_is_in_the_docs(app, master):
    """And no other."""
    families = [family.name for family in text_string_to_metric_families(master.get("/metrics").text)]
    shown = {f"{name}_total" if is_counter(name) else name for name in families} | {NAME + end for end in HELP}
    table = (ROOT / "docs" / "monitoring.rst").read_text().split("Beside BigFix")[0]
    named = set(re.findall(r"``((?:bigfix_deployment|deploymetrics)_\w+)``", table))
    assert {name.removesuffix("_info") for name in named} == {name.removesuffix("_info") for name in shown}


def is_counter(name):
    return name.endswith(("_requests", "_errors", "_rounds", "_logins"))
