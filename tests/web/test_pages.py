"""The pages without a browser: what they show, refuse and bound, and that they rest on the same service as the API."""

import json
import re
from urllib.parse import quote

import msgspec
import pytest
from conftest import PASSWORD, Person
from pagekit import text_of
from problems import assert_problem
from storekit import newest_file

from deploymetrics import create_app
from deploymetrics.accounts.service import Role
from deploymetrics.collector.platform_document import AUTHOR
from deploymetrics.collector.states import COLLECTOR, SourceState
from deploymetrics.formats import rawjson
from deploymetrics.web.figures.layout import cell
from deploymetrics.web.login import landing
from deploymetrics.web.template_filters import visible

HOSTILE = '<script>alert(1)<⁄script>"\'&\u202e'


# --- Login


@pytest.mark.parametrize(
    ("target", "place"),
    [
        ("/tags/custom?range=day", "/tags/custom?range=day"),
        ("/", "/"),
        (None, "/"),
        ("", "/"),
        ("/login?next=/x", "/"),
        ("//evil.example/", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example/", "/"),
        ("javascript:alert(1)", "/"),
        ("/\t/evil.example", "/"),
        ("/x\r\nSet-Cookie: a=b", "/"),
        ("evil.example", "/"),
        ("///evil.example", "/"),
    ],
)
def test_where_the_login_leads(app, target, place):
    with app.test_request_context("/login"):
        assert landing(target) == place


def test_a_page_leads_to_the_login_and_back(app, master, save):
    save("custom", b"1")
    client = app.test_client()
    there = client.get("/tags/custom?range=day").headers["Location"]
    assert there == "/login?next=/tags/custom?range%3Dday"
    assert 'value="/tags/custom?range=day"' in text_of(client.get(there))
    form = {"name": "master-operator", "password": PASSWORD, "next": "/tags/custom?range=day"}
    assert client.post("/login", data=form).headers["Location"] == "/tags/custom?range=day"
    assert client.get(there).headers["Location"] == "/tags/custom?range=day"


def test_a_wrong_login_opens_no_window_of_the_browser(app, master):
    answer = app.test_client().post("/login", data={"name": "master-operator", "password": "x"})
    assert answer.status_code == 401 and "Basic" not in answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize(
    "path",
    [
        "/new",
        "/tags/custom/edit",
        "/tags/custom/delete",
        "/tags/custom/expected",
        "/tags/custom/versions/1/restore",
        "/selected",
        "/preferences",
        "/tags/custom/headline",
        "/accounts",
        "/accounts/secret",
        "/accounts/enable",
        "/accounts/disable",
        "/accounts/remove",
        "/account",
    ],
)
def test_no_form_can_be_sent_by_another_site(pages, save, path):
    save("custom", b"1")
    for name, value in (("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Site", "same-site"), ("Origin", "http://a")):
        headers = {name: value}
        assert "another site" in text_of(pages.post(path, data={"metrics": "2"}, headers=headers), 403)


# --- Overview


def tags_of(answer):
    """The tags in a page of the overview."""
    return re.findall(
        r'<tr>(?:<td><input[^>]*></td>)?<th scope="row"><a href="[^"]*"><bdi>(.*?)</bdi>', text_of(answer)
    )


def test_the_overview(pages, master, save, clock):
    for number in range(3):
        save("custom", b'[{"a":"%d"}]' % number)
    clock.forward(minutes=3)
    page = text_of(pages.get("/"))
    size = len(master.get("/api/deploymentmetrics/custom").data)
    for words in ("3 minutes ago", "12 Jan 2018 12:00:03", "2018-01-12T12:00:03", "<bdi>bob</bdi>", "<td>3</td>"):
        assert words in page, words
    assert f"<td>{size} B</td>" in page
    assert 'aria-label="a: 2"' in page and "<polyline" in page and "1 of 1 document<" in page
    save("custom", b"{}")
    assert "<polyline" not in text_of(pages.get("/"))


def test_age_and_state_are_those_of_now(master, save, services, clock):
    save("custom", b"1")
    for forward, words in (
        ({}, "just now"),
        ({"seconds": 59}, "just now"),
        ({"seconds": 1}, "1 minute ago"),
        ({"minutes": 58, "seconds": 59}, "59 minutes ago"),
        ({"seconds": 1}, "1 hour ago"),
        ({"hours": 23}, "1 day ago"),
        ({"days": 3}, "4 days ago"),
    ):
        clock.forward(**forward)
        assert f">{words}</time>" in text_of(master.get("/")), words
    services.expectations.set("custom", 86400 * 5, "bob")
    assert tags_of(master.get("/?state=fresh")) == ["custom"]
    clock.forward(days=1)
    assert '<td><span class="state fresh">' in text_of(master.get("/")) and "late<" not in text_of(master.get("/"))
    clock.forward(minutes=2)
    page = text_of(master.get("/"))
    assert '<td><span class="state stale">stale</span> <small>2 minutes late</small>' in page
    assert "1 tag is late" in page


def test_a_small_plot_is_drawn_once_for_a_version(master, save, services, clock, monkeypatch):
    save("custom", b"1")
    text_of(master.get("/"))
    monkeypatch.setattr(services.documents, "history", None)
    clock.forward(minutes=5)
    assert ">5 minutes ago</time>" in text_of(master.get("/"))


def test_deleted_documents_are_found(pages, save, services, clock):
    for tag in ("there", "gone", "Old", "back"):
        save(tag, b"1")
    for tag in ("gone", "Old", "back"):
        clock.forward(minutes=1)
        services.documents.delete(tag, "carol")
    save("back", b"2")
    assert tags_of(pages.get("/")) == ["back", "there"]
    page = pages.get("/?state=deleted")
    assert tags_of(page) == ["Old", "gone"] and "2 deleted documents" in page.text and "<bdi>carol</bdi>" in page.text
    assert tags_of(pages.get("/?state=deleted&q=GO")) == ["gone"]
    assert 'href="/?q=gone&amp;state=deleted">search the deleted ones' in text_of(pages.get("/?q=gone"))
    assert tags_of(pages.get("/?state=deleted&order=-changed")) == ["Old", "gone"]
    assert "No documents match" in text_of(pages.get("/?state=deleted&q=there"))


def test_a_deleted_document_with_a_damaged_history_is_named(pages, save, services, tmp_path):
    save("bad", b"1")
    services.documents.delete("bad", "carol")
    file = newest_file(tmp_path / "instance", "deploymentmetrics", "bad")
    file.write_bytes(b"X" + file.read_bytes()[:-5])
    assert "1 stored document cannot be read" in text_of(pages.get("/?state=deleted"))


def test_a_search_takes_an_accent_in_both_of_its_forms(pages, save):
    save("cafe\u0301", b"1")
    assert tags_of(pages.get("/?q=CAF%C3%89")) == ["cafe\u0301"]


def test_search_order_and_pages(pages, save, clock):
    for number in range(205):
        clock.forward(seconds=1)
        save(f"tag-{number:03}", b"1" * (number + 1), "Carol" if number == 7 else "bob")
    assert tags_of(pages.get("/")) == [f"tag-{number:03}" for number in range(100)]
    for page in (3, 99):
        assert tags_of(pages.get(f"/?page={page}")) == [f"tag-{number}" for number in range(200, 205)]
    assert tags_of(pages.get("/?order=-size"))[0] == tags_of(pages.get("/?order=-changed"))[0] == "tag-204"
    assert tags_of(pages.get("/?q=carol")) == ["tag-007"] == tags_of(pages.get("/?q=TAG-007"))
    for nonsense in ("page=-1", "page=x", "page=0", "order=nothing", "state=nothing", "page=" + "9" * 5000, "page=%F0"):
        assert tags_of(pages.get(f"/?{nonsense}"))
    assert "No documents match" in text_of(pages.get("/?q=%3Cscript%3E"))
    page = text_of(pages.get("/?q=tag&order=-changed"))
    assert 'href="/?q=tag&amp;order=-changed&amp;page=2" rel="next"' in page
    assert 'href="/?q=tag&amp;order=-changed&amp;page=3" aria-label="Last page"' in page
    assert 'href="/?q=tag&amp;order=changed">Last change<' in page
    assert 'href="/?q=tag&amp;order=-version">Version<' in page
    assert 'href="/" aria-label="First page"' in text_of(pages.get("/?page=3")) and "Last page" not in text_of(
        pages.get("/?page=2")
    )


def test_fresh_quiet_and_stale(master, save, services, clock):
    for tag in ("old", "late", "very-late", "punctual"):
        save(tag, b"1")
    services.expectations.set("late", 3600, "bob")
    services.expectations.set("very-late", 60, "bob")
    services.expectations.set("punctual", 3 * 86400, "bob")
    clock.forward(days=2)
    save("new", b"1")
    for name, tags in (("fresh", ["new", "punctual"]), ("quiet", ["old"]), ("stale", ["very-late", "late"])):
        assert tags_of(master.get(f"/?state={name}")) == tags
    assert "was due 1 day ago" in text_of(master.get("/tags/late"))
    assert tags_of(master.get("/")) == ["very-late", "late", "new", "old", "punctual"]
    assert tags_of(master.get("/?order=tag"))[0] == "late" and "2 tags are late" in text_of(master.get("/"))
    assert services.documents.get("late").version == 1


def test_a_damaged_document_is_named(pages, save, tmp_path):
    save("good", b"1")
    save("bad", b"1")
    newest_file(tmp_path / "instance", "deploymentmetrics", "bad").write_bytes(b"{\n")
    page = pages.get("/")
    assert tags_of(page) == ["good"] and "1 stored document cannot be read" in page.text


def test_the_weight_of_the_overview(pages, services):
    for number in range(100):
        for version in range(3):
            services.documents.save(
                f"deployment-metric-{number:03}", b'[{"endpoints":"%d","b":"x"}]' % version, "alice"
            )
    assert len(pages.get("/").data) <= 100_000


def test_a_damaged_history_harms_its_own_page_only(pages, save, tmp_path):
    for number in range(3):
        save("bad", b"%d" % number)
        save("good", b"%d" % number)
    file = newest_file(tmp_path / "instance", "deploymentmetrics", "bad")
    file.write_bytes(b"X" + file.read_bytes())
    assert tags_of(pages.get("/")) == ["bad", "good"]
    page = text_of(pages.get("/tags/bad"))
    assert "The history cannot be read:" in page and ">2<" in page
    assert "<polyline" in text_of(pages.get("/tags/good"))
    assert text_of(pages.get("/tags/bad/history"), 503)


# --- A document


def test_a_document(pages, save):
    save("it's", b'[{"number_of_endpoints":"5","os":{"Win11":"3"},"none":null}]')
    page = text_of(pages.get("/tags/it's"))
    assert "number_<wbr>of_<wbr>endpoints" in page and '<bdi class="key">Win11</bdi>' in page
    curl = "curl -u master-operator http://localhost/api/deploymentmetrics/it%27s"
    assert curl in page and "&lt;DeploymentMetrics Resource" in page
    for form in ("json", "xml"):
        assert f'href="/api/deploymentmetrics/it&#39;s?output={form}" download' in page
        assert f'data-copy="raw-{form}"' in page


def test_nothing_that_is_cut_is_copied(pages, save):
    """XML is longer than JSON: one may be cut and the other not."""
    save("custom", b"[%b]" % b",".join([b"1"] * 5000))
    page = text_of(pages.get("/tags/custom"))
    assert 'data-copy="raw-json"' in page and 'data-copy="raw-xml"' not in page
    assert page.count("too long to show whole here") == 1


@pytest.mark.parametrize(
    ("metrics", "words"),
    [
        (b'[{"a":1,"b":"x"},{"a":2,"c":null}]', ['<table class="values">', "<bdi>c</bdi>", 'class="none">null<']),
        (b'{"a":{"b":[1]}}', ['<div class="tree"', "1 member", "1 item"]),
        (b"3.10", ['<div class="tree"', ">3.10<"]),
        (b"[]", [">[]<"]),
        (b'{"a":1,"a":2}', ['<div class="tree"', "2 members"]),
        (b'"<b>"', ["&lt;b&gt;"]),
        (b'{"":""}', ['<table class="facts">', 'class="none">&#34;&#34;<']),
        (b"1E400", [">1E400<", "value: 1 value, lowest 1E400"]),
        (b'"x"', ["There are no numbers to plot in this range."]),
    ],
)
def test_every_shape(pages, save, metrics, words):
    save("custom", metrics)
    page = text_of(pages.get("/tags/custom"))
    assert [word for word in words if word not in page] == []


def cells_of(page):
    """The first cell of each row of the table of values."""
    table = page.partition('<table class="values">')[2].partition("</table>")[0]
    return re.findall(r'<tr><td[^>]*><bdi class="\w+">(.*?)</bdi>', table)


def test_the_rows_of_an_array_are_sorted_found_and_paged(pages, save):
    hosts = [{"host": f"h{number:04}", "load": number * 7 % 1500, "up": number % 2 > 0} for number in range(1500)]
    hosts[9] = {"host": "none"}
    hosts[8]["load"] = "heavy"
    save("custom", json.dumps(hosts).encode())
    page = text_of(pages.get("/tags/custom?sort=-load"))
    assert cells_of(page)[0] == f"h{next(n for n in range(1500) if n * 7 % 1500 == 1499):04}" and "Page 1 of 15" in page
    assert 'aria-sort="descending"><a href="/tags/custom?sort=load#values">' in page
    assert 'href="/tags/custom?sort=-load&amp;rows=2#values" rel="next"' in page
    page = text_of(pages.get("/tags/custom?sort=load&rows=99"))
    assert cells_of(page)[-1] == "none" and "Page 15 of 15" in page
    assert cells_of(text_of(pages.get("/tags/custom?sort=load")))[0] == "h0008"
    page = text_of(pages.get("/tags/custom?find=H000&sort=-host"))
    assert cells_of(page) == [f"h000{number}" for number in (8, 7, 6, 5, 4, 3, 2, 1, 0)] and "9 of 1,500 rows" in page
    assert text_of(pages.get("/tags/custom?sort=nothing&find=%3Cb%3E"))


def test_an_array_within_a_document_is_shown_as_a_table(pages, save):
    save("custom", json.dumps([{"a": {"hosts": [{"host": "x", "n": 1}, {"host": "y", "n": 2}], "t": [1]}}]).encode())
    page = text_of(pages.get("/tags/custom"))
    assert 'href="/tags/custom?at=a.hosts#values"' in page and '<div class="tree"' in page
    assert cells_of(text_of(pages.get("/tags/custom?at=a.hosts&sort=-n"))) == ["y", "x"]
    assert '<div class="tree"' in text_of(pages.get("/tags/custom?at=nothing"))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("3", ("3", "number", "")),
        ('"3"', ('"3"', "text", "")),
        ('"null"', ('"null"', "text", "")),
        ("null", ("null", "none", "")),
        ('""', ('""', "none", "")),
        ('" a"', ('" a"', "text", "")),
        ('"a b"', ("a b", "text", "")),
        ("0.30000000000000004", ("0.3", "number", "0.30000000000000004")),
        ('"' + "x" * 200 + '"', ("x" * 119 + "…", "text", "x" * 200)),
    ],
)
def test_what_is_not_alike_does_not_look_alike(value, expected):
    assert cell(rawjson.parse(value.encode())) == expected


