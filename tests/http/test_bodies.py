"""Bad bodies: each is refused in the format that was asked for, nothing is stored, and the server goes on."""

import gzip
import io

import pytest
from problems import assert_place, assert_problem

from deploymetrics import create_app

LIST = "/api/deploymentmetrics"
URL = "/api/deploymentmetrics/custom"
DEEP = 513
FN = "xmlns='http://www.w3.org/2005/xpath-functions'"


def wrapped(value, tag="", root="BESAPI", before=""):
    """An XML body around an element."""
    return f"{before}<{root}><DeploymentMetrics>{tag}<Metrics>{value}</Metrics></DeploymentMetrics></{root}>".encode()


def arrays(depth):
    """XML arrays in each other."""
    return f"<array {FN}>" + "<array>" * (depth - 1) + "</array>" * depth


NULL = f"<null {FN}/>"
JSON_BODIES = {
    "empty": b"",
    "blank": b" \r\n\t",
    "word": b"bla",
    "open": b"[1",
    "open string": b'"a',
    "comma": b"[1,]",
    "object comma": b'{"a":1,}',
    "no colon": b'{"a" 1}',
    "single quotes": b"{'a':1}",
    "bare key": b"{a:1}",
    "two values": b"1 2",
    "NaN": b"NaN",
    "Infinity": b"[Infinity]",
    "-Infinity": b"-Infinity",
    "leading zero": b"01",
    "plus": b"+1",
    "point": b"1.",
    "hex": b"0x1",
    "exponent": b"1e",
    "comment": b"/**/1",
    "BOM": b"\xef\xbb\xbf[]",
    "Latin-1": b'"\xe9"',
    "overlong": b'"\xc0\xaf"',
    "UTF-16": "[]".encode("utf-16"),
    "cut UTF-8": b'"\xf0\x9f',
    "CESU": b'"\xed\xa0\x80"',
    "half": rb'"\ud800"',
    "low half": rb'"\udc00"',
    "pair turned": rb'"\udc00\ud800"',
    "control": b'"\n"',
    "NUL": b"\x00",
    "NUL in string": b'"\x00"',
    "escape": rb'"\x"',
    "short escape": rb'"\u12"',
    "True": b"True",
    "no-break space": b"\xc2\xa01",
    "form": b"a=1&b=2",
    "bracket": b"]",
    "wrong bracket": b"[}",
}
XML_BODIES = {
    "empty": b"",
    "blank": b" \n",
    "word": b"bla",
    "open": b"<BESAPI>",
    "crossed": b"<BESAPI><a></BESAPI></a>",
    "other root": wrapped(NULL, root="x"),
    "nothing in it": b"<BESAPI/>",
    "no metrics": b"<BESAPI><DeploymentMetrics/></BESAPI>",
    "empty metrics": wrapped(""),
    "text": wrapped("3"),
    "two values": wrapped(NULL + NULL),
    "no namespace": wrapped("<null/>"),
    "other element": wrapped(f"<list {FN}/>"),
    "no key": wrapped(f"<map {FN}><null/></map>"),
    "number": wrapped(f"<number {FN}>NaN</number>"),
    "zero": wrapped(f"<number {FN}>01</number>"),
    "boolean": wrapped(f"<boolean {FN}>yes</boolean>"),
    "null": wrapped(f"<null {FN}>0</null>"),
    "escape": wrapped(f"<string {FN} escaped='true'>\\x</string>"),
    "half": wrapped(f"<string {FN} escaped='true'>\\ud800</string>"),
    "two BOMs": b"\xef\xbb\xbf" * 2 + wrapped(NULL),
    "Latin-1": wrapped(f"<string {FN}>#</string>").replace(b"#", b"\xe9"),
    "declared": wrapped(NULL, before="<?xml version='1.0' encoding='utf-16'?>"),
    "two roots": wrapped(NULL) * 2,
    "NUL": wrapped(NULL) + b"\x00",
    "entity": wrapped(f"<string {FN}>&unknown;</string>"),
    "control": wrapped(f"<string {FN}>&#1;</string>"),
    "prefix": wrapped("<j:null/>"),
    "two documents": f"<BES>{2 * f'<DeploymentMetrics><Metrics>{NULL}</Metrics></DeploymentMetrics>'}</BES>".encode(),
}
FORBIDDEN_XML = {
    "doctype": "<!DOCTYPE BESAPI>",
    "internal": "<!DOCTYPE BESAPI [<!ENTITY a 'b'>]>",
    "parameter": "<!DOCTYPE BESAPI [<!ENTITY % a 'b'>%a;]>",
    "file": "<!DOCTYPE BESAPI [<!ENTITY a SYSTEM 'file:///etc/passwd'>]>",
    "network": "<!DOCTYPE BESAPI SYSTEM 'http://127.0.0.1:9/x.dtd'>",
    "laughs": "<!DOCTYPE BESAPI [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;&a;&a;&a;'><!ENTITY c '&b;&b;&b;&b;&b;'>]>",
    "instruction": "<?xml-stylesheet href='http://127.0.0.1:9/x'?>",
    "public": "<!DOCTYPE BESAPI PUBLIC 'a' 'http://127.0.0.1:9/x.dtd'>",
}
REFUSED = [
    *[pytest.param("json", body, "malformed-json", id=f"json {name}") for name, body in JSON_BODIES.items()],
    *[pytest.param("xml", body, "malformed-xml", id=f"xml {name}") for name, body in XML_BODIES.items()],
    *[
        pytest.param("xml", wrapped(NULL, before=text), "forbidden-xml", id=f"xml {name}")
        for name, text in FORBIDDEN_XML.items()
    ],
    pytest.param("json", b"[" * DEEP + b"]" * DEEP, "too-deep", id="json deep"),
    pytest.param("json", b'{"a":' * DEEP + b"1" + b"}" * DEEP, "too-deep", id="json deep objects"),
    pytest.param("json", b"[" * 500_000, "too-deep", id="json very deep"),
    pytest.param("xml", wrapped(arrays(DEEP)), "too-deep", id="xml deep"),
    pytest.param("xml", b"<a>" * 300_000, "too-deep", id="xml very deep"),
]


