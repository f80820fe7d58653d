"""Which format is read and written: the two pure functions as tables, and what comes of them over HTTP."""

import json

import pytest
from lxml import etree
from problems import assert_problem
from xmlkit import SCHEMA

from deploymetrics.errors import NotAcceptable, UnsupportedMediaType
from deploymetrics.http.requests import JSON, XML, choose_body_format, choose_format

LIST = "/api/deploymentmetrics"
URL = "/api/deploymentmetrics/custom"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
EXACT = [
    "1.10",
    "1E400",
    "-0.0",
    '{"a":1,"a":[null,true,"\\u0000 \\ud83d\\ude00 <&>"]}',
    '"\ufffe"',
    '{"":{}}',
    r'" \t"',
]


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (None, JSON),
        ("", JSON),
        (" ", JSON),
        ("*/*", JSON),
        ("application/json", JSON),
        ("application/*", JSON),
        ("application/xml", XML),
        ("text/xml", XML),
        ("APPLICATION/XML", XML),
        ("application/xml; q=0.2", XML),
        ("application/xml;charset=utf-8", XML),
        ("application/json;charset=utf-8", JSON),
        (BROWSER, JSON),
        ("text/html", JSON),
        ("text/html;q=0, application/xml", JSON),
        ("application/xml, TEXT/HTML", JSON),
        ("application/xml;q=0.9, application/json;q=0.8", XML),
        ("application/xml;q=0.8, application/json;q=0.9", JSON),
        ("application/xml, application/json", JSON),
        ("text/xml, application/json;q=0.9", XML),
        ("application/xml, */*;q=0.1", XML),
        ("application/xml, */*", JSON),
        ("application/json;q=0, */*", XML),
        ("image/png, */*;q=0.1", JSON),
        ("text/*", XML),
        ("image/png", None),
        ("text/plain", None),
        ("application/json;q=0", None),
        ("application/xml;q=0", None),
        ("*/*;q=0", None),
        ("application/yaml, image/*", None),
        ("nonsense", None),
        (";;;,", None),
        ("application/xhtml+xml", None),
        ("*", JSON),
        ("text/xml, *; q=.2, */*; q=.2", XML),
        ("application/xml ; Q=0.5 , application/json;q=.6", JSON),
        ("application/xml;q=2, application/json", JSON),
        ("application/xml;q=x, application/json;q=0.1", JSON),
        ("application/xml;q=nan", None),
        ("application/xml;q=-1", None),
        ("text/xml;v=1;q=0.5, */*;q=0.4", XML),
    ],
)
def test_format_by_accept(accept, form):
    if form is None:
        with pytest.raises(NotAcceptable):
            choose_format(accept, None)
    else:
        assert choose_format(accept, None) == form
    assert choose_format(accept, XML) == XML and choose_format(accept, JSON) == JSON


SNIFFED = "sniffed"


@pytest.mark.parametrize(
    ("content_type", "reader"),
    [
        ("application/json", JSON),
        ("application/json; charset=UTF-8", JSON),
        ("Application/JSON", JSON),
        ("application/vnd.x+json", JSON),
        ("text/x+json", JSON),
        ("application/xml", XML),
        ("text/xml;charset=utf8", XML),
        ("application/atom+xml", XML),
        ("", SNIFFED),
        ("text/plain", SNIFFED),
        ("text/plain; charset=utf-8", SNIFFED),
        ("application/octet-stream", SNIFFED),
        ("application/x-www-form-urlencoded", SNIFFED),
        ("application/json; charset=latin-1", None),
        ("text/xml; charset=utf-16", None),
        ("multipart/form-data; boundary=x", None),
        ("image/png", None),
        ("text/html", None),
        ("json", None),
        ("+json", None),
        ("a/b/c+json", None),
        ("application/yaml", None),
    ],
)
def test_reader_by_content_type(content_type, reader):
    if reader is None:
        with pytest.raises(UnsupportedMediaType):
            choose_body_format(content_type)
    else:
        assert choose_body_format(content_type) == (None if reader == SNIFFED else reader)


@pytest.mark.parametrize(
    ("query", "accept", "content_type"),
    [
        ("output=xml", "application/json", "application/xml"),
        ("output=json", "application/xml", "application/json"),
        ("output=XML", "image/png", "application/xml"),
        ("output=Json", "text/xml", "application/json"),
        ("fields=x", "application/xml", "application/xml"),
    ],
)
def test_output_wins_over_accept(master, query, accept, content_type):
    for answer in (
        master.post(URL, query_string=query, headers={"Accept": accept}, data="1"),
        master.get(URL, query_string=query, headers={"Accept": accept}),
        master.get(LIST, query_string=query, headers={"Accept": accept}),
    ):
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, content_type)
        assert answer.headers["Vary"] == "Accept"


