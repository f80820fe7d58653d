"""``/api/login`` and ``/api/help`` to the letter, and the OpenAPI document, valid and complete."""

import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import PASSWORD
from problems import assert_problem

from deploymetrics.api.openapi import routes
from deploymetrics.http.responses import PRIVATE
from deploymetrics.version import VERSION


@pytest.mark.parametrize("role", ["master", "operator", "webui"])
def test_login_to_the_letter(request, nobody, role):
    answer = request.getfixturevalue(role).get("/api/login")
    assert (answer.status_code, answer.data, answer.headers["Content-Type"]) == (200, b"ok", "text/plain")
    assert answer.headers["Cache-Control"] == "no-store"
    token = answer.headers["SessionToken"]
    assert re.fullmatch(r"[\w-]{43}", token)
    again = nobody.get("/api/login", headers={"SessionToken": token})
    assert (again.data, again.headers["SessionToken"]) == (b"ok", token)
    assert request.getfixturevalue(role).get("/api/login").headers["SessionToken"] != token


def test_help_to_the_letter(operator):
    answer = operator.get("/api/help")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/plain")
    lines = answer.text.splitlines(keepends=True)
    paths = ["deploymentmetrics", "deploymentmetrics/{tag}", "help", "help/{resource}", "login"]
    wanted = [f"/api/{path}\n" for path in paths]
    assert [line for line in lines if line in wanted] == wanted
    assert lines == sorted(lines) and len(set(lines)) == len(lines)


def test_help_of_a_resource_to_the_letter(operator):
    answer = operator.get("/api/help/deploymentmetrics")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/plain")
    assert answer.text.startswith("GET:\n    /api/deploymentmetrics\n    /api/deploymentmetrics/{tag}\n")
    assert answer.text.endswith(
        "POST:\n    /api/deploymentmetrics/{tag}\n"
        "PUT:\n    /api/deploymentmetrics/{tag}\n"
        "DELETE:\n    /api/deploymentmetrics/{tag}\n"
    )
    assert operator.get("/api/help/login").text == "GET:\n    /api/login\n"
    assert operator.get("/api/help/help").text == "GET:\n    /api/help\n    /api/help/{resource}\n"


@pytest.mark.parametrize("resource", ["nothing", "deployment", "deploymentmetrics%2F{tag}", "<tag>", "%00", "static"])
def test_help_of_nothing_is_404(master, resource):
    assert_problem(master.get(f"/api/help/{resource}"), 404, "not-found")


def test_help_misses_no_route(app, operator):
    rules = {rule.rule for rule in app.url_map.iter_rules() if rule.rule.startswith("/api/")}
    paths = {re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule) for rule in rules}
    assert set(operator.get("/api/help").text.split()) == paths
    for resource in {path.split("/")[2] for path in paths}:
        text = operator.get(f"/api/help/{resource}").text
        assert all(path in text.split() for path in paths if path.split("/")[2] == resource)


# --- OpenAPI


def test_every_view_of_the_api_says_what_it_answers(app):
    """Else there is no description at all: /openapi.json is a 500."""
    views = {path: app.view_functions[rule.endpoint] for path, _, rule in routes(app.url_map) if path != "/api/docs"}
    silent = [path for path, view in views.items() if not hasattr(view, "operation")]
    assert not silent, "Their views need @answers."


@pytest.fixture
def document(nobody):
    answer = nobody.get("/openapi.json")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")
    return answer.json


def test_the_document_is_valid(document):
    from openapi_spec_validator import validate  # takes long to load, which other tests need not wait for

    validate(document)
    assert (document["openapi"], document["info"]["version"]) == ("3.1.0", VERSION)


def test_the_document_is_complete(app, document):
    described = {(path, method.upper()) for path, methods in document["paths"].items() for method in methods}
    routes = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method)
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api")
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    assert described == routes - {("/api/docs", "GET")}  # which shows it