def test_what_is_shown_short_unfolds(pages, save):
    save("custom", b'[{"a":0.30000000000000004}]')
    page = text_of(pages.get("/tags/custom"))
    assert '<summary><bdi class="number">0.3</bdi></summary><bdi>0.30000000000000004</bdi></details>' in page


def test_plots_over_the_history(master, save, clock):
    for number in (5, 7, 6):
        save("custom", b'[{"endpoints":"%d","name":"x","ratio":0.%d0}]' % (number, number))
        clock.forward(hours=20)
    page = text_of(master.get("/tags/custom"))
    assert page.count("<figure>") == 2
    assert "endpoints: 3 values, lowest 5, highest 7, last 6" in page and "0.70 · 13 Jan 2018 08:00" in page
    assert '<td class="figure">0.50</td>' in page and "<style" not in page
    assert "1 value" in text_of(master.get("/tags/custom?range=day"))
    clock.forward(days=9)
    assert "There are no numbers to plot in this range" in text_of(master.get("/tags/custom?range=week"))
    assert text_of(master.get("/tags/custom?range=nonsense&plots=x")).count("<figure>") == 2


def test_many_versions_are_bounded(pages, save, clock):
    for number in range(110):
        save("custom", b"%d" % number)
        clock.forward(minutes=1)
    page = text_of(pages.get("/tags/custom"))
    assert "at most 72 values are drawn" in page and "The table has the newest 100 of 110 versions." in page
    assert 60 < page.count("<circle") <= 72


