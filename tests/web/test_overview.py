"""The overview: groups, search in names, what is done with several tags, the number that is shown, and preferences."""

import json
import re

import pytest
from pagekit import text_of
from storekit import newest_file, open_files

from deploymetrics.documents.headlines import Headlines
from deploymetrics.maintenance import copy
from deploymetrics.web import overview_cache


def tags_of(page):
    """The tags and the groups in a page of the overview."""
    return re.findall(r'<th scope="row"><a href="[^"]*"(?: aria-expanded="\w+")?><bdi>(.*?)</bdi>', page)


# --- Groups and search


def test_tags_that_begin_alike_fold(master, save, services, clock):
    for tag in (
        "a-1",
        "a-2",
        "a-3",
        "b.x-1",
        "b.x-2",
        "c",
        "patch-prod-1",
        "patch-prod-2",
        "patch-test-1",
        "patch-prod-3",
    ):
        save(tag, b"1")
    assert tags_of(text_of(master.get("/?groups=1"))) == ["a-…", "b.x-1", "b.x-2", "c", "patch-prod-…", "patch-test-1"]
    page = text_of(master.get("/?groups=1&open=patch-prod-"))
    assert tags_of(page)[4:8] == ["patch-prod-…", "patch-prod-1", "patch-prod-2", "patch-prod-3"]
    assert 'href="/?groups=1" aria-expanded="true"' in page and ">3 tags<" in page
    assert 'href="/?groups=1&amp;open=a-" aria-expanded="false"' in page
    services.expectations.set("a-2", 60, "bob")
    clock.forward(minutes=5)
    page = text_of(master.get("/?groups=1"))
    assert tags_of(page)[:2] == ["a-2", "a-…"] and "1 late</span>" in page
    assert tags_of(text_of(master.get("/?groups=1&q=PROD"))) == ["patch-prod-…"]


def test_the_names_of_values_are_searched(pages, save, monkeypatch):
    save("one", json.dumps([{"Caf\u00e9": {"deep_count": 1}, "a": "not_a_name"}], ensure_ascii=False).encode())
    save("two", b'{"other":1}')
    assert tags_of(text_of(pages.get("/?q=DEEP_"))) == ["one"]
    assert tags_of(text_of(pages.get("/?q=cafe%CC%81"))) == ["one"]
    assert tags_of(text_of(pages.get("/?q=not_a_name"))) == []
    save("two", b'{"deep_too":1}')
    assert tags_of(text_of(pages.get("/?q=deep_"))) == ["one", "two"]
    monkeypatch.setattr(overview_cache, "MAX_LOOKED_AT", 0)
    assert tags_of(text_of(pages.get("/?q=deep_"))) == ["one", "two"]  # known already


def test_an_empty_overview_says_how_to_post_the_first_document(pages):
    page = text_of(pages.get("/"))
    assert page.count("http://localhost/api/deploymentmetrics/custom") == 3
    assert "search the deleted ones" not in page and "Fresh" not in page


# --- Several tags


def test_several_are_exported(pages, save, services):
    for tag in ("a", "b", "c"):
        save(tag, b"1")
        save(tag, b"2")
        services.expectations.set(tag, 3600, "bob")
    answer = pages.post("/selected", data={"action": "export", "tag": ["a", "c", "nothing"]})
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [(line["tag"], line["version"]) for line in lines[:-2]] == [("a", 1), ("a", 2), ("c", 1), ("c", 2)]
    assert [line["expectation"]["tag"] for line in lines[-2:]] == ["a", "c"]
    assert answer.mimetype == "application/x-ndjson"


def test_posts_of_several_are_expected(pages, save, services):
    for tag in ("a", "b", "c"):
        save(tag, b"1")
    assert pages.post("/selected", data={"action": "expect", "every": "3600", "tag": ["a", "b"]}).status_code == 302
    assert services.expectations.all() == {"a": 3600, "b": 3600}
    assert "2 tags: a post is expected every hour now." in text_of(pages.get("/"))
    for nonsense in ("x", "59"):
        text_of(pages.post("/selected", data={"action": "expect", "every": nonsense, "tag": ["a"]}), 400)


def test_a_damaged_expectation_keeps_no_other_from_being_stored(pages, save, services, tmp_path):
    for tag in ("a", "b", "c"):
        save(tag, b"1")
        services.expectations.set(tag, 60, "bob")
    newest_file(tmp_path / "instance", "expectations", "a").write_bytes(b"nonsense\n")
    form = {"action": "expect", "every": "3600", "tag": ["a", "b", "c"]}
    assert pages.post("/selected", data=form).status_code == 302
    assert services.expectations.all() == {"b": 3600, "c": 3600}
    page = text_of(pages.get("/"))
    assert "2 tags: a post is expected every hour now." in page and "a has no new expectation: " in page


