"""Imports point down only, by folder, and the middle does not know Flask."""

import ast
import functools
import subprocess
import sys
from pathlib import Path

import pytest

import deploymetrics

FOLDER = Path(deploymetrics.__file__).parent
# From the top to the bottom: the folders, and the modules that stand beside them. Each may import those of the lines
# below its own, and of its own line.
LAYERS = [
    {"__init__", "__main__", "application"},
    {"api", "web", "cli", "server", "telemetry"},
    {"services", "maintenance", "upgrade"},
    {"http"},
    {"collector"},
    {"sources"},
    {"documents", "accounts", "start_record"},
    {"storage", "formats"},
    {"config", "errors", "clock", "schemas", "version"},
]
DEPTH = {name: depth for depth, layer in enumerate(LAYERS) for name in layer}
NO_FLASK = {name for layer in LAYERS[4:] for name in layer}
WEB_LIBRARIES = {"flask", "flask_login", "gunicorn", "click"}
NO_STORAGE = {"api", "web", "cli", "server", "http"}
MODULES = sorted(FOLDER.rglob("*.py"))


def name_of(path):
    """The folder of a file, or its own name where it stands beside the folders."""
    return path.relative_to(FOLDER).with_suffix("").parts[0]


@functools.cache
def imported(path):
    """(name, whether inside a function) of what a file imports: ``flask``, or ``.errors`` for our own."""
    return list(_imported(path))


def _imported(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    inside = {id(node) for function in functions for node in ast.walk(function)}
    levels_up = len(path.relative_to(FOLDER).parts)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name.split(".")[0], id(node) in inside) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module.split(".")[0], id(node) in inside
        elif isinstance(node, ast.ImportFrom) and node.level < levels_up:
            yield f".{name_of(path)}", id(node) in inside
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield f".{node.module.split('.')[0]}", id(node) in inside
        elif isinstance(node, ast.ImportFrom):
            yield from ((f".{alias.name}", id(node) in inside) for alias in node.names)


def wrong_imports(path):
    """What a file imports at its top from above its own layer."""
    for name, is_inside in imported(path):
        if name.startswith(".") and not is_inside:
            other = name[1:] if name[1:] in DEPTH else "__init__"
            if DEPTH[other] < DEPTH[name_of(path)]:
                yield name


def by_path(paths):
    return pytest.mark.parametrize("path", [pytest.param(path, id=str(path.relative_to(FOLDER))) for path in paths])


@by_path(MODULES)
def test_imports_point_down(path):
    assert list(wrong_imports(path)) == []


@by_path(path for path in MODULES if name_of(path) in NO_FLASK or path.parent.name == "figures")
def test_no_flask_in_the_middle(path):
    assert {name for name, _ in imported(path)} & WEB_LIBRARIES == set()


@by_path(path for path in MODULES if name_of(path) in NO_STORAGE)
def test_the_edge_does_not_reach_into_the_storage(path):
    assert ".storage" not in {name for name, _ in imported(path)}


def test_every_folder_has_its_layer():
    assert {name_of(path) for path in MODULES} == set(DEPTH)


def test_no_module_is_long():
    assert [path.name for path in MODULES if len(path.read_text(encoding="utf-8").splitlines()) > 450] == []


def test_what_only_some_requests_need_is_not_read_at_the_start():
    late = "{'lxml', 'prometheus_client', 'gunicorn', 'sqlalchemy'}"
    code = f"import sys, deploymetrics; print({late} & {{*sys.modules}})"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"
