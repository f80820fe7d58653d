"""What our small script adds; the pages work without it."""

import threading

import pytest

from .conftest import follow, press

TEXT = "Metrics, as JSON"


def test_a_button_that_is_pressed_twice_sends_once(page, services, monkeypatch):
    """Else the answer that has the secret would be dropped for one that says that the name is taken."""
    page.goto("/accounts")
    page.get_by_label("Name").fill("webui")
    page.get_by_label("Role").select_option("webui-app")
    sent = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    add, slowly = services.accounts.add, threading.Event()
    monkeypatch.setattr(services.accounts, "add", lambda *args, **kwargs: (slowly.wait(10), add(*args, **kwargs)))
    # By script and later on: Playwright's own click waits for the answer to the one before.
    page.get_by_role("button", name="Add").evaluate(
        "button => { setTimeout(() => button.click(), 20); setTimeout(() => button.click(), 120); }"
    )
    page.wait_for_timeout(400)
    slowly.set()
    page.locator("#secret").wait_for()
    assert len(sent) == 1
    assert services.accounts.find_by_secret(page.locator("#secret").inner_text())[0].name == "webui"


def test_copying(page, services):
    services.documents.save("custom", b'{"a":1}', "bob")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto("/tags/custom")
    page.get_by_role("button", name="Copy").first.click()
    page.get_by_role("button", name="Copied").wait_for()
    assert page.evaluate("() => navigator.clipboard.readText()").startswith("curl -u alice http://127.0.0.1")


@pytest.mark.parametrize("app_settings", [{"MAX_BODY_BYTES": 1000}])
def test_a_text_that_the_server_would_not_read_is_not_sent(page, services):
    page.goto("/new")
    page.get_by_label("Tag").fill("custom")
    typed = '"' + "é" * 50_000 + '"'
    page.get_by_label(TEXT).fill(typed)
    page.get_by_role("button", name="Create").click()
    message = page.get_by_label(TEXT).evaluate("text => text.validationMessage")
    assert message == "This is far larger than a document may be."
    assert page.get_by_label(TEXT).input_value() == typed
    page.get_by_label(TEXT).fill("1")
    press(page, "Create")
    assert bytes(services.documents.get("custom").record.metrics) == b"1"


def test_a_page_with_an_unsaved_text_asks_before_it_is_left(page):
    page.goto("/new")
    page.get_by_label(TEXT).press_sequentially("1")
    asked = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    follow(page, "Cancel")
    assert asked == ["beforeunload"]


def test_all_on_a_page_are_selected(page, services):
    for number in range(3):
        services.documents.save(f"tag-{number}", b"1", "bob")
    page.goto("/")
    page.get_by_label("Select all on this page").check()
    page.get_by_label("Select tag-1").uncheck()
    press(page, "Delete")
    assert page.locator("tbody th").all_inner_texts() == ["tag-0", "tag-2"]


@pytest.mark.parametrize("path", ["/", "/tags/custom"])
def test_an_open_page_offers_what_is_new(page, services, path):
    services.documents.save("custom", b'{"a":1}', "bob")
    page.clock.install()
    page.goto(path)
    asked = []
    page.on("response", lambda answer: asked.append((answer.request.method, answer.status)))
    with page.expect_response("**/api/deploymentmetrics**"):
        page.clock.run_for(31_000)
    assert asked == [("HEAD", 304)] and page.locator(".new").count() == 0
    services.documents.save("custom", b'{"a":2}', "bob")
    page.mouse.move(600, 400)
    with page.expect_response("**/api/deploymentmetrics**"):
        page.clock.run_for(31_000)
    page.locator(".new").wait_for()
    assert "2" not in page.locator("b, td .number").all_inner_texts()
    follow(page, "Show it")
    assert "2" in page.locator("b, td .number").all_inner_texts()


def test_a_page_refreshes_by_itself_where_that_is_chosen(page, services):
    services.documents.save("custom", b'{"a":1}', "bob")
    page.clock.install()
    page.goto("/tags/custom")
    page.get_by_label("Refresh by itself").check()
    services.documents.save("custom", b'{"a":2}', "bob")
    page.locator("td .number").hover()
    with page.expect_response("**/api/deploymentmetrics**"):
        page.clock.run_for(31_000)
    page.locator(".new").wait_for()
    assert page.locator("td .number").inner_text() == "1"
    page.mouse.move(5, 5)
    with page.expect_navigation():
        page.clock.run_for(31_000)
    assert page.locator("td .number").inner_text() == "2" and page.get_by_label("Refresh by itself").is_checked()


def test_a_page_that_nobody_uses_asks_no_more(page, services):
    services.documents.save("custom", b"1", "bob")
    page.clock.install()
    page.goto("/tags/custom")
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.clock.run_for(3_600_000)
    assert 0 < len(asked) <= 31