def test_several_are_deleted_when_asked_once(pages, save, services):
    for tag in ("a", "b", "c", "<b>"):
        save(tag, b"1")
    page = text_of(pages.post("/selected", data={"action": "delete", "tag": ["a", "<b>", "c", "platform", "nothing"]}))
    assert "Delete 3 documents?" in page and "These stay" in page and "<bdi>platform</bdi>: " in page
    assert len(services.documents.list().items) == 4
    etags = re.findall('name="etag" value="([^"]*)"', page)
    save("c", b"2")
    form = {"action": "delete-now", "tag": ["a", "<b>", "c"], "etag": etags}
    assert pages.post("/selected", data=form).status_code == 302
    assert [item.key for item in services.documents.list().items] == ["b", "c"]
    page = text_of(pages.get("/"))
    assert "2 documents are deleted." in page and "c is not deleted: " in page


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"action": "export"}, 302),
        ({"action": "nothing", "tag": "a"}, 400),
        ({"tag": "a"}, 400),
        ({"action": "delete-now", "tag": "a"}, 400),
        ({"action": "export", "tag": [str(number) for number in range(1001)]}, 400),
        ({"action": "export", "tag": "a/b"}, 400),
        ({"action": "expect", "every": "60", "tag": "\n"}, 400),
    ],
)
def test_selections_that_cannot_be(pages, save, services, form, status):
    save("a", b"1")
    assert pages.post("/selected", data=form).status_code == status
    assert len(services.documents.list().items) == 1


# --- The number that is shown


def test_a_number_and_its_unit_are_chosen(pages, save, services):
    save("custom", b'{"a":1,"queue":5}')
    assert '<option value="=queue">queue</option>' in text_of(pages.get("/tags/custom"))
    assert pages.post("/tags/custom/headline", data={"number": "=queue", "unit": "items"}).status_code == 302
    assert "<b>5 items</b> <bdi>queue</bdi>" in text_of(pages.get("/"))
    assert '<option value="=queue" selected>' in text_of(pages.get("/tags/custom"))
    save("custom", b'{"a":1}')
    assert "<bdi>a</bdi>" in text_of(pages.get("/"))
    assert "queue (gone)" in text_of(pages.get("/tags/custom"))
    assert pages.post("/tags/custom/headline", data={"number": ""}).status_code == 302
    assert services.headlines.all() == {}
    for form in (
        {"number": "=" + "x" * 300},
        {"number": "=a", "unit": "x" * 13},
        {"number": "=a", "unit": "\n\tx\x00"},
    ):
        assert pages.post("/tags/custom/headline", data=form).status_code == 400
    assert pages.post("/tags/nothing/headline", data={"number": "=a"}).status_code == 404


@pytest.mark.parametrize("app_settings", [{"UNITS": "queue=items waiting=min"}])
def test_units_by_name(pages, save):
    save("custom", b'[{"queue":5}]')
    save("more", b'{"a":{"waiting":7}}')
    page = text_of(pages.get("/"))
    assert "<b>5 items</b>" in page and "<b>7 min</b>" in page


def test_a_headline_comes_along_where_a_storage_is_copied(services, tmp_path, clock):
    services.headlines.set("custom", "queue", "items", "bob")
    target = open_files(tmp_path / "other", clock)
    assert not any(problem for *_, problem in copy(services.store, target))
    assert Headlines(target).all() == services.headlines.all() != {}


# --- Preferences


def test_times_are_in_the_zone_of_the_reader(pages, save):
    save("custom", b"1")
    assert "12:00:03 GMT" in text_of(pages.get("/tags/custom"))
    answer = pages.post("/preferences", data={"zone": "Asia/Kolkata", "next": "/tags/custom"})
    assert answer.headers["Location"] == "/tags/custom" and "HttpOnly" in answer.headers["Set-Cookie"]
    page = text_of(pages.get("/tags/custom"))
    assert "12 Jan 2018 17:30:03 Asia/Kolkata" in page and "GMT" not in page and "1 · 12 Jan 2018 17:30" in page
    page = text_of(pages.get("/plot?series=custom/&from=2018-01-12T17:00&to=2018-01-12T18:00"))
    assert "12 Jan 2018 17:30" in page and "from=2018-01-12T11:30Z&amp;to=2018-01-12T12:30Z</pre>" in page
    assert 'name="from" type="datetime-local" value="2018-01-12T17:00"' in page
    page = text_of(pages.post("/preferences", data={"zone": "../<b>"}), 400)
    assert "There is no time zone" in page and 'value="../&lt;b&gt;"' in page
    assert pages.post("/preferences", data={"zone": "GMT", "next": "//evil.example"}).headers["Location"] == "/"
    assert "GMT" in text_of(pages.get("/tags/custom"))


def test_how_close_the_lines_stand_is_remembered(pages, save):
    save("custom", b"1")
    assert 'class="overview compact"' in text_of(pages.get("/"))
    pages.post("/preferences", data={"density": "comfortable"})
    assert 'class="overview comfortable"' in text_of(pages.get("/"))
    assert pages.post("/preferences", data={"density": "x"}).status_code == 400
    pages.set_cookie("deploymetrics_view", "x:y:z")
    assert 'class="overview compact"' in text_of(pages.get("/"))
