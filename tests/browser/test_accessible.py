"""Every page, wide and narrow, light and dark: nothing that axe-core finds wrong, nothing that runs over the side."""

import pytest
from conftest import PASSWORD

from deploymetrics.accounts.service import Role
from deploymetrics.telemetry import telemetry_of

from .conftest import follow, log_in, press

HOSTILE = "<script>alert(1)<⁄script>\u202e\U0001d54f"
# What each of them shows, so that nothing but that page is looked at.
PAGES = {
    "/": "10 of 10 documents",
    "/?state=stale": "1 of 10 documents",
    "/?state=deleted": "1 deleted document",
    "/?q=nothing": "No documents match.",
    "/?groups=1&open=group-": "group-…",
    "/preferences": "Time zone",
    "/tags/custom": "Expect a post",
    "/tags/table": "was due 1 day ago",
    "/tags/many?plots=3&every=1": "of them are on this page.",
    "/tags/tree": "2 items",
    "/plot?series=custom/endpoints&series=table/sum([].count)&range=all": "A scale for each line",
    "/plot?series=custom/nothing": "There are no values in this time.",
    "/tags/platform": "The server did not answer.",
    f"/tags/{HOSTILE}": "<img src=x onerror=alert(1)>",
    f"/tags/{'w' * 64}": "w" * 64,
    "/tags/deleted": "This document was deleted",
    "/tags/custom/history": "newest first",
    "/tags/deleted/history": "deleted",
    "/tags/custom/versions/1": "Bring version 1 back",
    "/tags/custom/compare?from=1&to=3": "Version 1 and version 3",
    "/tags/custom/edit": "Metrics, as JSON",
    "/new": "New document",
    "/tags/custom/delete": "Delete this document?",
    "/accounts": "Add an account",
    "/accounts/disable?account=bob": "Disable bob?",
    "/accounts/secret?account=bob": "Make a new password for bob?",
    "/accounts/remove?account=bob": "Remove bob?",
    "/account": "Your account",
    "/accounts/about?account=app": "Set limits",
    "/audit": "Who changed what, who logged in, and who was refused",
    "/nothing": "Not Found",
}
# The last two are more than is promised: things to press are 24 pixels large.
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# Between the looks of one width nothing but colours changes.
COLOURS = {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}
LOOKS = [(1280, "light", TAGS), (1280, "dark", COLOURS), (375, "dark", TAGS), (375, "light", COLOURS)]
# A tablet, and just wide enough for whole tables: here only what runs over the side is looked for.
LOOKS += [(720, "light", None), (1060, "light", None)]
STATE = {
    "name": "bigfix",
    "lastSuccess": "2018-01-12T11:00:00.000000Z",
    "lastFailure": "2018-01-12T12:00:00.000000Z",
    "reason": "The server did not answer.",
    "failures": 2,
    "nextAttempt": 1515762000.0,
    "failed": {"number": "no"},
}


@pytest.fixture
def documents(app, site, services, clock):
    """Documents of every shape."""
    from msgspec import json

    from deploymetrics.collector.platform_document import AUTHOR
    from deploymetrics.collector.states import COLLECTOR, SourceState

    save = services.documents.save
    for number in range(3):
        clock.forward(minutes=1)
        save("custom", b'[{"endpoints":"%d","note":"x","by_os":{"a":"1"}}]' % number, "bob")
    save("table", b'[{"site":"a","count":1},{"site":"b","count":2,"more":null}]', "bob")
    save("many", b"[%b]" % b",".join(b"%d" % number for number in range(60)), "bob")
    for number in range(3):
        save(f"group-{number}", b"1", "bob")
    save("tree", b'{"a":{"b":[1,{"c":"%b"}]}}' % (b"x" * 500), "bob")
    save(HOSTILE, b'[{"<img src=x onerror=alert(1)>":"<script>alert(1)</script>","y":"5"}]', "bob")
    save("w" * 64, b"[%b]" % (b"1" * 300), "bob")
    save("deleted", b"1", "bob")
    services.documents.delete("deleted", "bob")
    services.documents.save_platform(b'[{"number_of_endpoints":"5"}]', AUTHOR)
    services.accounts.store.write(COLLECTOR, "bigfix", AUTHOR, lambda current, at: json.encode(SourceState(**STATE)))
    services.expectations.set("table", 60, "alice")
    services.accounts.add("app", Role.WEBUI_APP, PASSWORD)
    for name in ("alice", "app"):
        services.tokens.add(name, "a token", "alice", duration=1, tags=("web-*", "db"))
        services.tokens.add(name, "for ever", "alice", duration=0)
    facts = {"what": "w" * 64, "code": "precondition-failed", "address": "2001:db8:1111:2222:3333:4444:5555:6666"}
    telemetry_of(app).audit_log.note("w" * 64, "change_own_password", status=412, request="f" * 36, **facts)
    clock.forward(days=2)


