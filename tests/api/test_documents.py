"""The four operations on documents, the tags they take, and the tag that belongs to the server."""

import locale
import os
import time

import pytest
from problems import assert_problem

LIST = "/api/deploymentmetrics"
URL = "/api/deploymentmetrics/custom"
CUSTOM = b'{"tag":"custom","metrics":[1.10],"lastChanged":"12 Jan 2018 12:00"}'


@pytest.fixture
def foreign_surroundings():
    """Another time zone and, where the machine has one, another locale."""
    before = os.environ.get("TZ"), locale.setlocale(locale.LC_ALL)
    os.environ["TZ"] = "Asia/Kathmandu"
    time.tzset()
    for name in ("de_DE.UTF-8", "fr_FR.UTF-8", "ru_RU.UTF-8", "C"):
        try:
            locale.setlocale(locale.LC_ALL, name)
            break
        except locale.Error:
            pass
    yield
    os.environ.pop("TZ")
    if before[0] is not None:
        os.environ["TZ"] = before[0]
    time.tzset()
    locale.setlocale(locale.LC_ALL, before[1])


# --- The operations


@pytest.mark.parametrize("method", ["post", "put"])
def test_post_and_put_create_and_update_alike(master, method, clock):
    write = getattr(master, method)
    first = write(URL, data="[1.10]")
    assert (first.status_code, first.data) == (200, CUSTOM)
    clock.forward(minutes=3)
    second = write(URL, data="{}")
    assert second.status_code == 200
    assert second.data == b'{"tag":"custom","metrics":{},"lastChanged":"12 Jan 2018 12:03"}'
    assert master.get(URL).data == second.data
    assert master.get(URL).headers["ETag"] == second.headers["ETag"] != first.headers["ETag"]


def test_document_headers(master):
    master.post(URL, data="[1.10]")
    answer = master.get(URL)
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Last-Modified"] == "Fri, 12 Jan 2018 12:00:03 GMT"
    assert answer.headers["Content-Length"] == str(len(CUSTOM))
    assert answer.headers["Vary"] == "Accept"


@pytest.mark.parametrize(
    "metrics",
    [
        "1.10",
        "1E400",
        "-0",
        "-0.0",
        "1e-0001",
        "12345678901234567890.5",
        "123456789012345678901234567890",
        "null",
        "true",
        '""',
        "[]",
        "{}",
        '{"b":1,"a":2}',
        '{"a":1,"a":2}',
        r'"\u00e9\/\n\ud83d\ude00"',
        '"é😀"',
        '"\u007f"',
        '{"lastChanged":"x","tag":"y"}',
        '"' + "x" * 70000 + '"',
    ],
    ids=lambda text: text[:30],
)
def test_metrics_come_back_digit_for_digit(master, metrics):
    body = b'{"tag":"custom","metrics":' + metrics.encode() + b',"lastChanged":"12 Jan 2018 12:00"}'
    assert master.post(URL, data=metrics.encode()).data == body
    assert master.get(URL).data == body
    assert master.get(LIST).data == b"[" + body + b"]"


def test_only_insignificant_white_space_goes(master):
    answer = master.post(URL, data=b' {"a b" :\t[ 1.0 ,\r\n2 ] } \n')
    assert b'"metrics":{"a b":[1.0,2]},' in answer.data


def test_last_changed_is_english_gmt_anywhere(master, foreign_surroundings):
    answer = master.post(URL, data="1")
    assert answer.json["lastChanged"] == "12 Jan 2018 12:00"
    assert answer.headers["Last-Modified"] == "Fri, 12 Jan 2018 12:00:03 GMT"
    xml = master.get(URL, query_string="output=xml").text
    assert "<LastChanged>12 Jan 2018 12:00<" in xml and 'LastModified="Fri, 12 Jan 2018 12:00:03 +0000"' in xml


def test_delete(master):
    master.post(URL, data="1")
    answer = master.delete(URL)
    assert (answer.status_code, answer.data, "Content-Type" in answer.headers) == (204, b"", False)
    for method in ("get", "delete"):
        assert_problem(getattr(master, method)(URL), 404, "no-such-tag")
    assert master.get(LIST).data == b"[]"