@pytest.mark.parametrize(("kind", "body", "code"), REFUSED)
def test_a_bad_body_is_400_with_its_place(master, kind, body, code):
    for form in ("json", "xml"):
        answer = master.post(URL, data=body, content_type=f"application/{kind}", query_string={"output": form})
        assert_place(assert_problem(answer, 400, code, form))
    assert master.get(LIST).data == b"[]"
    assert master.post(URL, data="1").status_code == 200


@pytest.mark.parametrize(
    ("body", "line", "column"),
    [
        (b"[1,\n 2,\n x]", 3, 2),
        (b'{"a":1,}', 1, 8),
        (b"", 1, 1),
        (b'["\xc3\xa9", x]', 1, 7),
        (b'\n"\xff"', 2, 2),
        (b"[\n[}\n]", 2, 2),
    ],
)
def test_the_place_is_right(master, body, line, column):
    problem = assert_problem(master.post(URL, data=body), 400, "malformed-json", line=line, column=column)
    assert f"(line {line}, column {column})" in problem["detail"]


@pytest.mark.parametrize("body", [b"[" * 512 + b"]" * 512, b'{"a":' * 512 + b"1" + b"}" * 512, wrapped(arrays(512))])
def test_as_deep_as_allowed(master, body):
    assert master.post(URL, data=body).status_code == 200
    assert master.get(URL, query_string="output=xml").status_code == 200
    assert master.get(LIST, query_string="output=xml").status_code == 200


def test_a_tag_in_the_body_is_that_of_the_address(master):
    for form in ("json", "xml"):
        answer = master.post(URL, data=wrapped(NULL, "<Tag>other</Tag>"), query_string={"output": form})
        assert_problem(answer, 400, "tag-mismatch", form)
    assert master.get(LIST).data == b"[]"
    assert master.post(URL, data=wrapped(NULL, "<Tag>custom</Tag>")).status_code == 200


def test_no_body_at_all(master):
    assert_problem(master.post(URL), 400, "malformed-json")
    assert master.get(LIST).data == b"[]"


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Content-Type": "image/png"}, "unsupported-media-type"),
        ({"Content-Type": "multipart/form-data; boundary=x"}, "unsupported-media-type"),
        ({"Content-Type": "application/json; charset=utf-16"}, "unsupported-charset"),
        ({"Content-Encoding": "gzip"}, "content-encoding"),
        ({"Content-Encoding": "identity, gzip"}, "content-encoding"),
        ({"Content-Type": "text/html"}, "unsupported-media-type"),
    ],
)
@pytest.mark.parametrize("form", ["json", "xml"])
def test_what_is_not_read_is_415(master, headers, code, form):
    body = gzip.compress(b"[]") if headers.get("Content-Encoding") == "gzip" else b"[]"
    assert_problem(master.post(URL, data=body, headers=headers, query_string={"output": form}), 415, code, form)
    assert master.get(LIST).data == b"[]"


@pytest.mark.parametrize("method", ["put", "post"])
def test_a_part_is_not_taken_for_all(master, method):
    answer = getattr(master, method)(URL, data=b"[]", headers={"Content-Range": "bytes 0-1/9"})
    assert_problem(answer, 400, "content-range")
    assert master.get(LIST).data == b"[]"


@pytest.mark.parametrize("coding", ["identity", "Identity", " identity ", "identity, identity"])
def test_a_body_that_is_not_encoded_is_read(master, coding):
    assert master.post(URL, data=b"[]", headers={"Content-Encoding": coding}).status_code == 200