def test_each_operation_says_enough(document):
    operations = [operation for methods in document["paths"].values() for operation in methods.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    for operation in operations:
        assert operation["summary"].endswith(".") and operation["description"].startswith("For ")
        assert {"401", "429"} <= set(operation["responses"])


@pytest.mark.parametrize(
    ("path", "method", "statuses"),
    [
        ("/api/deploymentmetrics", "get", "200 304 400 401 403 405 406 412 429 500 503"),
        ("/api/deploymentmetrics/{tag}", "get", "200 304 400 401 403 404 405 406 412 429 500 503"),
        ("/api/deploymentmetrics/{tag}", "post", "200 400 401 403 405 406 412 413 415 429 500 503 507"),
        ("/api/deploymentmetrics/{tag}", "put", "200 400 401 403 405 406 412 413 415 429 500 503 507"),
        ("/api/deploymentmetrics/{tag}", "delete", "204 400 401 403 404 405 412 429 500 503 507"),
    ],
)
def test_the_statuses_of_the_operations_on_documents(document, path, method, statuses):
    assert sorted(document["paths"][path][method]["responses"]) == statuses.split()


def test_a_document_and_a_problem_are_as_described(document, master):
    saved = master.post("/api/deploymentmetrics/custom", data="1").json
    assert list(saved) == document["components"]["schemas"]["Document"]["required"]
    problem = master.post("/api/deploymentmetrics/custom", data="{").json
    described = document["components"]["schemas"]["Problem"]
    assert set(described["required"]) <= set(problem) <= set(described["properties"])


def operations(document):
    """Each (path, method, operation) of the document."""
    return [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def test_generators_understand_the_document(document):
    """No schema is a constant or an enumeration without a type, which generated clients stumble over."""
    assert document["servers"] == [{"url": "/"}]
    names = {tag["name"] for tag in document["tags"]}
    assert all(set(operation["tags"]) <= names for _, _, operation in operations(document))

    def look(value):
        if isinstance(value, dict):
            assert "const" not in value
            assert "enum" not in value or value["type"] == "string"
            value = list(value.values())
        for inner in value if isinstance(value, list) else ():
            look(inner)

    look(document)


def test_arguments_that_may_be_given_again_are_arrays(document):
    """So a generated client can send more than one."""
    arrays = {
        (path, parameter["name"])
        for path, _, operation in operations(document)
        for parameter in operation["parameters"]
        if parameter["in"] == "query" and parameter["schema"]["type"] == "array"
    }
    assert arrays == {("/api/token", "tags"), ("/api/deploymentmetrics/{tag}/series", "name")}


def test_the_server_is_where_the_application_is(nobody):
    prefixed = nobody.get("/openapi.json", environ_overrides={"SCRIPT_NAME": "/bigfix"})
    assert prefixed.json["servers"] == [{"url": "/bigfix"}]


def test_expectations_are_described_in_json_only(document):
    for path, method, operation in operations(document):
        has_xml = any("application/xml" in response.get("content", ()) for response in operation["responses"].values())
        assert has_xml == (
            "token" in path or "deploymentmetrics" in path and "series" not in path and method != "delete"
        )
    body = document["paths"]["/api/expectations/{tag}"]["put"]["requestBody"]["content"]
    assert list(body) == ["application/json"]
    assert body["application/json"]["schema"]["required"] == ["everySeconds"]


@pytest.mark.parametrize(
    "url",
    [
        "/api/deploymentmetrics",
        "/api/deploymentmetrics/custom",
        "/api/login",
        "/api/expectations/custom",
        "/api/deploymentmetrics/custom/history",
    ],
)
def test_the_headers_of_an_answer_are_described(document, master, url):
    for number in "12":
        master.post("/api/deploymentmetrics/custom", data=number)
    master.put("/api/expectations/custom", data='{"everySeconds": 60}')
    described = document["paths"][url.replace("custom", "{tag}")]["get"]["responses"]["200"]["headers"]
    common = {"Content-Type", "Content-Length", *PRIVATE}
    query = "?limit=1" if "login" not in url else ""
    assert set(dict(master.get(f"{url}{query}").headers)) - common <= set(described)


@pytest.fixture
def generated(document, tmp_path, monkeypatch):
    """Import a module of the Python client that openapi-python-client makes of the document."""
    pytest.importorskip("openapi_python_client")
    (tmp_path / "openapi.json").write_text(json.dumps(document))
    subprocess.run(
        [
            sys.executable,
            "-m",
            "openapi_python_client",
            "generate",
            "--meta",
            "none",
            "--path",
            str(tmp_path / "openapi.json"),
            "--output-path",
            str(tmp_path / "metrics_client"),
        ],
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        check=True,
    )
    monkeypatch.syspath_prepend(tmp_path)
    return lambda name: importlib.import_module(f"metrics_client.{name}")


def test_a_generated_client_works_unpatched(app, master, generated):
    httpx = pytest.importorskip("httpx")
    client = generated("client").Client(
        base_url="http://localhost",
        httpx_args={"transport": httpx.WSGITransport(app=app), "auth": ("master-operator", PASSWORD)},
    )
    names = ("save_document_post", "show_document_get", "show_history_get")
    save, show, history = (generated(f"api.deploymentmetrics.{name}") for name in names)
    assert save.sync("custom", client=client, body=[{"bla": 3}]).metrics == [{"bla": 3}]
    shown = show.sync_detailed("custom", client=client)
    assert (shown.parsed.tag, shown.parsed.last_changed) == ("custom", "12 Jan 2018 12:00")
    moved = save.sync_detailed("custom", client=client, body=1, if_match='"other"')
    assert (moved.status_code, moved.parsed.code) == (412, "precondition-failed")
    assert moved.headers["ETag"] == shown.headers["ETag"]
    assert history.sync("custom", client=client)[0].version == 1
    interval = generated("models").SaveExpectationPutBody(every_seconds=60)
    expected = generated("api.expectations.save_expectation_put").sync("custom", client=client, body=interval)
    assert (expected.every_seconds, expected.state) == (60, "fresh")


def test_the_page_shows_every_operation_to_everyone(app, nobody):
    answer = nobody.get("/api/docs")
    assert answer.status_code == 200 and "script-src 'self'" in answer.headers["Content-Security-Policy"]
    for path, operations in nobody.get("/openapi.json").json["paths"].items():
        section = answer.text.partition(f'<h2 id="{path}">')[2].partition("</section>")[0]
        assert set(re.findall("<h3>(.*)</h3>", section)) == {method.upper() for method in operations}
    assert "<script>" not in answer.text and "style=" not in answer.text
