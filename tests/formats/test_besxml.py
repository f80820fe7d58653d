"""The XML codec, the one parser and the writer of answers."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from corpus import kept
from effort import processor_seconds
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from xmlkit import SCHEMA

from deploymetrics.errors import BadRequest, DeploymetricsError, MalformedBodyError
from deploymetrics.formats import besxml, jsonxml, rawjson, xmlbody

NS = 'xmlns="http://www.w3.org/2005/xpath-functions"'
MIB = 1 << 20


def document(metrics=b"[]", **changes):
    """A document as the API would show it."""
    shown = {"resource": "https://host:52311/api/deploymentmetrics/custom", "last_changed": "12 Jan 2018 12:00"}
    shown |= {"tag": "custom", "modified": datetime(2018, 1, 12, 12, tzinfo=UTC), "metrics": metrics}
    return besxml.document_element(**shown | changes)


def assert_valid(answer):
    """The root of an answer, which is valid against the schema."""
    root = etree.fromstring(answer, etree.XMLParser(huge_tree=True))
    SCHEMA.assertValid(root)
    return root


def envelope(value, root="BESAPI", before="", after="", inside=""):
    """A body around an XPath element, as bytes."""
    parts = f"{before}<Metrics>{value}</Metrics>{after}"
    return f"<{root}><DeploymentMetrics>{parts}</DeploymentMetrics>{inside}</{root}>".encode()


def read(value):
    """The JSON of an XPath element sent in a body."""
    return xmlbody.read_document(envelope(value), "custom")


def refusal(body, code="malformed-xml"):
    """The error that ``read_document`` raises for a body; its code is checked, and that it says where."""
    with pytest.raises(MalformedBodyError) as caught:
        xmlbody.read_document(body, "custom")
    assert caught.value.code == code
    assert caught.value.extra["line"] >= 1 <= caught.value.extra["column"]
    return caught.value


# --- JSON to XML and back


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("null", f"<null {NS}/>"),
        ("true", f"<boolean {NS}>true</boolean>"),
        ("1.10", f"<number {NS}>1.10</number>"),
        ('""', f"<string {NS}></string>"),
        ("[]", f"<array {NS}></array>"),
        ('[{"bla":"3"}]', f'<array {NS}><map><string key="bla">3</string></map></array>'),
        ('{"a":1,"a":[]}', f'<map {NS}><number key="a">1</number><array key="a"></array></map>'),
        (r'"a<&>\"]]>"', f"<string {NS}>a&lt;&amp;&gt;&quot;]]&gt;</string>"),
        (r'{"\t\n":"\r"}', f'<map {NS}><string key="&#9;&#10;">&#13;</string></map>'),
        (r'"\u0000\\\""', rf'<string {NS} escaped="true">\u0000\\\&quot;</string>'),
        (r'{"\b":null}', rf'<map {NS}><null escaped-key="true" key="\b"/></map>'),
        ('"\ufffe"', rf'<string {NS} escaped="true">\ufffe</string>'),
        ('"\uffff"', rf'<string {NS} escaped="true">\uffff</string>'),
        (r'"\\n"', rf"<string {NS}>\n</string>"),
        ('"\U0001f600"', f"<string {NS}>\U0001f600</string>"),
    ],
)
def test_json_to_xml(text, fragment):
    assert jsonxml.json_to_xml(text.encode()) == fragment
    assert rawjson.parse(jsonxml.to_json(etree.fromstring(fragment)).encode()) == rawjson.parse(text.encode())


@pytest.mark.parametrize(
    "text",
    [
        "1E400",
        "12345678901234567890.5",
        "-0",
        "-0.0e-0",
        "9" * 5000,
        "[1.0,1.00,1e+05]",
        "{}",
        "[[],{}]",
        '["[","{",1]',
        '{"b":1,"a":2,"b":3,"":{"":[]}}',
        '{"":{"1":"}"},"2":"["}',
    ],
)
def test_the_text_survives_xml(text):
    answer = besxml.render_document(document(text.encode()))
    assert_valid(answer)
    assert xmlbody.read_document(answer, "custom") == text.encode()


NUMBERS = st.integers().map(str) | st.floats(allow_nan=False, allow_infinity=False).map(repr) | st.just("-0E+400")
TEXT = st.text() | st.text('\x00\x1f\\"\r\n\t\ufffe<&u0')


def json_object(pairs):
    """The JSON text of key and value text pairs."""
    return "{" + ",".join(f"{rawjson.quote(key)}:{value}" for key, value in pairs) + "}"


JSON = st.recursive(
    NUMBERS | TEXT.map(rawjson.quote) | st.sampled_from(["null", "true", "false"]),
    lambda inner: (
        st.lists(inner).map(lambda items: f"[{','.join(items)}]") | st.lists(st.tuples(TEXT, inner)).map(json_object)
    ),
)


@settings(deadline=None)
@given(JSON)
def test_every_value_survives_and_is_valid(text):
    metrics = rawjson.compact(text.encode())
    answer = besxml.render_document(document(metrics))
    assert_valid(answer)
    assert xmlbody.read_document(answer, "custom") == metrics


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (f"<string {NS}><![CDATA[<!DOCTYPE x><?y?>]]><!-- <!DOCTYPE x> -->z</string>", '"<!DOCTYPE x><?y?>z"'),
        (f'<string {NS} escaped="1">\\n"\n\\\\"\\u00e9\\"</string>', '"\\n\\"\\n\\\\\\"é\\""'),
        (f'<string {NS} escaped="false">\\n</string>', '"\\\\n"'),
        (f'<map {NS}><null key="\\t" escaped-key=" true "/></map>', '{"\\t":null}'),
        (f"<array {NS}> <number> 1.0 </number>\n<boolean>0</boolean><!-- x --></array>", "[1.0,false]"),
        ('<p:array xmlns:p="http://www.w3.org/2005/xpath-functions"><p:null/></p:array>', "[null]"),
        (f'<null {NS} xml:base="x" xmlns:q="q" q:a="b"/>', "null"),
        (f"<string {NS}>&#x1F600;&lt;&amp;&quot;</string>", '"\U0001f600<&\\""'),
    ],
)
def test_other_spellings_are_read(value, text):
    assert read(value) == text.encode()


@pytest.mark.parametrize(
    "value",
    [
        "<null/>",
        f"<text {NS}/>",
        '<null xmlns="urn:x"/>',
        f"<null {NS}>x</null>",
        f"<null {NS}><null/></null>",
        f"<number {NS}></number>",
        f"<number {NS}>01</number>",
        f"<number {NS}>1.</number>",
        f"<number {NS}>NaN</number>",
        f"<number {NS}>INF</number>",
        f"<number {NS}>+1</number>",
        f"<number {NS}>\u0661</number>",
        f"<number {NS}>1 2</number>",
        f"<boolean {NS}>True</boolean>",
        f"<boolean {NS}/>",
        f"<array {NS}>x</array>",
        f"<array {NS}><null/>x</array>",
        f"<map {NS}><null/></map>",
        f'<array {NS}><null key="a"/></array>',
        f'<null {NS} key="a"/>',
        f"<string {NS}>a<null/></string>",
        f'<string {NS} escaped="yes"/>',
        f'<number {NS} escaped="true">1</number>',
        f'<map {NS}><null key="a" other=""/></map>',
        f'<string {NS} escaped="true">\\x</string>',
        f'<string {NS} escaped="true">\\</string>',
        f'<string {NS} escaped="true">\\ud800</string>',
        f'<map {NS}><null key="\\" escaped-key="true"/></map>',
        f'<map {NS}><null key="" escaped-key="2"/></map>',
        f"<array {NS}>\xa0</array>",
    ],
)
def test_wrong_values_are_refused(value):
    refusal(envelope(value))


def test_the_place_is_the_wrong_element():
    body = envelope(f'<!-- <a> -->\n<array {NS}>\n<string>é</string> <map><null key=">"/><x/></map></array>')
    assert refusal(body).extra == {"line": 3, "column": 40}


def test_a_megabyte_of_digits():
    digits = "9" * MIB
    assert read(f"<number {NS}>{digits}</number>") == digits.encode()


@pytest.mark.parametrize(("start", "end"), [("[", "]"), ('{"a":', "}")])
@pytest.mark.parametrize("leaf", ["1", "[]"])
def test_depth_is_exact(start, end, leaf):
    levels = rawjson.MAX_DEPTH - (leaf == "[]")
    metrics = f"{start * levels}{leaf}{end * levels}".encode()
    answer = besxml.render_document(document(metrics))
    assert_valid(answer)
    assert xmlbody.read_document(answer, "custom") == metrics
    deeper = answer.replace(b"<Metrics>", f"<Metrics><array {NS}>".encode())
    deeper = deeper.replace(b"</Metrics>", b"</array></Metrics>")
    assert refusal(deeper, "too-deep").extra["line"] == 6


def test_the_full_depth_under_a_deep_stack():
    metrics = b"[" * rawjson.MAX_DEPTH + b"]" * rawjson.MAX_DEPTH

    def deep(frames):
        if frames:
            return deep(frames - 1)
        return xmlbody.read_document(besxml.render_document(document(metrics)), "custom")

    assert deep(150) == metrics


# --- The envelope

NULL = f"<null {NS}/>"


def test_an_element_has_at_most_100_attributes():
    def with_attributes(count):
        names = " ".join(f"a{n}=''" for n in range(count))
        return envelope(NULL).replace(b"<BESAPI>", f"<BESAPI {names}>".encode())

    assert xmlbody.read_document(with_attributes(100), "custom") == b"null"
    assert "100 attributes" in refusal(with_attributes(101)).detail


@pytest.mark.parametrize(
    "body",
    [
        envelope(NULL),
        envelope(NULL, root="BES"),
        envelope(NULL, before="<Tag>custom</Tag>", after="<LastChanged>whenever</LastChanged>"),
        envelope(NULL, before="<LastChanged/>", after="<Tag>custom</Tag>"),
        envelope(NULL, before='<Tag escaped="true">c\\u0075stom</Tag>'),
        envelope(NULL).replace(b"<DeploymentMetrics>", b'<DeploymentMetrics Resource="x" Other="y">'),
        envelope(f"\n<!-- a -->{NULL} "),
        b'<?xml version="1.0"?>' + envelope(NULL),
        b'<?xml version="1.0" encoding="utf-8" standalone="yes"?>\n<!-- a -->\n' + envelope(NULL) + b"\n",
        b"<?xml version='1.0' encoding='US-ASCII'?>" + envelope(NULL),
        b" \n" + envelope(NULL),
        b"\xef\xbb\xbf" + envelope(NULL),
    ],
)
def test_envelopes_that_are_read(body):
    assert xmlbody.read_document(body, "custom") == b"null"


@pytest.mark.parametrize(
    "body",
    [
        NULL.encode(),
        b"<BESAPI/>",
        b"<BES>x</BES>",
        envelope(NULL, root="bes"),
        envelope(NULL, root="Metrics"),
        b"<BESAPI><DeploymentMetrics/></BESAPI>",
        envelope(""),
        envelope("x"),
        envelope(NULL + NULL),
        envelope(NULL + "x"),
        envelope(NULL, before="<Metrics/>"),
        envelope(NULL, before="<Tag>custom</Tag><Tag>custom</Tag>"),
        envelope(NULL, after="<Other/>"),
        envelope(NULL, after="x"),
        envelope(NULL, inside="<Other/>"),
        envelope(NULL, inside="<DeploymentMetrics/>"),
        envelope(NULL, inside="x"),
        envelope(NULL, before="<Tag>custom<b/></Tag>"),
        envelope(NULL).replace(b"<BESAPI>", b'<BESAPI xmlns="urn:x">'),
        b"",
        b"  ",
        b"x",
        b"<",
        b"<BESAPI>",
        envelope(NULL) + b"x",
        envelope(NULL)[:-1],
        b"\xef\xbb\xbf" * 2 + envelope(NULL),
        b"\n<?xml version='1.0'?>" + envelope(NULL),
        envelope(NULL.replace("null", "p:null")),
        envelope(f"<string {NS}>\x01</string>"),
        envelope(f"<string {NS}>&#0;</string>"),
        envelope(f"<string {NS}>&#xD800;</string>"),
        envelope(f"<string {NS}>\xff</string>").replace(b"\xc3\xbf", b"\xff"),
        b"<!-- a",
        envelope("<![CDATA[ a"),
        b'<?xml version="2.0"?>' + envelope(NULL),
        envelope(NULL).replace(b"<BESAPI>", b"<BESAPI a='1' a='2'>"),
    ],
)
def test_envelopes_that_are_refused(body):
    refusal(body)


@pytest.mark.parametrize(
    "tag",
    [
        "<Tag>other</Tag>",
        "<Tag/>",
        "<Tag>Custom</Tag>",
        "<Tag>c ustom</Tag>",
        "<Tag> custom</Tag>",
        "<Tag>custom\n</Tag>",
        '<Tag escaped="true">custom\\u0020</Tag>',
    ],
)
def test_another_tag(tag):
    """White space at its ends makes it another one too: no tag has that."""
    with pytest.raises(BadRequest) as caught:
        xmlbody.read_document(envelope(NULL, before=tag), "custom")
    assert caught.value.code == "tag-mismatch"


def test_a_syntax_error_has_its_place():
    assert refusal(b"<BES>\n  <a></b>\n</BES>").extra["line"] == 2


# --- Attacks


def doctype(subset, value=NULL):
    """A body with a DOCTYPE."""
    return f"<!DOCTYPE BESAPI {subset}>".encode() + envelope(value)


XINCLUDE = '<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="file:///etc/passwd" parse="text"/>'
LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))


@pytest.mark.parametrize(
    "body",
    [
        doctype(f'[<!ENTITY l0 "lol">{LAUGHS}]', f"<string {NS}>&l9;</string>"),
        doctype(f'[<!ENTITY a "{"a" * 50000}">]', f"<string {NS}>{'&a;' * 5000}</string>"),
        doctype('[<!ENTITY x SYSTEM "file:///etc/passwd">]', f"<string {NS}>&x;</string>"),
        doctype('[<!ENTITY % p SYSTEM "http://127.0.0.1:1/x.dtd"> %p;]'),
        doctype('SYSTEM "http://127.0.0.1:1/x.dtd"'),
        doctype('PUBLIC "-//X" "file:///etc/passwd"'),
        b'<?xml version="1.0"?><!-- a --> ' + doctype(""),
        b'<?xml-stylesheet href="file:///etc/passwd"?>' + envelope(NULL),
        envelope(f"<array {NS}><?php x ?></array>"),
        envelope(NULL) + b"<?x?>",
    ],
    ids=range(10),
)
def test_doctypes_and_instructions_are_forbidden(body):
    with processor_seconds(2):
        refusal(body, "forbidden-xml")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"<a>" * 100_000 + b"</a>" * 100_000, "too-deep"),
        (b"<a b='>'>" * 100_000, "too-deep"),
        (envelope(XINCLUDE), "malformed-xml"),
        (doctype('[<!ENTITY x "y">]').decode().encode("utf-16"), "malformed-xml"),
        (doctype('[<!ENTITY x "y">]').decode().encode("utf-16-le"), "malformed-xml"),
        (b'<?xml version="1.0" encoding="UTF-7"?>+ADwAIQ-DOCTYPE a+AD4-' + envelope(NULL), "malformed-xml"),
        (b"<?xml version='1.0' encoding='UTF-16'?>" + envelope(NULL), "malformed-xml"),
        (b'<?xml version="1.0" encoding="iso-8859-1"?>' + envelope(NULL), "malformed-xml"),
        (envelope(f"<string {NS}>&nbsp;</string>"), "malformed-xml"),
        (b'<a x="' + b"a" * MIB + b'"/>', "malformed-xml"),
        (b"<" + b"a" * MIB + b"/>", "malformed-xml"),
        (envelope(f"<null {NS} " + " ".join(f'a{n}=""' for n in range(90_000)) + "/>"), "malformed-xml"),
        (b"<" * MIB, "malformed-xml"),
        (envelope(NULL).replace(b"<Metrics>", b'<!ENTITY x "y"><Metrics>'), "malformed-xml"),
        (b"<a '" * (MIB // 4), "malformed-xml"),
        (b"<!--" * (MIB // 4), "malformed-xml"),
        (b"<![CDATA[" * (MIB // 9), "malformed-xml"),
        (b"<a>" + b"<!-- -->" * (MIB // 8), "malformed-xml"),
        (envelope(f'<string {NS} escaped="true">' + "\\" * MIB + '\\"\\</string>'), "malformed-xml"),
    ],
    ids=range(19),
)
def test_attacks_are_refused_fast(body, code):
    with processor_seconds(2):
        refusal(body, code)


def test_no_file_is_opened(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("s3cret")
    body = f'<!DOCTYPE a [<!ENTITY x SYSTEM "{secret.as_uri()}">]><a>&x;</a>'.encode()
    assert "s3cret" not in refusal(body, "forbidden-xml").detail


PIECES = st.sampled_from(
    [f"<{end}{name}>".encode() for name in ("BESAPI", "DeploymentMetrics", "Metrics") for end in ("", "/")]
    + [NULL.encode(), b"<!--", b"-->", b"<![CDATA[", b"]]>", b"<!DOCTYPE a>", b"<?x?>", b'<?xml version="1.0"?>']
    + [b"&x;", b"&#", b'"', b"'", b"<a ", b"/>", b">", b"\x00", b"\xff"]
)


@kept("xml")
@settings(deadline=None)
@given(st.binary() | st.lists(PIECES | st.binary(max_size=3), max_size=20).map(b"".join))
def test_any_bytes_give_json_or_our_error(body):
    for sent in (body, envelope("@").replace(b"@", body)):
        try:
            rawjson.parse(xmlbody.read_document(sent, "custom"))
        except DeploymetricsError as error:
            assert error.code in ("malformed-xml", "forbidden-xml")
            assert error.extra["line"] >= 1


# --- Answers


def test_a_document_is_the_one_of_the_contract():
    assert besxml.render_document(document(b'[{"bla":"3"}]')).decode() == (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<BESAPI xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="BESAPI.xsd">\n'
        '    <DeploymentMetrics Resource="https://host:52311/api/deploymentmetrics/custom"'
        ' LastModified="Fri, 12 Jan 2018 12:00:00 +0000">\n'
        "        <Tag>custom</Tag>\n"
        "        <Metrics>\n"
        f'            <array {NS}><map><string key="bla">3</string></map></array>\n'
        "        </Metrics>\n"
        "        <LastChanged>12 Jan 2018 12:00</LastChanged>\n"
        "    </DeploymentMetrics>\n"
        "</BESAPI>\n"
    )


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_list_is_streamed_a_piece_a_document(count):
    asked = []
    pieces = besxml.render_documents(asked.append(n) or document(b"%d" % n) for n in range(count))
    next(pieces)
    assert asked == []
    rest = list(pieces)
    assert len(rest) == count + 1
    root = assert_valid(b"".join([next(besxml.render_documents([])), *rest]))
    assert root.xpath("*/Metrics/*/text()") == [str(n) for n in range(count)]


def test_one_document_is_a_list_of_one():
    assert b"".join(besxml.render_documents([document()])) == besxml.render_document(document())


def test_the_history_has_its_attributes():
    past = {"changed_at": "2018-01-12T12:00:03.123456Z", "changed_by": "alice"}
    gone = document(None, version=2, deleted=True, last_changed=None, modified=None, **past)
    root = assert_valid(b"".join(besxml.render_documents([gone, document(version=1, **past)])))
    names = ("Version", "ChangedAt", "ChangedBy", "Deleted")
    assert [root[0].get(name) for name in names] == ["2", "2018-01-12T12:00:03.123456Z", "alice", "true"]
    assert [child.tag for child in root[0]] == ["Tag"]
    assert [root[1].get(name) for name in names] == ["1", "2018-01-12T12:00:03.123456Z", "alice", None]
    assert root[1].get("LastModified") and root[0].get("LastModified") is None


def test_last_modified_is_english_gmt():
    modified = datetime(2018, 5, 13, 1, 30, tzinfo=timezone(timedelta(hours=2)))
    root = assert_valid(besxml.render_document(document(modified=modified)))
    assert root[0].get("LastModified") == "Sat, 12 May 2018 23:30:00 +0000"


@pytest.mark.parametrize("text", ["<&>\"'", "\x00\x1f", "\ufffe", "\ud800", "é\U0001f600", "a\r\n\tb"])
def test_odd_names_keep_the_xml_well_formed(text):
    shown = "".join("\ufffd" if char in "\x00\x1f\ufffe\ud800" else char for char in text)
    root = assert_valid(
        besxml.render_document(document(changed_by=text, changed_at="2018-01-12T12:00:03.1Z", version=1))
    )
    assert root[0].get("ChangedBy") == shown


@pytest.mark.parametrize("tag", ["a&<b", "\ufffe", "é\U0001f600", "\\n", "\\\uffff"])
def test_every_tag_comes_back(tag):
    answer = besxml.render_document(document(tag=tag))
    assert_valid(answer)
    assert xmlbody.read_document(answer, tag) == b"[]"
    assert (b'<Tag escaped="true">' in answer) == bool({"\ufffe", "\uffff"} & set(tag))


def test_a_long_list_is_quick():
    with processor_seconds(10):  # well under one here
        size = sum(map(len, besxml.render_documents(document(b'{"a":"%s"}' % (b"x" * 1000)) for _ in range(10_000))))
    assert size > 10_000_000


# --- Problems

PROBLEM = {"type": "about:blank", "title": "Bad Request", "status": 400, "detail": "No.", "code": "bad-request"}


def test_a_problem():
    assert besxml.render_problem({**PROBLEM, "line": 3, "column": 1}).decode() == (
        '<?xml version="1.0" encoding="UTF-8"?>\n<problem xmlns="urn:ietf:rfc:7807"><type>about:blank</type>'
        "<title>Bad Request</title><status>400</status><detail>No.</detail><code>bad-request</code>"
        "<line>3</line><column>1</column></problem>\n"
    )


@pytest.mark.parametrize(
    ("extra", "path", "texts"),
    [
        ({"detail": "\x00<&\ufffe"}, "p:detail", ["\ufffd<&\ufffd"]),
        ({"request_id": "ab-1", "limit": 5}, "p:request_id|p:limit", ["ab-1", "5"]),
        ({"errors": {"tag": ["One.", "Two."]}}, "p:errors/p:tag/p:i", ["One.", "Two."]),
        ({"errors": {"a": {"b": [{"c": True}]}}}, "p:errors/p:a/p:b/p:i/p:c", ["true"]),
        ({"errors": {"a b": "x"}}, "p:errors/p:field[@name='a b']", ["x"]),
        ({"errors": {"<": "1", "1": "2", "": "3", "é:": "4", "\x00": "5", 0: 6}}, "p:errors/p:field", list("123456")),
        ({"errors": ["x", None]}, "p:errors/p:i", ["x", ""]),
    ],
)
def test_problems_are_valid_whatever_they_say(extra, path, texts):
    root = assert_valid(besxml.render_problem(PROBLEM | extra))
    assert [found.text or "" for found in root.xpath(path, namespaces={"p": besxml.PROBLEM})] == texts


# --- The schema


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<Tag>custom</Tag>", ""),
        ("<Tag>custom</Tag>", "<Tag>custom</Tag><Tag/>"),
        ("12 Jan 2018 12:00<", "12 janv. 2018 12:00<"),
        ("Fri, 12 Jan", "ven., 12 Jan"),
        (">1.5<", ">01.5<"),
        ("<number>", '<number key="a">'),
        ("number", "double"),
        ("Resource", "Other"),
        ("</number>", "</number>x"),
        ("<number>", '<number escaped="true">'),
        ("<BESAPI ", '<BESAPI xmlns="urn:x" '),
    ],
)
def test_the_schema_refuses_other_documents(old, new):
    answer = besxml.render_document(document(b"[1.5]")).decode()
    assert SCHEMA.validate(etree.fromstring(answer.encode()))
    assert answer != answer.replace(old, new)
    assert not SCHEMA.validate(etree.fromstring(answer.replace(old, new).encode()))
