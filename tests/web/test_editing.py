"""The editor: what it checks, what it never overwrites, and that nothing typed is lost."""

import pytest
from conftest import PASSWORD
from pagekit import multipart, text_of

from deploymetrics.errors import StorageFullError
from deploymetrics.formats import rawjson

OWN = {"Sec-Fetch-Site": "same-origin"}


MARKED = "1 │ {&#34;a&#34;: 1,\n2 │  &#34;b&#34;: }\n  │       ^"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": 1,\n "b": }', ["The text is not JSON", "(line 2, column 7).", MARKED]),
        ("", ["line 1, column 1"]),
        ("[NaN]", ["column 2"]),
        ('["\\ud83d"]', ["line 1, column 3"]),
        ('{"tag": "custom", "metrics": 1, "lastChanged": "x"}', ["The text is the whole document"]),
        (f'"{"x" * 2**20}"', ["The document is larger than the limit of 1048576 bytes"]),
    ],
)
def test_the_check_says_where(pages, save, text, words):
    item = save("custom", b"1")
    answer = pages.post("/tags/custom/edit", **multipart(metrics=text, etag=item.revision))
    assert answer.status_code in (400, 413)
    assert [word for word in words if word not in answer.text] == [] and 'aria-invalid="true"' in answer.text


@pytest.mark.parametrize("tag", ["", "a/b", "..", "x" * 65, "platform", "PLATFORM", "p l a t f o r m"])
def test_tags_that_cannot_be(pages, services, tag):
    answer = pages.post("/new", data={"tag": tag, "metrics": "[1]"})
    assert answer.status_code in (400, 403) and ">\n[1]</textarea>" in answer.text
    assert services.documents.list().items == ()


def test_a_document_of_the_largest_size_is_edited(pages, save, services):
    item = save("custom", b"1")
    text = '["' + "é" * 524_286 + '"]'
    assert pages.post("/tags/custom/edit", **multipart(metrics=text, etag=item.revision)).status_code == 302
    assert bytes(services.documents.get("custom").record.metrics).decode() == text


def test_nothing_is_created_over_what_is_there(pages, save, services):
    save("custom", b'{"a":1}')
    page = text_of(pages.post("/new", data={"tag": "custom", "metrics": '{"a":2}', "etag": ""}), 412)
    assert (
        "saved version 1" in page
        and "<del><bdi>1</bdi></del>" in page
        and bytes(services.documents.get("custom").record.metrics) == b'{"a":1}'
    )


def test_deleted_in_between(pages, save, services):
    item = save("custom", b"1")
    services.documents.delete("custom", "bob")
    page = text_of(pages.post("/tags/custom/edit", data={"metrics": "2", "etag": item.revision}), 412)
    assert "The document was deleted while you were editing" in page
    item = save("custom", b"1")
    save("custom", b"2")
    page = text_of(pages.post("/tags/custom/delete", data={"etag": item.revision}), 412)
    assert "It is not deleted" in page and services.documents.get("custom").version == 4


def test_the_platform_is_shown_and_not_edited(pages, services):
    services.documents.save_platform(b'[{"number_of_endpoints":"5"}]', "collector")
    page = text_of(pages.get("/tags/platform"))
    assert "The collector" in page and "It has not run yet." in page and "/tags/platform/edit" not in page
    for path in ("edit", "delete", "versions/1/restore"):
        assert pages.post(f"/tags/platform/{path}", data={"etag": "", "metrics": "1"}).status_code == 403
    for path in ("edit", "delete"):
        assert pages.get(f"/tags/platform/{path}").status_code == 403


def test_a_form_that_is_sent_twice_is_stored_once(pages, save, services):
    item = save("custom", b"1")
    for _ in range(2):
        assert pages.post("/tags/custom/edit", data={"metrics": "[2]", "etag": item.revision}).status_code == 302
    assert "Saved as version 2." in text_of(pages.get("/tags/custom")) and services.documents.get("custom").version == 2
    save("custom", b"[2]")
    answer = pages.post("/tags/custom/edit", data={"metrics": "[2]", "etag": item.revision})
    assert "Differences" in text_of(answer, 412)


def test_what_is_edited_may_be_longer_than_the_document(pages, save, services):
    """White space does not count: the editor itself puts it in."""
    metrics = b"[" + b",".join([b"1"] * 500_000) + b"]"
    item = save("custom", metrics)
    text = rawjson.indent(metrics).replace("\n", "\r\n")
    assert len(text) > 2 * 2**20
    assert pages.post("/tags/custom/edit", **multipart(metrics=text, etag=item.revision)).status_code == 302
    assert bytes(services.documents.get("custom").record.metrics) == metrics


def test_a_text_that_is_far_too_long_comes_back(app, pages, save):
    item = save("custom", b"1")
    text = '"' + "x" * 7 * 2**20 + '"'
    page = text_of(pages.post("/tags/custom/edit", **multipart(metrics=text, etag=item.revision)), 413)
    assert "x" * 7 * 2**20 in page
    pages.post("/logout")
    page = text_of(pages.post("/tags/custom/edit", **multipart(metrics=text), headers=OWN), 401)
    assert "x" * 7 * 2**20 in page
    page = text_of(app.test_client().post("/tags/custom/edit", **multipart(metrics=text), headers=OWN), 413)
    assert len(page) < 2000


def test_a_full_disk_loses_nothing_typed(pages, save, services, monkeypatch, caplog):
    item = save("custom", b"1")

    def full(*args, **kwargs):
        raise StorageFullError(log="no space in /srv")

    monkeypatch.setattr(services.documents, "save", full)
    answer = pages.post("/tags/custom/edit", data={"metrics": "[1, 2]", "etag": item.revision})
    page = text_of(answer, 507)
    assert ">\n[1, 2]</textarea>" in page and "Request id: " in page and "/srv" not in page
    assert "no space in /srv" in caplog.text and answer.headers["Retry-After"] == "5"


def test_what_was_typed_survives_the_end_of_a_session(app, master, save):
    item = save("custom", b"[1]")
    client = app.test_client()
    typed = {"metrics": "[1,\n</textarea><b>2", "etag": item.revision, "new-password": "a secret"}
    page = text_of(client.post("/tags/custom/edit", data=typed, headers=OWN), 401)
    assert "[1,\n&lt;/textarea&gt;&lt;b&gt;2</textarea>" in page and "a secret" not in page
    form = {
        "name": "master-operator",
        "password": PASSWORD,
        "next": "/tags/custom/edit",
        "kept.metrics": typed["metrics"],
        "kept.etag": item.revision,
    }
    page = text_of(client.post("/login", data=form, headers=OWN))
    assert 'action="/tags/custom/edit"' in page and 'name="metrics">\n[1,\n&lt;/textarea&gt;' in page


def test_nothing_of_another_site_is_kept(app):
    headers = {"Sec-Fetch-Site": "cross-site"}
    answer = app.test_client().post("/tags/a/edit", data={"metrics": "planted"}, headers=headers)
    assert "planted" not in text_of(answer, 401)
