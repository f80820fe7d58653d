"""Every page, wide and narrow, light and dark: nothing that axe-core finds wrong, nothing that runs over the side."""

import pytest

from .conftest import log_in

HOSTILE = "<script>alert(1)<⁄script>\u202e\U0001d54f"
PAGES = {
    "overview": "/",
    "nothing found": "/?q=nothing",
    "facts": "/tags/custom",
    "table": "/tags/table",
    "tree": "/tags/tree",
    "platform": "/tags/platform",
    "hostile": f"/tags/{HOSTILE}",
    "long": f"/tags/{'w' * 64}",
    "deleted": "/tags/deleted",
    "history": "/tags/custom/history",
    "version": "/tags/custom/versions/1",
    "compare": "/tags/custom/compare?from=1&to=3",
    "edit": "/tags/custom/edit",
    "new": "/new",
    "delete": "/tags/custom/delete",
    "accounts": "/accounts",
    "remove": "/accounts/remove?account=bob",
    "account": "/account",
    "error": "/nothing",
}
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]
STATE = {
    "name": "bigfix", "lastSuccess": "2018-01-12T11:00:00.000000Z", "lastFailure": "2018-01-12T12:00:00.000000Z",
    "reason": "The server did not answer.", "failures": 2, "nextAttempt": 1515762000.0, "failed": {"number": "no"},
}


@pytest.fixture
def documents(parts, clock):
    """Documents of every shape."""
    from deploymetrics.collector import BY, COLLECTOR, SourceState
    from msgspec import json

    save = parts.service.save
    for number in range(3):
        clock.forward(minutes=1)
        save("custom", b'[{"endpoints":"%d","note":"x","by_os":{"a":"1"}}]' % number, "bob")
    save("table", b'[{"site":"a","count":1},{"site":"b","count":2,"more":null}]', "bob")
    save("tree", b'{"a":{"b":[1,{"c":"%b"}]}}' % (b"x" * 500), "bob")
    save(HOSTILE, b'[{"<img src=x onerror=alert(1)>":"<script>alert(1)</script>","y":"5"}]', "bob")
    save("w" * 64, b"[%b]" % (b"1" * 300), "bob")
    save("deleted", b"1", "bob")
    parts.service.delete("deleted", "bob")
    parts.service.save_platform(b'[{"number_of_endpoints":"5"}]', BY)
    parts.accounts.store.write(COLLECTOR, "bigfix", BY, lambda current, at: json.encode(SourceState(**STATE)))
    parts.expectations.set("table", 60, "alice")
    clock.forward(days=2)


def violations(page, axe):
    """(rule, element) of what axe-core finds on the page."""
    page.evaluate(axe)
    found = page.evaluate("rules => axe.run({runOnly: rules, resultTypes: ['violations']})", RULES)["violations"]
    return [(rule["id"], node["html"][:120], node["failureSummary"]) for rule in found for node in rule["nodes"]]


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (375, "dark")])
def test_pages(open_page, axe, documents, width, scheme):
    # The policy of the pages lets no script of a test in.
    page = open_page(bypass_csp=True, viewport={"width": width, "height": 800}, color_scheme=scheme)
    page.goto("/")
    wrong = {"login": violations(page, axe)}
    log_in(page)
    for name, path in PAGES.items():
        page.goto(path)
        page.evaluate("() => document.querySelectorAll('details').forEach(details => { details.open = true })")
        wrong[name] = violations(page, axe)
        if page.evaluate("() => document.documentElement.scrollWidth > innerWidth"):
            wrong[name].append("wider than the window")
    assert {name: found for name, found in wrong.items() if found} == {}


def test_forms_that_complain(open_page, axe, documents, parts):
    page = open_page(bypass_csp=True)
    page.goto("/tags/custom/edit")
    log_in(page, password="wrong")
    wrong = violations(page, axe)
    log_in(page)
    page.get_by_label("Metrics, as JSON").fill("[1,]")
    page.get_by_role("button", name="Save").click()
    wrong += violations(page, axe)
    page.get_by_label("Metrics, as JSON").fill("[1]")
    parts.service.save("custom", b"[2]", "bob")
    page.get_by_role("button", name="Save").click()
    wrong += violations(page, axe)
    page.goto("/accounts")
    page.get_by_role("button", name="New password for bob").click()
    assert page.locator("#secret").is_visible()
    assert wrong + violations(page, axe) == []


def test_the_keyboard_is_enough(documents, page):
    page.goto("/")
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.textContent") == "To the content"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")  # the link to a new document
    page.keyboard.press("Tab")
    page.keyboard.type("table")
    page.keyboard.press("Enter")
    page.wait_for_url("**/?q=table")
    assert page.locator("tbody th").all_inner_texts() == ["table"]


def test_hostile_values_do_nothing(open_page, documents):
    page = open_page()
    dialogs = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    page.goto("/")
    log_in(page)
    for path in ("/", f"/tags/{HOSTILE}", f"/tags/{HOSTILE}/history", f"/tags/{HOSTILE}/edit", f"/?q={HOSTILE}"):
        page.goto(path)
        assert page.locator("script").count() == 1 and page.locator("img").count() == 0
    assert dialogs == []