def test_the_names_of_all_numbers_are_searched(pages, save):
    save("custom", json.dumps([{f"s{number}": number for number in range(2000)}]).encode().replace(b" ", b""))
    page = text_of(pages.get("/tags/custom?plots=2"))
    assert page.count("<figure>") == 12 and "2,000 numbers; 12 of them" in page and "Page 2 of 167" in page
    page = text_of(pages.get("/tags/custom?name=S199"))
    assert page.count("<figure>") == 11 and "s1999: 1 value" in page and "1,700 more values are not shown" in page


@pytest.mark.parametrize(
    "metrics",
    [
        json.dumps([{"id": number, "text": "x" * 90} for number in range(9000)]).encode().replace(b" ", b""),
        json.dumps([{f"key {number}": str(number) for number in range(10_000)}]).encode(),
        b"[" * 512 + b"1" + b"]" * 512,
        b"[" * 500 + b",".join([b"1"] * 400_000) + b"]" * 500,
        b"[" + b",".join([b'{"a":[%d]}' % number for number in range(50_000)]) + b"]",
        b'[{"":1e999,"a":%b,"b":"NaN","c":"-Infinity","d":"0x1F","e":{"":"1e400"},"f":"1e-400"},{"":-0.0}]'
        % (b"9" * 400),
        b'{"' + b"k" * 500_000 + b'":{"' + b"j" * 400_000 + b'":1}}',
        b'"' + b"x" * 1_000_000 + b'"',
    ],
)
def test_large_documents_leave_every_page_standing(pages, save, metrics):
    for number in range(3):
        save("custom", metrics)
    for path in ("", "/history", "/versions/2", "/compare?from=1&to=3"):
        assert len(text_of(pages.get(f"/tags/custom{path}")).encode()) < 700_000
    assert len(text_of(pages.get("/")).encode()) < 100_000
    assert len(text_of(pages.get("/tags/custom/edit")).encode()) < 6_000_000