def test_head_is_get_without_a_body(master):
    master.post(URL, data="[1.10]")
    for url in (URL, LIST):
        got, head = master.get(url), master.head(url)
        assert (head.status_code, head.data) == (200, b"")
        differing = {name for name, value in head.headers if got.headers[name] != value}
        assert differing == {"X-Request-ID"} and len(head.headers) == len(got.headers)
    assert master.head(f"{LIST}/missing").status_code == 404


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        (LIST, {"GET", "HEAD", "OPTIONS"}),
        (URL, {"GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE"}),
        ("/api/login", {"GET", "HEAD", "OPTIONS"}),
        ("/api/help", {"GET", "HEAD", "OPTIONS"}),
    ],
)
def test_options_and_405_say_what_is_allowed(master, url, allowed):
    answer = master.options(url)
    assert (answer.status_code, answer.data) == (200, b"")
    assert answer.headers["Allow"] == ", ".join(sorted(allowed))  # in one order, whichever worker answers
    refused = master.patch(url)
    problem = assert_problem(refused, 405, "method-not-allowed")
    assert refused.headers["Allow"] == answer.headers["Allow"]
    assert problem["detail"].endswith(f"it has {refused.headers['Allow']}.")


def test_list_is_ordered_by_tag(master):
    for tag in ("b", "a", "Ä", "B", "10", "9", "platform-2", "😀"):
        assert master.post(f"{LIST}/{tag}", data="1").status_code == 200
    assert [document["tag"] for document in master.get(LIST).json] == sorted(
        ["b", "a", "Ä", "B", "10", "9", "platform-2", "😀"]
    )


def test_tags_differ_by_case(master):
    for tag in ("custom", "Custom", "CUSTOM"):
        master.post(f"{LIST}/{tag}", data=f'"{tag}"')
    master.delete(f"{LIST}/Custom")
    assert [document["metrics"] for document in master.get(LIST).json] == ["CUSTOM", "custom"]


# --- Tags


@pytest.mark.parametrize(
    ("encoded", "tag"),
    [
        ("a", "a"),
        ("x" * 64, "x" * 64),
        ("%C3%A9" * 32, "é" * 32),
        ("%F0%9F%98%80", "😀"),
        ("100%25", "100%"),
        ("%2525", "%25"),
        ("%252F", "%2F"),
        ("%EF%BF%BE", "\ufffe"),
        ("%EF%BF%BD", "\ufffd"),
        ("BESAPI.xsd", "BESAPI.xsd"),
        ("a%20b", "a b"),
        ("...", "..."),
        (".hidden", ".hidden"),
        ("a%5Cb", "a\\b"),
        ("%3Fa%23%26", "?a#&"),
        ("%22%3C%3E", '"<>'),
        ("a+b", "a+b"),
        ("history", "history"),
        ("con.json", "con.json"),
        ("%E2%80%8B", "\u200b"),
        ("%C2%ADx", "\xadx"),
        ("a;b=c", "a;b=c"),
        ("*", "*"),
        ("'", "'"),
    ],
)
def test_a_tag_goes_round(master, encoded, tag):
    saved = master.post(f"{LIST}/{encoded}", data="1")
    assert saved.status_code == 200 and saved.json["tag"] == tag
    assert master.get(f"{LIST}/{encoded}").json == saved.json == master.get(LIST).json[0]
    assert master.get(f"{LIST}/{encoded}", query_string="output=xml").status_code == 200
    assert master.delete(f"{LIST}/{encoded}").status_code == 204


BAD_TAGS = [
    "x" * 65,
    "%C3%A9" * 32 + "x",
    "%F0%9F%98%80" * 17,
    "a%00b",
    "a%0Ab",
    "%09",
    "a%7F",
    "a%C2%85b",
    "a%1F",
    "a%2Fb",
    "%2F",
    "a%2f..%2fb",
    "..%2F..%2Fsecret_key",
    "%20a",
    "a%20",
    "a%E3%80%80",
    "%C2%A0a",
    "%E2%80%83a",
    "%2E",
    "%2E%2E",
    ".",
    "..",
]


