"""``/metrics``: what it shows, in which form, to whom."""

import math
import os
import shutil
import subprocess

import pytest
from accesskit import URL
from problems import assert_problem
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as plain_text
from storekit import newest_file

from deploymetrics import create_app
from deploymetrics.formats import rawjson

METRIC = "bigfix_deployment_metric"


def samples(answer, parser=plain_text):
    """The samples of a scrape, by name and labels."""
    assert answer.status_code == 200, answer.data
    found = [sample for family in parser(answer.text) for sample in family.samples]
    values = {(sample.name, *sorted(sample.labels.items())): sample.value for sample in found}
    assert len(values) == len(found)
    return values


def numbers(answer):
    """The numbers in the documents, by tag and name."""
    found = samples(answer)
    return {(dict(key[1:])["tag"], dict(key[1:])["name"]): found[key] for key in found if key[0] == METRIC}


def one(answer, end, **labels):
    """The value of one sample of the documents; None where there is none."""
    return samples(answer).get((f"{METRIC}{end}", *sorted(labels.items())))


def test_every_number_and_every_string_that_is_one(master, save):
    save("custom", b'[{"number_of_endpoints":"5","share":1.50,"name":"relay","hex":"0x10","yes":true,"none":null}]')
    save("other", b'{"a":{"b":[-7,1E3]}}')
    assert numbers(master.get("/metrics")) == {
        ("custom", "number_of_endpoints"): 5,
        ("custom", "share"): 1.5,
        ("other", "a.b[0]"): -7,
        ("other", "a.b[1]"): 1000,
    }


def test_the_elements_of_an_array_keep_their_names_in_any_order(master, save):
    relays = [b'{"host":"a","clients":1}', b'{"host":"b","clients":2}']
    for order in (relays, relays[::-1]):
        save("relays", b"[%b]" % b",".join(order))
        found = numbers(master.get("/metrics"))
        assert found == {("relays", "[a].clients"): 1, ("relays", "[b].clients"): 2}


def test_names_and_tags_are_escaped(master, save):
    save('a"b\\c', rawjson.compact(rb'{"line\nbreak \"q\" \\":1,"\u20ac":2}'))
    for parser, accept in ((plain_text, ""), (open_metrics, "application/openmetrics-text; version=1.0.0")):
        found = samples(master.get("/metrics", headers={"Accept": accept}), parser)
        names = {dict(key[1:])["name"] for key in found if key[0] == METRIC}
        assert names == {'line\nbreak "q" \\', "€"}
        assert {dict(key[1:])["tag"] for key in found if key[0] == METRIC} == {'a"b\\c'}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12345678901234567890.5", 12345678901234567890.5),
        ("1E400", math.inf),
        ("-1E400", -math.inf),
        ("1e-400", 0),
        ('"-0.50"', -0.5),
        ("9" * 400, math.inf),
    ],
)
def test_numbers_that_are_no_floats(master, save, text, value):
    save("custom", b'{"n":%b}' % text.encode())
    assert numbers(master.get("/metrics")) == {("custom", "n"): value}


def test_what_is_said_of_a_tag(master, services, clock, save):
    save("custom", b"[1]")
    save("custom", b"[10]")
    services.expectations.set("custom", 3600, "bob")
    answer = master.get("/metrics")
    assert one(answer, "_version", tag="custom") == 2
    assert one(answer, "_size_bytes", tag="custom") == len(services.documents.get("custom").value)
    assert one(answer, "_last_changed_timestamp_seconds", tag="custom") == clock.timestamp()
    assert one(answer, "_expected_interval_seconds", tag="custom") == 3600
    assert one(answer, "_stale", tag="custom") == 0
    clock.forward(hours=2)
    assert one(master.get("/metrics"), "_stale", tag="custom") == 1
    services.expectations.set("custom", None, "bob")
    assert one(master.get("/metrics"), "_stale", tag="custom") is None
    services.documents.delete("custom", "bob")
    assert numbers(master.get("/metrics")) == {}
    assert one(master.get("/metrics"), "_version", tag="custom") is None


def test_a_damaged_document_is_counted(master, services, save, folder):
    save("custom", b"[1]")
    save("good", b"[2]")
    newest_file(folder, "deploymentmetrics", "custom").write_bytes(b"garbage\n")
    answer = create_app(folder).test_client().get("/metrics", auth=(master.name, master.password))
    assert numbers(answer) == {("good", "[0]"): 2}
    assert one(answer, "_tags_damaged") == 1