def test_hostile_tags_and_values(pages, save, services):
    save(HOSTILE, b'[{"<img src=x onerror=alert(1)>":"<script>alert(1)</script>","y":"5"}]', HOSTILE)
    save("a", b"1", HOSTILE)
    services.expectations.set(HOSTILE, 60, HOSTILE)
    tag = quote(HOSTILE, safe="")
    for path in (
        "/",
        f"/tags/{tag}",
        f"/tags/{tag}/history",
        f"/tags/{tag}/edit",
        f"/tags/{tag}/delete",
        f"/?q={tag}",
        f"/tags/{tag}/versions/1",
        f"/tags/{tag}/compare?from=1&to=1",
        f"/new?tag={tag}",
    ):
        page = text_of(pages.get(path))
        assert page.count("<script") == 1 and "<img" not in page and "\u202e</bdi></h1>" not in page
    assert "⟨U+202E⟩" in text_of(pages.get(f"/tags/{tag}"))
    item = services.documents.get(HOSTILE)
    pages.post(f"/tags/{tag}/delete", data={"etag": item.revision})
    assert "\u202e is deleted" not in text_of(pages.get("/"))


@pytest.mark.parametrize(
    ("tag", "shown"),
    [
        ("a b", "a b"),
        ("a\u00a0b", "a⟨U+00A0⟩b"),
        ("a\u200bb", "a⟨U+200B⟩b"),
        ("a\u00adb", "a⟨U+00AD⟩b"),
        ("é𝕏日", "é𝕏日"),
        ("a\u2066", "a⟨U+2066⟩"),
        ("a\u3164b", "a⟨U+3164⟩b"),
        ("\U000e0041a", "⟨U+E0041⟩a"),
        ("a\ufe0e", "a⟨U+FE0E⟩"),
    ],
)
def test_no_tag_passes_for_another(tag, shown):
    assert visible(tag) == shown