@pytest.mark.parametrize("encoded", BAD_TAGS)
def test_what_is_no_tag_is_400(master, encoded):
    for method in ("post", "put", "get", "delete"):
        answer = getattr(master, method)(f"{LIST}/{encoded}", **({"data": "1"} if method in ("post", "put") else {}))
        assert_problem(answer, 400, "invalid-tag")
    assert master.get(LIST).data == b"[]"


@pytest.mark.parametrize("raw", [b"\xff", b"a\xc3", b"\xed\xa0\x80", b"\xc0\xaf"])
def test_a_tag_that_is_not_utf8_is_400(master, raw):
    """The bytes go into the environment as a server puts them there; a test client would replace them."""
    quoted = "".join(f"%{byte:02X}" for byte in raw)
    path = {"PATH_INFO": f"{LIST}/{raw.decode('latin-1')}", "RAW_URI": f"{LIST}/{quoted}"}
    assert_problem(master.post(f"{LIST}/x", data="1", environ_overrides=path), 400, "invalid-tag")
    assert master.get(LIST).data == b"[]"


# --- The tag that belongs to the server

SPELLINGS = [
    "platform",
    "PLATFORM",
    "Platform",
    "ｐｌａｔｆｏｒｍ",
    "ＰＬＡＴＦＯＲＭ",
    "%70latform",
    "%70%6C%61%74%66%6F%72%6D",
    "%2570latform",
    "plat\u00adform",
    "plat\u200bform",
    "platform\u200d",
    "\ufeffplatform",
    "рlatform",
    "plаtfоrm",
    "ρlatform",
    "platfοrm",
    "𝐩𝐥𝐚𝐭𝐟𝐨𝐫𝐦",
    "ⓟⓛⓐⓣⓕⓞⓡⓜ",
    "plátform",
    "pla\u0301tform",
    "platform\u0338",
    "PLATFORṀ",
    "p1atform",
    "pIatform",
    "platf0rm",
    "platforrn",
    "plat form",
    "plat\u2060form",
    "plat\u202eform",
    "ᵖlatform",
    "ｐlatform%E2%80%8B",
    "pⅼatform",
    "PLATFORⅯ",
    "p\u0332l\u0332a\u0332t\u0332form",
    "plat\U000e0001form",
    "platƒorm",
    "pla𝖙form",
    "PLΑTFORM",
    "рⅼаtfоrm",
]


@pytest.mark.parametrize("role", ["master", "webui"])
@pytest.mark.parametrize("spelling", dict.fromkeys(SPELLINGS))
def test_platform_in_every_spelling_is_reserved(request, role, spelling, services):
    person = request.getfixturevalue(role)
    url = f"{LIST}/{spelling.replace('%', '%25') if '%25' in spelling else spelling}"
    for method in ("post", "put"):
        assert_problem(getattr(person, method)(url, data="1"), 403, "reserved-tag")
        assert_problem(getattr(person, method)(url, data="{bad"), 403, "reserved-tag")
    assert_problem(person.delete(url), 403, "reserved-tag" if role == "master" else "role-required")
    assert services.documents.list().items == ()


@pytest.mark.parametrize(
    "tag",
    ["platforms", "plat-form", "my platform", "platform.old", "plat_form", "latform", "plateform", "pla\ufb05orm"],
)
def test_other_words_are_free(master, tag):
    assert master.post(f"{LIST}/{tag}", data="1").status_code == 200


def test_platform_is_read_like_any_other(master, services):
    services.documents.save_platform(b'{"os":"x"}', "collector")
    answer = master.get(f"{LIST}/platform")
    assert answer.data == b'{"tag":"platform","metrics":{"os":"x"},"lastChanged":"12 Jan 2018 12:00"}'
    assert master.get(LIST).json == [answer.json]
    assert_problem(master.delete(f"{LIST}/platform"), 403, "reserved-tag")
    assert master.get(f"{LIST}/platform").data == answer.data
    assert_problem(master.get(f"{LIST}/PLATFORM"), 404, "no-such-tag")