@pytest.mark.parametrize("output", ["yaml", "", "XML ", "json,xml"])
def test_another_output_is_400(master, output):
    for answer in (
        master.post(URL, query_string={"output": output}, data="1"),
        master.get(LIST, query_string={"output": output}),
    ):
        assert "output" in assert_problem(answer, 400, "invalid-fields")["errors"]
    assert master.get(LIST).data == b"[]"
    master.post(URL, data="1")
    assert_problem(master.get(URL, query_string={"output": output}), 400, "invalid-fields")
    answer = master.get(LIST, query_string={"output": output}, headers={"Accept": "application/xml"})
    assert_problem(answer, 400, "invalid-fields", "xml")


@pytest.mark.parametrize("method", ["post", "put"])
def test_an_answer_that_is_not_taken_is_refused_before_anything_is_stored(master, method):
    assert_problem(getattr(master, method)(URL, data="1", headers={"Accept": "image/png"}), 406, "not-acceptable")
    assert master.get(LIST).data == b"[]"


def test_reading_what_is_not_taken_is_406(master):
    master.post(URL, data="1")
    for url in (URL, LIST):
        assert_problem(master.get(url, headers={"Accept": "image/png"}), 406, "not-acceptable")


# --- XML answers


def documents(answer):
    """The DeploymentMetrics elements of an answer in XML, which is valid."""
    assert answer.headers["Content-Type"] == "application/xml"
    assert answer.data.startswith(b'<?xml version="1.0" encoding="UTF-8"?>\n<BESAPI xmlns:xsi=')
    root = etree.fromstring(answer.data)
    SCHEMA.assertValid(root)
    return list(root)


def test_an_xml_answer_to_the_letter(master):
    answer = master.post(URL, query_string="output=xml", data='[{"bla": "3"}]')
    assert answer.text == (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<BESAPI xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="BESAPI.xsd">\n'
        '    <DeploymentMetrics Resource="http://localhost/api/deploymentmetrics/custom"'
        ' LastModified="Fri, 12 Jan 2018 12:00:03 +0000">\n'
        "        <Tag>custom</Tag>\n"
        "        <Metrics>\n"
        '            <array xmlns="http://www.w3.org/2005/xpath-functions">'
        '<map><string key="bla">3</string></map></array>\n'
        "        </Metrics>\n"
        "        <LastChanged>12 Jan 2018 12:00</LastChanged>\n"
        "    </DeploymentMetrics>\n"
        "</BESAPI>\n"
    )


def test_xml_answers_are_valid(master):
    xml = {"headers": {"Accept": "application/xml"}}
    assert documents(master.get(LIST, **xml)) == []
    for number, metrics in enumerate(EXACT):
        master.post(f"{LIST}/tag-{number}", data=metrics.encode())
        assert len(documents(master.get(f"{LIST}/tag-{number}", **xml))) == 1
    master.post(f"{LIST}/%EF%BF%BE%3C&", data="1")
    assert len(documents(master.get(LIST, **xml))) == len(EXACT) + 1
    assert_problem(master.get(f"{LIST}/missing", **xml), 404, "no-such-tag", "xml")
    assert_problem(master.get("/api/nothing", **xml), 404, "not-found", "xml")


@pytest.mark.parametrize("metrics", EXACT)
def test_an_xml_answer_posted_back_gives_the_same(master, metrics):
    master.post(URL, data=metrics.encode())
    before = master.get(URL).data
    shown = master.get(URL, query_string="output=xml").data
    master.delete(URL)
    assert master.post(URL, data=shown, content_type="application/xml").status_code == 200
    after = master.get(URL)
    assert after.json == json.loads(before)
    assert master.get(URL, query_string="output=xml").data == shown


@pytest.mark.parametrize(
    "content_type", ["", "text/plain", "application/octet-stream", "application/x-www-form-urlencoded"]
)
def test_the_first_character_decides_where_the_type_does_not(master, content_type):
    xml = (
        b"\n <BES><DeploymentMetrics><Metrics><null xmlns='http://www.w3.org/2005/xpath-functions'/></Metrics>"
        b"</DeploymentMetrics></BES>"
    )
    for body, metrics in ((b" [1.0]", "[1.0]"), (xml, "null"), (b'"<"', '"<"')):
        answer = master.post(URL, data=body, content_type=content_type)
        assert f'"metrics":{metrics},' in answer.text


def test_the_type_decides_where_it_is_given(master):
    assert_problem(master.post(URL, data="<BES/>", content_type="application/json"), 400, "malformed-json")
    assert_problem(master.post(URL, data="[]", content_type="text/xml"), 400, "malformed-xml")


def test_errors_come_in_the_format_that_was_asked_for(nobody, operator, master):
    forms = {"application/xml": "xml", "application/json": "json", BROWSER: "json", "image/png": "json"}
    for accept, form in forms.items():
        headers = {"Accept": accept}
        assert_problem(nobody.get(URL, headers=headers), 401, "unauthorized", form)
        assert_problem(operator.get(URL, headers=headers), 403, "role-required", form)
        bad = master.post(URL, headers=headers, data="{", query_string=f"output={form}")
        assert_problem(bad, 400, "malformed-json", form)
        assert_problem(master.patch(URL, headers=headers), 405, "method-not-allowed", form)