@pytest.mark.parametrize(
    "path",
    [
        "/tags/no",
        "/tags/no/history",
        "/tags/no/edit",
        "/tags/custom/versions/9",
        "/tags/custom/compare?from=1&to=9",
        "/tags/no/delete",
    ],
)
def test_what_is_not_there(pages, save, path):
    save("custom", b"1")
    assert "Not Found" in text_of(pages.get(path), 404)


# --- History


def test_history_compared_and_brought_back(pages, save, services):
    save("custom", b'{"a":1.10,"b":"x"}')
    item = save("custom", b'{"a":"1.10","b":"x"}')
    page = text_of(pages.get("/tags/custom/compare?from=2&to=1"))
    assert "<del><bdi>1.10</bdi></del>" in page and "<ins><bdi>&#34;1.10&#34;</bdi></ins>" in page
    assert "1 value is the same" in page
    page = text_of(pages.post("/tags/custom/versions/1/restore", data={"etag": "old"}), 412)
    assert "Nothing is brought back" in page and f'name="etag" value="{item.revision}"' in page
    assert pages.post("/tags/custom/versions/1/restore", data={"etag": item.revision}).status_code == 302
    assert bytes(services.documents.get("custom").record.metrics) == b'{"a":1.10,"b":"x"}'


def test_a_deleted_document_is_brought_back(pages, save, services):
    save("custom", b"[1.0]")
    services.documents.delete("custom", "carol")
    assert "deleted just now by <bdi>carol</bdi>" in text_of(pages.get("/tags/custom"), 404)
    assert "deleted</span>" in text_of(pages.get("/tags/custom/history"))
    assert "<del>" in text_of(pages.get("/tags/custom/compare?from=1&to=2"))
    assert "Bring version 1 back" in text_of(pages.get("/tags/custom"), 404)
    assert pages.post("/tags/custom/versions/1/restore", data={"etag": ""}).status_code == 302
    assert services.documents.get("custom").version == 3
    assert "the document was deleted" in text_of(pages.post("/tags/custom/versions/2/restore", data={"etag": ""}), 404)


