"""Headers: what those cost that are read, how long those are that are written, and that HEAD has those of GET."""

import subprocess
import sys

import pytest
from problems import assert_problem
from routes import filled

from deploymetrics.http import negotiation

LIST = "/api/deploymentmetrics"
URL = "/api/deploymentmetrics/custom"
SIZE = 8000
# Each is as long as gunicorn lets a header be, and of the kind that makes a careless parser slow.
PATTERNS = [
    "a/b" + "\t" * SIZE + "b",
    " " * SIZE,
    "," * SIZE,
    ";" * SIZE,
    '"' * SIZE,
    "\\" * SIZE,
    'a/b;c="' + "\\" * SIZE,
    "a/b;q=" + "1" * SIZE,
    "a/b;" + "a=b;" * (SIZE // 4),
    "a/b," * (SIZE // 4),
    'W/"a" , ' * (SIZE // 8),
    "W/" * (SIZE // 2),
    "a" + " " * SIZE + "b",
    "a" + "\t" * SIZE + ";b",
    '"a"' + " " * SIZE + "b",
    "*" * SIZE,
    "a=" * (SIZE // 2),
    "(" * SIZE,
    "Fri, " * (SIZE // 5),
    "Basic " + "=" * SIZE,
]
COST = """
import sys, time
from deploymetrics.errors import DeploymetricsError
from deploymetrics.http import negotiation, precondition_headers as headers
patterns = eval(sys.stdin.read())
for pattern in patterns:
    for read in (
        lambda: negotiation.choose_format(pattern, None), lambda: negotiation.choose_body_format(pattern),
        lambda: negotiation.check_encoding(pattern),
        *(lambda name=name: headers.read_precondition({name: pattern}, None) for name in headers._NAMES),
    ):
        start = time.process_time()
        try:
            read()
        except DeploymetricsError:
            pass
        print(time.process_time() - start)
"""


def test_a_header_costs_no_more_than_its_length():
    """Processor time, in a process of its own; 8,000 characters are read in 2 ms, and a careless parser takes 300."""
    done = subprocess.run(
        [sys.executable, "-c", COST], input=repr(PATTERNS), capture_output=True, text=True, check=True
    )
    times = [float(line) for line in done.stdout.split()]
    assert len(times) == 7 * len(PATTERNS) and max(times) < 0.02


@pytest.mark.parametrize("name", ["Accept", "Content-Type"])
def test_what_is_remembered_of_headers_is_bounded_in_bytes(master, name):
    remembered = negotiation._format_in_accept if name == "Accept" else negotiation._format_of_body
    remembered.cache_clear()
    for number in range(3):
        master.post(URL, data="1", headers={name: f"text/plain, */*;x={'y' * 300}{number}"})
    assert remembered.cache_info().currsize <= 1
    info = remembered.cache_info()
    assert info.maxsize * negotiation._SHORT < 2**20


def test_a_list_of_many_damaged_documents_has_short_headers(master, services, monkeypatch):
    """nginx takes 4 KiB of headers, Node 16; the rest is in ``deploymetrics verify``."""
    listing = services.documents.list()
    for number in (3, 5000):
        tags = tuple(f"{n:04}" + "é" * 28 for n in range(number))
        monkeypatch.setattr(services.store, "items", lambda kind, tags=tags: listing._replace(damaged=tags))
        headers = master.get(LIST).headers
        assert headers["Deploymetrics-Damaged-Count"] == str(number)
        assert len(headers["Deploymetrics-Damaged"]) <= 1000
        shown = headers["Deploymetrics-Damaged"].split(", ")
        assert shown == [tag.replace("é", "%C3%A9") for tag in tags[: len(shown)]]


def test_the_link_has_no_arguments_but_our_own(master):
    for number in "12":
        master.post(URL, data=number)
    link = master.get(f"{URL}/history?limit=1&output=json").headers["Link"]
    assert link == f'<http://localhost{URL}/history?limit=1&output=json&before=2>; rel="next"'
    master.post(f"{LIST}/other", data="1")
    link = master.get(f"{LIST}?limit=1&output=json&x={'%28' * 2000}").headers.get("Link", "")
    assert "%28" not in link and "((" not in link


def test_the_schema_is_found_from_the_answer(master, nobody):
    master.post(URL, data="1")
    for url in (URL, LIST, f"{URL}/history"):
        answer = master.get(url, query_string="output=xml")
        assert answer.headers["Link"] == '</xmlschema/BESAPI.xsd>; rel="describedby"'
    for name in ("BESAPI", "xpath-json", "problem"):
        schema = nobody.get(f"/xmlschema/{name}.xsd")
        assert (schema.status_code, schema.headers["Content-Type"]) == (200, "application/xml")
        assert b"<xs:schema" in schema.data
        schema.close()
    assert nobody.get("/xmlschema/style.css").status_code == 404
    assert nobody.get("/xmlschema/nothing.xsd").status_code == 404


def test_a_long_tag_costs_nothing(master):
    """Only what can be a tag is looked at for the reserved one."""
    assert_problem(master.post(f"{LIST}/{'%2525' * 1000}", data="1"), 400, "invalid-tag")


def test_head_has_the_headers_of_get(app, pages, save, services):
    """On every address, for whoever is logged in; ids and cookies differ each time."""
    save("custom", b"[1]")
    services.expectations.set("custom", 60, "bob")
    differ = {"X-Request-ID", "SessionToken", "Set-Cookie"}
    for rule in app.url_map.iter_rules():
        if "GET" in rule.methods and rule.rule != "/metrics":  # which counts the first of both
            with pages.get(filled(rule.rule)) as got, pages.head(filled(rule.rule)) as head:
                assert (head.status_code, head.data) == (got.status_code, b""), rule
                sent = [[header for header in one.headers if header[0] not in differ] for one in (got, head)]
            assert sent[0] == sent[1], rule
