"""History and paging over HTTP: what a client sees, page by page, in both formats."""

import re

import pytest
from lxml import etree
from problems import assert_problem
from xmlkit import SCHEMA

URL = "/api/deploymentmetrics"


def post(person, tag, *bodies):
    for body in bodies:
        assert person.post(f"{URL}/{tag}", data=body).status_code == 200


def next_url(answer):
    link = answer.headers.get("Link")
    return link and re.fullmatch(r'<(.*)>; rel="next"', link)[1]


def pages(person, url):
    """The JSON of each page, following the links."""
    while url:
        answer = person.get(url)
        assert answer.status_code == 200
        yield answer.json
        url = next_url(answer)


def test_the_history_has_every_version_newest_first(master, webui, clock):
    post(webui, "custom", "[1.10]")
    clock.forward(minutes=1)
    post(master, "custom", "2")
    assert master.get(f"{URL}/custom/history").data == (
        b'[{"version":2,"changedAt":"2018-01-12T12:01:03.123456Z","changedBy":"master-operator",'
        b'"tag":"custom","metrics":2,"lastChanged":"12 Jan 2018 12:01"},'
        b'{"version":1,"changedAt":"2018-01-12T12:00:03.123456Z","changedBy":"webui-app",'
        b'"tag":"custom","metrics":[1.10],"lastChanged":"12 Jan 2018 12:00"}]'
    )


def test_a_deletion_is_an_entry_and_versions_go_on(master):
    post(master, "custom", "1", "2")
    assert master.delete(f"{URL}/custom").status_code == 204
    gone = master.get(f"{URL}/custom/history").json
    assert [entry["version"] for entry in gone] == [3, 2, 1]
    assert gone[0]["deleted"] is True and "metrics" not in gone[0] and gone[0]["tag"] == "custom"
    post(master, "custom", "4")
    assert [entry["version"] for entry in master.get(f"{URL}/custom/history").json] == [4, 3, 2, 1]


def test_the_history_is_paged_with_links(master):
    post(master, "custom", *"1234567")
    found = list(pages(master, f"{URL}/custom/history?limit=3"))
    assert [[entry["metrics"] for entry in page] for page in found] == [[7, 6, 5], [4, 3, 2], [1]]
    assert master.get(f"{URL}/custom/history?before=1").json == []


def test_a_hundred_versions_are_a_page_unless_asked_otherwise(master, services):
    for number in range(102):
        services.documents.save("custom", b"%d" % number, "test")
    assert len(master.get(f"{URL}/custom/history").json) == 100
    assert len(master.get(f"{URL}/custom/history?limit=1000").json) == 102


def test_a_version_is_the_document_as_it_was(master):
    post(master, "custom", "[1.10]", "2")
    answer = master.get(f"{URL}/custom/history/1")
    assert answer.data == b'{"tag":"custom","metrics":[1.10],"lastChanged":"12 Jan 2018 12:00"}'
    assert answer.headers["ETag"] != master.get(f"{URL}/custom/history/2").headers["ETag"]
    assert master.get(f"{URL}/custom/history/2").data == master.get(f"{URL}/custom").data
    etag = answer.headers["ETag"]
    assert master.get(f"{URL}/custom/history/1", headers={"If-None-Match": etag}).status_code == 304


def test_the_history_in_xml_is_valid_and_says_who_and_when(master):
    post(master, "custom", "1")
    master.delete(f"{URL}/custom")
    root = etree.fromstring(master.get(f"{URL}/custom/history?output=xml").data)
    SCHEMA.assertValid(root)
    deletion, first = root
    assert deletion.get("Deleted") == "true" and deletion.get("Version") == "2" and deletion.find("Metrics") is None
    assert first.get("ChangedAt") == "2018-01-12T12:00:03.123456Z" and first.get("ChangedBy") == "master-operator"
    assert first.get("Deleted") is None


def test_the_link_keeps_the_other_arguments(master):
    post(master, "a", "1", "2")
    assert next_url(master.get(f"{URL}/a/history?limit=1&output=xml")).endswith("?limit=1&output=xml&before=2")


def test_the_etag_of_the_history_changes_with_a_write(master):
    post(master, "custom", "1")
    etag = master.get(f"{URL}/custom/history").headers["ETag"]
    assert master.get(f"{URL}/custom/history", headers={"If-None-Match": etag}).status_code == 304
    post(master, "custom", "1")
    assert master.get(f"{URL}/custom/history", headers={"If-None-Match": etag}).status_code == 200


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
def test_the_list_is_paged_in_the_order_of_the_tags(master, limit):
    tags = sorted(["a", "B", "ä", "c/".strip("/"), "10", "9", "z z", "100%"])
    for tag in tags:
        post(master, tag.replace("%", "%25"), "1")
    found = list(pages(master, f"{URL}?limit={limit}"))
    assert [document["tag"] for page in found for document in page] == tags
    assert all(len(page) == limit for page in found[:-1])


@pytest.mark.parametrize("form", ["json", "xml"])
def test_a_page_of_the_list_has_an_etag_of_its_own(master, form):
    first, second = f"{URL}?limit=2&output={form}", f"{URL}?limit=2&after=b&output={form}"

    def statuses(*urls):
        return [master.get(url, headers={"If-None-Match": etags[url]}).status_code for url in urls]

    for tag in "abc":
        post(master, tag, "1")
    etags = {url: master.get(url).headers["ETag"] for url in (first, second)}
    post(master, "c", "2")
    post(master, "d", "1")
    assert statuses(first, second) == [304, 200]
    etags = {url: master.get(url).headers["ETag"] for url in (first, second)}
    post(master, "e", "1")  # nothing in the second page is another one, but now there is a page after it
    assert statuses(first, second) == [304, 200]
    assert next_url(master.get(second)).endswith("after=d")
    post(master, "b", "1")
    assert statuses(first) == [200]


def test_a_page_goes_on_after_a_tag_that_is_gone(master):
    post(master, "a", "1")
    post(master, "c", "1")
    assert [document["tag"] for document in master.get(f"{URL}?after=b").json] == ["c"]
    assert master.get(f"{URL}?after=c").json == []
    assert master.get(f"{URL}?limit=5&output=xml").headers["Content-Type"] == "application/xml"


@pytest.mark.parametrize("query", ["limit=0", "limit=-1", "limit=x", "limit=1.5", "limit="])
def test_a_limit_that_is_none_is_refused(master, query):
    assert_problem(master.get(f"{URL}?{query}"), 400, "invalid-fields")
    post(master, "custom", "1")
    assert_problem(master.get(f"{URL}/custom/history?{query}"), 400, "invalid-fields")


@pytest.mark.parametrize("query", ["limit=1001", "before=0", "before=x"])
def test_arguments_of_the_history_are_checked(master, query):
    post(master, "custom", "1")
    assert_problem(master.get(f"{URL}/custom/history?{query}"), 400, "invalid-fields")


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("never/history", 404, "no-such-tag"),
        ("never/history?before=5", 404, "no-such-tag"),
        ("never/history/1", 404, "no-such-version"),
        ("custom/history/3", 404, "no-such-version"),
        ("custom/history/2", 404, "deleted-version"),
        ("custom/history/0", 400, "invalid-version"),
        ("custom/history/x", 400, "invalid-version"),
        ("custom/history/-1", 400, "invalid-version"),
        ("custom/history/99999999999999999999", 400, "invalid-version"),
    ],
)
def test_what_is_not_there(master, path, status, code):
    post(master, "custom", "1")
    master.delete(f"{URL}/custom")
    assert_problem(master.get(f"{URL}/{path}"), status, code)