def test_versions_past_the_limits_are_not_there(tmp_path):
    app = create_app(tmp_path / "short", {"HISTORY_VERSIONS": 2})
    services = app.extensions["deploymetrics"]
    services.accounts.add("alice", Role.MASTER_OPERATOR, PASSWORD)
    for number in range(100):
        services.documents.save("custom", b"%d" % number, "alice")
    pages = Person(app, "alice", PASSWORD)
    for path in ("compare?from=1&to=100", "versions/1"):
        assert "too old to keep" in text_of(pages.get(f"/tags/custom/{path}"), 404)
    assert text_of(pages.get("/tags/custom/history?before=2"))


def test_history_in_pages(pages, save):
    for number in range(60):
        save("custom", b"%d" % number)
    page = text_of(pages.get("/tags/custom/history"))
    assert page.count('name="from"') == 50 and page.count("checked>from") == page.count("checked>to") == 1
    assert '<button formaction="/tags/custom/history" name="before" value="11">Older</button>' in page
    page = text_of(pages.get("/tags/custom/history?from=59&to=5&before=11"))
    assert page.count('name="from"') == 11 and "picked on another page" in page
    assert 'name="from" value="59" aria-label="Compare from version 59" checked' in page
    assert 'name="to" value="5" aria-label="Compare to version 5" checked' in page and page.count("checked>") == 2


def versions_of(page):
    """The versions in a page of the history."""
    return [int(version) for version in re.findall(r'<tr>\n<th scope="row"><a href="[^"]*">(\d+)</a>', page)]


