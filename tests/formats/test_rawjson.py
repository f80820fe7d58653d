"""JSON as text: what is kept to the letter, what is refused and where."""

import sys
from contextlib import nullcontext

import pytest
from corpus import kept
from effort import processor_seconds
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from deploymetrics.errors import DeploymetricsError, MalformedBodyError
from deploymetrics.formats import jsonxml, rawjson


def refusal(body):
    """The error that ``compact`` raises for a body."""
    with pytest.raises(MalformedBodyError) as caught:
        rawjson.compact(body)
    assert caught.value.status == 400
    return caught.value


@pytest.mark.parametrize(
    "text",
    [
        "1.10",
        "1E400",
        "12345678901234567890.5",
        "-0",
        "-0.0e-0",
        "1e+05",
        "9" * 5000,
        '{"b":1,"a":2,"b":3}',
        '{"":{"":[]}}',
        r'"\u0041\/\ud83d\ude00\u0000"',
        '"é\u2028\U0001f600\ufffe\x7f"',
        "null",
        "true",
        "false",
        "[]",
        "{}",
        '""',
        r'"[[[{\"{"',
        r'"\\"',
    ],
)
def test_the_text_stays_as_it_was_sent(text):
    assert rawjson.compact(text.encode()) == text.encode()


def test_only_insignificant_white_space_goes():
    assert rawjson.compact(b' \r\n\t{ "a b" :\t[ 1.0 ,\n" x " ] } ') == b'{"a b":[1.0," x "]}'


@pytest.mark.parametrize(
    ("body", "line", "column"),
    [
        (b"", 1, 1),
        (b" \n ", 1, 1),
        (b"\xef\xbb\xbf1", 1, 1),
        (b'["\xff"]', 1, 3),
        (b'"\xc0\xaf"', 1, 2),
        (b'"\xed\xa0\x80"', 1, 2),
        (b'"\xf4\x90\x80\x80"', 1, 2),
        (b'"a\xc3', 1, 3),
        ('[1]'.encode("utf-16"), 1, 1),
        (b'[\x001\x00]\x00', 1, 2),
        (b"NaN", 1, 1),
        (b"[-Infinity]", 1, 3),
        (b"[1,\n 2,]", 2, 4),
        ('["é",\n"éé",x]'.encode(), 2, 6),
        (b'{"a":1,}', 1, 8),
        (b"{'a':1}", 1, 2),
        (b"{a:1}", 1, 2),
        (b"[1 2]", 1, 4),
        (b"[1]]", 1, 4),
        (b'"\\u00g0"', 1, 6),
        (b"01", 1, 2),
        (b"1 2", 1, 3),
        (b'"\t"', 1, 2),
        (b'"\\x"', 1, 3),
        (b'[\n"ok","\\ud800"]', 2, 7),
        (b'["\\udc00"]', 1, 3),
        (b'["\\ud83d\\ude00\\ud83d\\u0041"]', 1, 15),
        (b'{"\\ud800":1}', 1, 3),
        (b'[1,\n"abc', 2, 1),
        (b"[1,", 1, 4),
        (b"[tru", 1, 2),
        (b"nul", 1, 1),
        (b"[nul]", 1, 2),
        (b"t ue", 1, 1),
        ('["é",\n falsx]'.encode(), 2, 2),
        (b'{"n":x}', 1, 6),
        (b'["xf\x1f"]', 1, 5),
        (b'["\\"n\n', 1, 6),
        (b"/**/1", 1, 1),
        (b"\xc2\xa01", 1, 1),
        (b"1\x00", 1, 2),
    ],
)
def test_refused_with_its_place(body, line, column):
    error = refusal(body)
    assert (error.code, error.extra) == ("malformed-json", {"line": line, "column": column})
    assert f"(line {line}, column {column})" in error.detail


def test_an_empty_body_is_called_empty():
    assert refusal(b"").detail.startswith("The body is empty (line 1")


def nested(depth, start=b"[", end=b"]", inner=b""):
    """A body nested this deep."""
    return start * depth + inner + end * depth