@pytest.fixture
def looked_at(open_page, axe, documents):
    """Open a page with axe-core in it, and give it with ``look(words)``, which looks at the one that shows them."""
    # The policy of the pages lets no script of a test in.
    page = open_page(bypass_csp=True)
    page.context.add_init_script(axe)
    found = {}

    def look(words):
        assert words in page.locator("main").inner_text()
        page.evaluate("() => document.querySelectorAll('details').forEach(details => { details.open = true })")
        for width, scheme, rules in LOOKS:
            page.set_viewport_size({"width": width, "height": 800})
            page.emulate_media(color_scheme=scheme)
            wrong = violations(page, rules) if rules else []
            if page.evaluate("() => document.documentElement.scrollWidth > innerWidth"):
                wrong.append("wider than the window")
            if wrong:
                found[words, width, scheme] = wrong

    yield page, look
    assert found == {}


def violations(page, rules=TAGS):
    """(rule, element, why) of what axe-core finds on the page."""
    found = page.evaluate("rules => axe.run({runOnly: rules, resultTypes: ['violations']})", rules)["violations"]
    return [(rule["id"], node["html"][:120], node["failureSummary"]) for rule in found for node in rule["nodes"]]


def test_pages(looked_at):
    page, look = looked_at
    page.goto("/")
    look("Log in")
    log_in(page)
    for path, words in PAGES.items():
        page.goto(path)
        look(words)


def test_forms_that_complain(looked_at, services):
    page, look = looked_at
    page.goto("/tags/custom/edit")
    log_in(page, password="wrong")
    look("wrong")
    log_in(page)
    text = page.get_by_label("Metrics, as JSON")
    text.fill("[1,]")
    press(page, "Save")
    look("line 1, column 4")
    text.fill("[1]")
    services.documents.save("custom", b"[2]", "bob")
    press(page, "Save")
    look("bob saved version 4")
    page.goto("/tags/custom/versions/1")
    services.documents.save("custom", b"[3]", "bob")
    press(page, "Bring version 1 back")
    look("Nothing is brought back")
    page.goto("/tags/custom/delete")
    services.documents.save("custom", b"[4]", "bob")
    press(page, "Delete")
    look("It is not deleted.")
    page.goto("/tags/custom/edit")
    text.fill("[5]")
    services.accounts.set_password("alice", PASSWORD)
    press(page, "Save")
    look("What you typed is not lost")
    log_in(page)
    look("You are logged in again")
    press(page, "Continue")
    look("Saved as version 7")


def test_accounts_and_those_who_may_less(looked_at, services):
    page, look = looked_at
    page.goto("/accounts")
    log_in(page)
    follow(page, "New password for bob")
    press(page, "Make a new password")
    assert page.locator("#secret").is_visible()
    look("The password of bob")
    page.get_by_label("Name").fill("bob")
    press(page, "Add")
    look("There is an account bob already.")
    for name, role in (("olga", Role.OPERATOR), ("webui", Role.WEBUI_APP)):
        services.accounts.add(name, role, PASSWORD)
        press(page, "Log out", exact=True)
        log_in(page, name)
        look(f"Welcome, {name}")
        page.goto("/account")
        look(f"You are {name}")
    page.goto("/accounts")
    look("Forbidden")


def test_several_tags(looked_at):
    page, look = looked_at
    page.goto("/")
    log_in(page)
    page.get_by_label("Select custom").check()
    page.get_by_label("Select table").check()
    look("10 of 10 documents")
    press(page, "Delete")
    look("Delete 2 documents?")
    press(page, "Delete")
    assert "2 documents are deleted" in page.get_by_role("status").inner_text()


def test_an_empty_overview(open_page, axe):
    page = open_page(bypass_csp=True)
    page.context.add_init_script(axe)
    page.goto("/")
    log_in(page)
    assert "There are no documents yet" in page.locator("main").inner_text() and violations(page) == []
    follow(page, "see what it says")
    assert "It has not run yet." in page.locator("main").inner_text() and violations(page) == []


def test_a_screen_shows_many_tags(open_page, services):
    for number in range(100):
        services.documents.save(f"patch-prod-{number:03}", b'[{"number_of_endpoints":"%d"}]' % number, "bob")
    services.expectations.set("patch-prod-000", 60, "bob")
    page = open_page()
    page.goto("/")
    log_in(page)
    rows = "() => [...document.querySelectorAll('tbody tr')].map(row => row.getBoundingClientRect().bottom)"
    assert sum(bottom <= 900 for bottom in page.evaluate(rows)) >= 25
    page.set_viewport_size({"width": 375, "height": 700})
    assert page.evaluate("() => document.documentElement.scrollHeight") < 8000


def test_the_keyboard_is_enough(documents, page):
    page.goto("/")
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.textContent") == "To the content"
    page.keyboard.press("Enter")
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
