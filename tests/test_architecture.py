"""Imports point down only, and the middle does not know Flask."""

import ast
from pathlib import Path

import pytest

import deploymetrics

FOLDER = Path(deploymetrics.__file__).parent
NO_FLASK = {
    "service", "storage", "accounts", "sessions", "throttle", "credentials", "errors", "rawjson", "besxml", "xpathjson",
    "config", "clock", "expiry", "reserved", "schemas", "sources", "collector",
    "platformdocument", "staleness", "figures", "transfer",
}
WEB_LIBRARIES = {"flask", "flask_login", "gunicorn", "click"}
# From the top to the bottom; a module may import those of the lines below its own, and of its own line.
LAYERS = [
    {"__init__", "__main__"},
    {"api", "web", "cli", "collect", "maintenance", "server"},
    {"problems", "openapi", "fairworker", "parts"},
    {"auth", "answers", "negotiation", "urls", "cookie"},
    {"collector", "platformdocument", "runner", "credentials", "service", "transfer"},
    {"figures", "staleness", "sessions", "throttle"},
    {"accounts", "sources", "expiry", "reserved", "schemas", "settings_text"},
    {"storage"},
    {"besxml", "config"},
    {"xpathjson", "refusals"},
    {"rawjson", "clock"},
    {"errors", "version", "wholenumber"},
]
DEPTH = {name: depth for depth, layer in enumerate(LAYERS) for name in layer}


def modules():
    """Each module of the package: its first name below it, and its path."""
    for path in sorted(FOLDER.rglob("*.py")):
        yield path.relative_to(FOLDER).with_suffix("").parts[0], path


def imported(path):
    """(name, whether inside a function) of the modules that a file imports: ``flask``, or ``.errors`` for our own."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    inside = {id(node) for function in functions for node in ast.walk(function)}
    levels_up = len(path.relative_to(FOLDER).parts)
    package = path.relative_to(FOLDER).parts[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name.split(".")[0], id(node) in inside) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module.split(".")[0], id(node) in inside
        elif isinstance(node, ast.ImportFrom) and node.level < levels_up:
            yield f".{package}", id(node) in inside
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield f".{node.module.split('.')[0]}", id(node) in inside
        elif isinstance(node, ast.ImportFrom):
            yield from ((f".{alias.name}", id(node) in inside) for alias in node.names)


def wrong_imports(module, path):
    """What a file imports at its top from above its own layer."""
    for name, is_inside in imported(path):
        if name.startswith(".") and not is_inside and name != f".{module}":
            other = name[1:] if name[1:] in DEPTH else "__init__"
            if DEPTH[other] < DEPTH[module]:
                yield name


@pytest.mark.parametrize(("module", "path"), [
    pytest.param(module, path, id=str(path.relative_to(FOLDER))) for module, path in modules() if module in DEPTH
])
def test_imports_point_down(module, path):
    assert list(wrong_imports(module, path)) == []


@pytest.mark.parametrize("module", sorted(NO_FLASK))
def test_no_flask_in_the_middle(module):
    paths = [path for name, path in modules() if name == module]
    assert paths
    for path in paths:
        names = {name for name, _ in imported(path)}
        assert names & WEB_LIBRARIES == set()
        assert names & {f".{edge}" for layer in LAYERS[:4] for edge in layer} == set()


def test_every_module_has_its_layer():
    assert {module for module, _ in modules()} - set(DEPTH) == set()


def test_no_module_is_long():
    assert [path.name for _, path in modules() if len(path.read_text(encoding="utf-8").splitlines()) > 450] == []


def test_the_edge_does_not_reach_into_the_storage():
    for module, path in modules():
        if module in ("api", "web", "cli", "server", "negotiation", "problems"):
            assert ".storage" not in {name for name, _ in imported(path)}, path