def test_the_history_by_author_and_date(master, save, clock):
    for number in range(90):
        save("custom", b"%d" % number, "Zo\u00eb" if number % 30 == 0 else "bob")
        clock.forward(hours=1)
    history = "/tags/custom/history"
    assert versions_of(text_of(master.get(f"{history}?by=ZOE%CC%88"))) == [61, 31, 1]
    page = text_of(master.get(f"{history}?by=bob"))
    assert len(versions_of(page)) == 50 and 'value="40">Older' in page
    assert versions_of(text_of(master.get(f"{history}?by=bob&before=40")))[:2] == [39, 38]
    assert "No version is by" in text_of(master.get(f"{history}?by=carol"))
    assert versions_of(text_of(master.get(f"{history}?at=2018-01-13T12:00")))[0] == 24
    assert "There was no version then" in text_of(master.get(f"{history}?at=2017-01-01"))
    assert "is not a date" in text_of(master.get(f"{history}?at=yesterday%3Cb%3E"))


def test_what_changed_since_yesterday_and_who_wrote_it(master, save, clock):
    for number in range(50):
        save("custom", b'{"a":%d,"b":1}' % number, "carol" if number > 47 else "bob")
        clock.forward(hours=1)
    page = text_of(master.get("/tags/custom"))
    assert 'href="/tags/custom/compare?since=day"' in page
    page = text_of(master.get("/tags/custom/compare?since=day"))
    assert "<del><bdi>26</bdi></del>" in page and "<ins><bdi>49</bdi></ins>" in page and page.count("<del>") == 1
    assert "23 versions written since, by" in page and "<bdi>bob</bdi></a> (21)" in page
    assert "<bdi>carol</bdi></a> (2)" in page
    assert "<del><bdi>0</bdi></del>" in text_of(master.get("/tags/custom/compare?since=week"))
    assert "<del><bdi>11</bdi></del>" in text_of(master.get("/tags/custom/compare?since=2018-01-12T23:30"))
    clock.forward(days=3)
    assert "Nothing was written since version 50" in text_of(master.get("/tags/custom/compare?since=day"))
    assert "Both are version 7<" in text_of(master.get("/tags/custom/compare?from=7&to=7"))
    assert "since is day" in text_of(master.get("/tags/custom/compare?since=x"), 400)


def test_the_collector_is_shown_before_it_found_anything(pages, services):
    """That is when somebody asks why."""
    state = SourceState(name="bigfix", failures=1, reason="The server did not answer.")
    services.store.write(COLLECTOR, "bigfix", AUTHOR, lambda current, at: msgspec.json.encode(state))
    assert "The server did not answer." in text_of(pages.get("/tags/platform"), 404)
    assert "never was" in text_of(pages.get("/tags/other"), 404)


# --- Accounts


def test_an_account_that_is_disabled_is_out_at_once(app, pages, services):
    services.accounts.add("carol", Role.MASTER_OPERATOR, PASSWORD)
    client = app.test_client()
    client.post("/login", data={"name": "carol", "password": PASSWORD})
    assert client.get("/").status_code == 200
    assert pages.post("/accounts/disable", data={"account": "carol"}).status_code == 302
    assert client.get("/").status_code == 302
    assert client.post("/accounts/remove", data={"account": "master-operator"}).status_code == 401
    assert "wrong, or the account is disabled" in text_of(
        client.post("/login", data={"name": "carol", "password": PASSWORD}), 401
    )


def test_logging_in_again_ends_the_session_before(app, pages):
    before = app.test_client()
    before.set_cookie("deploymetrics", pages.get_cookie("deploymetrics").value)
    assert before.get("/").status_code == 200
    pages.post("/login", data={"name": "master-operator", "password": PASSWORD})
    assert before.get("/").status_code == 302 and pages.get("/").status_code == 200