def test_a_refused_encoding_says_which_one_is_read(master):
    answer = master.post(URL, data=b"[]", headers={"Content-Encoding": "br"})
    assert (answer.status_code, answer.headers["Accept-Encoding"]) == (415, "identity")


@pytest.mark.parametrize("content_type", ["application/xml", "text/plain"])
def test_xml_may_begin_with_a_byte_order_mark(master, content_type):
    """XML 1.0 says so in 4.3.3, and .NET writes one."""
    for before in ("", "<?xml version='1.0' encoding='utf-8'?>"):
        body = b"\xef\xbb\xbf" + wrapped(NULL, before=before)
        assert master.post(URL, data=body, content_type=content_type).json["metrics"] is None


@pytest.mark.parametrize("before", [b"\n", b" ", b"\r\n\t", b"<!-- a -->", b"\xef\xbb\xbf\n"])
def test_what_stands_before_the_declaration_is_named(master, before):
    body = before + wrapped(NULL, before="<?xml version='1.0'?>")
    problem = assert_problem(master.post(URL, data=body, content_type="application/xml"), 400, "malformed-xml")
    assert "XML declaration must be the very first thing" in problem["detail"]


WHOLE = '{"tag":"custom","metrics":[1],"lastChanged":"12 Jan 2018 12:00"}'


@pytest.mark.parametrize(
    "body", [WHOLE, '{"lastChanged":"","metrics":null,"tag":"custom"}', WHOLE.replace("custom", "cust\\u006fm")]
)
def test_a_whole_document_is_not_taken_for_its_metrics(master, body):
    """What a GET answers, changed and posted back, would nest the document in itself; in XML it is unwrapped."""
    for method in (master.post, master.put):
        assert_problem(method(URL, data=body), 400, "whole-document")
    assert master.get(LIST).data == b"[]"


@pytest.mark.parametrize(
    "body",
    [
        WHOLE.replace("custom", "other"),
        WHOLE[:-1] + ',"more":1}',
        f"[{WHOLE}]",
        '{"tag":"custom","metrics":1}',
        '{"tag":["custom"],"metrics":1,"lastChanged":2}',
        '{"tag":1e999,"metrics":1,"lastChanged":2}',
    ],
)
def test_what_only_looks_like_a_document_is_metrics(master, body):
    assert master.post(URL, data=body).data == b'{"tag":"custom","metrics":%b,"lastChanged":"12 Jan 2018 12:00"}' % (
        body.encode()
    )


@pytest.fixture
def small(tmp_path, person, master):
    """The master operator's client on an application of the same folder that takes 100 bytes."""
    app = create_app(tmp_path / "instance", settings={"MAX_BODY_BYTES": 100})
    master.client = app.test_client(use_cookies=False)
    return master


@pytest.mark.parametrize("form", ["json", "xml"])
@pytest.mark.parametrize("size", [101, 5_000])
def test_a_body_over_the_limit_is_413(small, form, size):
    body = b'"' + b"x" * (size - 2) + b'"'
    told = {"data": body}
    chunked = {
        "input_stream": io.BytesIO(body),
        "headers": {"Transfer-Encoding": "chunked"},
        "environ_overrides": {"wsgi.input_terminated": True, "CONTENT_LENGTH": ""},
    }
    for request in (told, chunked):
        answer = small.post(URL, query_string={"output": form}, **request)
        problem = assert_problem(answer, 413, "body-too-large", form, limit=100)
        assert "100 bytes" in problem["detail"]
    assert small.get(LIST).data == b"[]"


def test_a_body_of_the_limit_is_taken(small):
    assert small.post(URL, data=b'"' + b"x" * 98 + b'"').status_code == 200
    assert small.put(
        URL,
        input_stream=io.BytesIO(b"[2]"),
        headers={"Transfer-Encoding": "chunked"},
        environ_overrides={"wsgi.input_terminated": True, "CONTENT_LENGTH": ""},
    ).json["metrics"] == [2]


def test_the_default_limit_is_a_mebibyte(master):
    assert_problem(master.post(URL, data=b'"' + b"x" * 2**20 + b'"'), 413, "body-too-large", limit=2**20)


class BrokenOff(io.RawIOBase):
    """A body that the client stops sending, as the server's timeout tells."""

    asked = 0

    def readable(self):
        return True

    def readinto(self, buffer):
        self.asked += 1
        raise TimeoutError


def test_a_body_that_broke_off_is_not_waited_for_again(master):
    body = BrokenOff()
    environ = {"wsgi.input": body, "wsgi.input_terminated": True, "CONTENT_LENGTH": "100"}
    assert_problem(master.post(URL, environ_overrides=environ), 400, "broken-body")
    assert body.asked == 1