@pytest.mark.parametrize(
    ("start", "end", "inner"), [(b"[", b"]", b""), (b'{"a":', b"}", b"1"), (b'["]\\"]",', b"]", b"1")]
)
def test_depth_is_exact(start, end, inner):
    body = nested(rawjson.MAX_DEPTH, start, end, inner)
    assert rawjson.compact(body) == body
    error = refusal(nested(rawjson.MAX_DEPTH + 1, start, end, inner))
    assert error.code == "too-deep"
    column = rawjson.MAX_DEPTH * len(start) + 1
    assert error.extra == {"line": 1, "column": column}


def test_many_brackets_that_are_not_deep():
    body = b"[" + b",".join([b'{"a[":[]}'] * 2000) + b"]"
    assert rawjson.compact(body) == body


def called_deep(frames, function):
    """What ``function`` returns when this many frames are on the stack already."""
    return called_deep(frames - 1, function) if frames else function()


def test_the_full_depth_under_a_deep_stack():
    body = nested(rawjson.MAX_DEPTH)
    assert called_deep(150, lambda: rawjson.compact(body)) == body
    assert isinstance(called_deep(150, lambda: rawjson.parse(body)), list)


def test_no_stack_left_is_still_our_error():
    """Python 3.11 counts the parser's frames with those of its caller; later ones count them apart."""
    body = nested(rawjson.MAX_DEPTH)
    fails = pytest.raises(MalformedBodyError, match="nested") if sys.version_info < (3, 12) else nullcontext()
    with fails:
        assert called_deep(sys.getrecursionlimit() - 300, lambda: rawjson.compact(body)) == body


MIB = 1 << 20


@pytest.mark.parametrize(
    "body",
    [
        b"[" * MIB,
        b'{"a":' * (MIB // 5),
        b'"' + b"\\" * (MIB - 1),
        b'"' + b'\\"' * (MIB // 2),
        b"[" + b"[]," * (MIB // 3),
        b'["' + b"\\ud83d\\ude00" * (MIB // 12) + b'\\ud800"]',
        b"\n" * MIB + b"x",
        b'"' * MIB,
        b"9" * MIB + b"e",
        b"[" + b"1," * (MIB // 2),
    ],
    ids=lambda body: repr(body[:8]),
)
def test_a_hostile_mebibyte_is_refused_fast(body):
    with processor_seconds(2):  # a tenth of it here; the limit only tells linear from quadratic
        refusal(body)


def test_parse_keeps_pairs_and_digits():
    value = rawjson.parse(b'{"a":1.10,"a":[true,null,-0,"1"],"b":' + b"9" * 5000 + b"}")
    assert type(value) is rawjson.Pairs
    assert value == [("a", "1.10"), ("a", [True, None, "-0", "1"]), ("b", "9" * 5000)]
    assert [type(item) for item in value[1][1]] == [bool, type(None), rawjson.Number, str]
    assert type(value[0][1]) is rawjson.Number


def test_parse_refuses_what_compact_would():
    with pytest.raises(MalformedBodyError):
        rawjson.parse(b"NaN")


@settings(deadline=None)
@given(st.text())
def test_quote_is_the_json_of_a_string(string):
    text = rawjson.quote(string).encode()
    assert rawjson.compact(text) == text
    assert rawjson.parse(text) == string


def test_quote_leaves_non_ascii_readable():
    assert rawjson.quote('é"\n\U0001f600') == '"é\\"\\n\U0001f600"'


@kept("json")
@settings(deadline=None)
@given(st.one_of(st.binary(), st.text('[]{}",:\\u0d8e1-. \n').map(str.encode)))
def test_any_bytes_give_a_fixed_point_or_our_error(body):
    try:
        text = rawjson.compact(body)
    except DeploymetricsError as error:
        assert error.extra["line"] >= 1 <= error.extra["column"]
    else:
        assert rawjson.compact(text) == text
        through_xml = jsonxml.to_json(etree.fromstring(jsonxml.json_to_xml(text)))
        assert rawjson.parse(through_xml.encode()) == rawjson.parse(text)