@pytest.mark.parametrize("app_settings", [{"METRICS_PER_TAG": 2, "METRICS_SERIES": 12}])
def test_what_is_too_much_is_left_out_and_said(master, save):
    for tag in "abcde":
        save(tag, b"[1,2,3]")
    answer = master.get("/metrics")
    # Three tags with three series each leave room for three numbers.
    assert list(numbers(answer)) == [("a", "[0]"), ("a", "[1]"), ("b", "[0]")]
    assert [one(answer, "_left_out", tag=tag) for tag in "abc"] == [1, 2, 3]
    assert one(answer, "_tags_left_out") == 2
    assert one(answer, "_version", tag="d") is None


@pytest.mark.parametrize("app_settings", [{"METRICS_PER_TAG": 0}, {"METRICS_SERIES": 0}])
def test_no_numbers_of_documents_at_all(master, save, app_settings):
    save("custom", b"[1,2,3]")
    answer = master.get("/metrics")
    assert numbers(answer) == {}
    assert one(answer, "_tags_left_out") == ("METRICS_SERIES" in app_settings)


@pytest.mark.parametrize(
    ("accept", "content_type", "parser"),
    [
        ("", "text/plain; version=0.0.4; charset=utf-8", plain_text),
        ("*/*", "text/plain; version=0.0.4; charset=utf-8", plain_text),
        ("text/plain;version=1.0.0", "text/plain; version=1.0.0; charset=utf-8", plain_text),
        (
            "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            open_metrics,
        ),
    ],
)
def test_both_formats(master, save, accept, content_type, parser):
    save("custom", b"[1]")
    answer = master.get("/metrics", headers={"Accept": accept})
    assert answer.headers["Content-Type"].startswith(content_type)
    assert samples(answer, parser)[METRIC, ("name", "[0]"), ("tag", "custom")] == 1
    assert answer.headers["Cache-Control"] == "no-store"
    head = master.head("/metrics", headers={"Accept": accept})
    assert (head.status_code, head.data) == (200, b"")


def test_errors_are_those_of_the_api(nobody, operator):
    assert_problem(nobody.get("/metrics"), 401, "unauthorized")
    assert_problem(operator.get("/metrics"), 403, "role-required")
    assert_problem(nobody.post("/metrics"), 401, "unauthorized")


def test_promtool_finds_nothing_to_mend(master, save, services):
    if not shutil.which("promtool"):
        assert "CI" not in os.environ, "promtool is missing"
        pytest.skip("needs promtool")
    save("custom", b'[{"number_of_endpoints":"5"}]')
    services.expectations.set("custom", 3600, "bob")
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=master.get("/metrics").data, capture_output=True, check=False
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


def test_requests_are_counted_by_route_and_status(tmp_path, master, clock):
    app = create_app(tmp_path / "instance", clock=clock)  # which takes the fast path, where it can
    ask = app.test_client(use_cookies=False).open
    auth = {"auth": (master.name, master.password)}
    for _ in range(3):
        ask(URL, method="POST", data="1", **auth)
        ask(URL, **auth)
    ask("/api/nothing", **auth)
    ask("/api/deploymentmetrics/none", **auth)
    ask(URL, method="BREW", **auth)
    found = samples(ask("/metrics", **auth))
    route = ("route", "/api/deploymentmetrics/<tag>")
    requests = "deploymetrics_http_requests_total"
    assert found[requests, ("method", "GET"), route, ("status", "200")] == 3
    assert found[requests, ("method", "POST"), route, ("status", "200")] == 3
    assert found[requests, ("method", "GET"), route, ("status", "404")] == 1
    assert found[requests, ("method", "GET"), ("route", ""), ("status", "404")] == 1
    assert found[requests, ("method", "other"), ("route", ""), ("status", "405")] == 1
    durations = "deploymetrics_http_request_duration_seconds"
    assert found[f"{durations}_count", ("method", "GET"), route] == 4
    assert found[f"{durations}_bucket", ("le", "+Inf"), ("method", "GET"), route] == 4
    assert found[("deploymetrics_http_requests_in_progress",)] == 1
    writes = "deploymetrics_storage_write_duration_seconds_count"
    assert found[writes, ("collection", "deploymentmetrics")] == 3


def test_processes_that_share_no_memory_say_who_counted(master):
    answer = master.get("/metrics", environ_overrides={"wsgi.multiprocess": True})
    assert ("deploymetrics_http_requests_in_progress", ("worker", str(os.getpid()))) in samples(answer)


def test_errors_of_the_storage_are_counted_from_0_on(master, save, folder):
    save("custom", b"[1]")
    found = samples(master.get("/metrics"))
    assert found["deploymetrics_storage_errors_total", ("code", "damaged-item")] == 0
    assert found["deploymetrics_failed_logins_total", ("status", "401")] == 0
    newest_file(folder, "deploymentmetrics", "custom").write_bytes(b"garbage\n")
    assert master.get(URL).status_code == 503
    found = samples(master.get("/metrics"))
    assert found["deploymetrics_storage_errors_total", ("code", "damaged-item")] >= 1