def test_the_last_master_operator_stays(pages, services):
    for action in ("disable", "remove"):
        page = text_of(pages.post(f"/accounts/{action}", data={"account": "master-operator"}), 409)
        assert "master-operator is the last enabled master operator" in page
    services.accounts.add("spare", Role.MASTER_OPERATOR, PASSWORD)
    assert pages.post("/accounts/disable", data={"account": "spare"}).status_code == 302
    assert pages.post("/accounts/remove", data={"account": "master-operator"}).status_code == 409


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("secret", "Make a new password for"),
        ("disable", "can no longer log in"),
        ("remove", "What it wrote is kept"),
    ],
)
def test_a_change_is_asked_for_before_it_is_made(pages, services, change, words):
    services.accounts.add("spare", Role.MASTER_OPERATOR, PASSWORD)
    before = services.accounts.list()
    assert f'href="/accounts/{change}?account=spare"' in text_of(pages.get("/accounts"))
    page = text_of(pages.get(f"/accounts/{change}?account=spare"))
    assert words in page and 'name="account" value="spare"' in page and services.accounts.list() == before
    assert "There is no account x." in text_of(pages.get(f"/accounts/{change}?account=x"), 404)
    assert "There is no account without a name." in text_of(pages.get(f"/accounts/{change}"), 404)


def test_a_secret_is_shown_once(pages, services):
    page = text_of(pages.post("/accounts", data={"name": "app", "role": "webui-app"}))
    secret = re.search('id="secret">(.*?)<', page)[1]
    assert services.accounts.find_by_secret(secret)[0].name == "app"
    assert "already" in text_of(pages.post("/accounts", data={"name": "app", "role": "webui-app"}), 409)
    assert "a second token" in text_of(pages.get("/accounts/secret?account=app"))
    assert "a second token" not in text_of(pages.get("/accounts/secret?account=master-operator"))
    page = text_of(pages.post("/accounts/secret", data={"account": "app"}))
    assert secret not in page and services.accounts.find_by_secret(secret) is None


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"name": "a:b", "role": "operator"},
        {"name": "a", "role": "king"},
        {"name": "a"},
    ],
)
def test_accounts_that_cannot_be(pages, services, form):
    assert 'role="alert"' in text_of(pages.post("/accounts", data=form), 400)
    assert len(services.accounts.list()) == 1


def test_a_new_password_for_oneself_keeps_this_session_only(app, pages):
    other = app.test_client()
    other.post("/login", data={"name": "master-operator", "password": PASSWORD})
    form = {"current-password": PASSWORD, "new-password": "a new password", "repeated-password": "a new password"}
    assert pages.post("/account", data=form).status_code == 302
    assert pages.get("/").status_code == 200 and other.get("/").status_code == 302
    assert "between 8 and 1024" in text_of(
        pages.post(
            "/account",
            data=form | {"current-password": "a new password", "new-password": "x", "repeated-password": "x"},
        ),
        400,
    )


# --- Expectations in the API


def test_expectations(master, save, clock):
    url = "/api/expectations/custom"
    assert_problem(master.get(url), 404, "no-expectation")
    assert master.put(url, json={"everySeconds": 3600}).json == {
        "tag": "custom",
        "everySeconds": 3600,
        "state": None,
        "due": None,
    }
    save("custom", b"1")
    due = "2018-01-12T13:00:03.123456Z"
    assert master.get(url).json == {"tag": "custom", "everySeconds": 3600, "state": "fresh", "due": due}
    clock.forward(hours=2)
    late = {"tag": "custom", "everySeconds": 3600, "state": "stale", "due": due}
    assert master.get("/api/expectations").json == [late]
    assert_problem(master.get("/api/expectations", headers={"Accept": "application/xml"}), 406, "not-acceptable", "xml")
    assert master.delete(url).status_code == 204
    assert master.get("/api/expectations").json == []


@pytest.mark.parametrize(
    "body",
    [
        "",
        "1",
        "{}",
        "{",
        *(f'{{"everySeconds":{value}}}' for value in ("59", '"60"', "1E400", "1.5", "true", "9" * 12)),
    ],
)
def test_expectations_that_cannot_be(master, body):
    assert master.put("/api/expectations/custom", data=body).status_code == 400
    assert master.get("/api/expectations").json == []
