"""Every page, wide and narrow, light and dark: nothing that axe-core finds wrong, nothing that runs over the side."""

import pytest
from conftest import PASSWORD

from deploymetrics.accounts.service import Role
from deploymetrics.telemetry import audit_log_of

from .conftest import log_in

HOSTILE = "<script>alert(1)<⁄script>\u202e\U0001d54f"
PAGES = {
    "overview": "/",
    "stale": "/?state=stale",
    "deleted documents": "/?state=deleted",
    "nothing found": "/?q=nothing",
    "groups": "/?groups=1&open=group-",
    "preferences": "/preferences",
    "facts": "/tags/custom",
    "table": "/tags/table",
    "pages of plots": "/tags/many?plots=3",
    "tree": "/tags/tree",
    "plot": "/plot?series=custom/endpoints&series=table/sum([].count)&range=all",
    "plot of nothing": "/plot?series=custom/nothing",
    "platform": "/tags/platform",
    "hostile": f"/tags/{HOSTILE}",
    "long": f"/tags/{'w' * 64}",
    "deleted": "/tags/deleted",
    "history": "/tags/custom/history",
    "history of a deletion": "/tags/deleted/history",
    "version": "/tags/custom/versions/1",
    "compare": "/tags/custom/compare?from=1&to=3",
    "edit": "/tags/custom/edit",
    "new": "/new",
    "delete": "/tags/custom/delete",
    "accounts": "/accounts",
    "disable": "/accounts/disable?account=bob",
    "new password": "/accounts/secret?account=bob",
    "remove": "/accounts/remove?account=bob",
    "account": "/account",
    "another account": "/accounts/about?account=app",
    "audit log": "/audit",
    "error": "/nothing",
}
# The last two are more than is promised: things to press are 24 pixels large.
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# Between the looks of one width nothing but colours changes.
COLOURS = {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}
LOOKS = [(1280, "light", TAGS), (1280, "dark", COLOURS), (375, "dark", TAGS), (375, "light", COLOURS)]
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

    from deploymetrics.collector.document import AUTHOR
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
    audit_log_of(app).note("w" * 64, "change_own_password", status=412, request="f" * 36, **facts)
    clock.forward(days=2)


@pytest.fixture
def looked_at(open_page, axe, documents):
    """Open a page with axe-core in it, and give it with ``wrong(name)``, which looks at it in all four LOOKS."""
    # The policy of the pages lets no script of a test in.
    page = open_page(bypass_csp=True)
    page.context.add_init_script(axe)
    found = {}

    def look(name):
        page.evaluate("() => document.querySelectorAll('details').forEach(details => { details.open = true })")
        for width, scheme, rules in LOOKS:
            page.set_viewport_size({"width": width, "height": 800})
            page.emulate_media(color_scheme=scheme)
            wrong = violations(page, rules)
            if page.evaluate("() => document.documentElement.scrollWidth > innerWidth"):
                wrong.append("wider than the window")
            if wrong:
                found[name, width, scheme] = wrong

    yield page, look
    assert found == {}


def violations(page, rules=TAGS):
    """(rule, element, why) of what axe-core finds on the page."""
    found = page.evaluate("rules => axe.run({runOnly: rules, resultTypes: ['violations']})", rules)["violations"]
    return [(rule["id"], node["html"][:120], node["failureSummary"]) for rule in found for node in rule["nodes"]]


def test_pages(looked_at):
    page, look = looked_at
    page.goto("/")
    look("login")
    log_in(page)
    for name, path in PAGES.items():
        page.goto(path)
        look(name)


def test_forms_that_complain(looked_at, services):
    page, look = looked_at
    page.goto("/tags/custom/edit")
    log_in(page, password="wrong")
    look("login failed")
    log_in(page)
    text = page.get_by_label("Metrics, as JSON")
    text.fill("[1,]")
    page.get_by_role("button", name="Save").click()
    look("not JSON")
    text.fill("[1]")
    services.documents.save("custom", b"[2]", "bob")
    page.get_by_role("button", name="Save").click()
    look("conflict")
    page.goto("/tags/custom/versions/1")
    services.documents.save("custom", b"[3]", "bob")
    page.get_by_role("button", name="Bring version 1 back").click()
    look("moved before it was brought back")
    page.goto("/tags/custom/delete")
    services.documents.save("custom", b"[4]", "bob")
    page.get_by_role("button", name="Delete").click()
    look("moved before it was deleted")
    page.goto("/tags/custom/edit")
    text.fill("[5]")
    services.accounts.set_password("alice", PASSWORD)
    page.get_by_role("button", name="Save").click()
    look("session ended")
    log_in(page)
    look("go on")
    page.get_by_role("button", name="Continue").click()
    look("saved")


def test_accounts_and_those_who_may_less(looked_at, services):
    page, look = looked_at
    page.goto("/accounts")
    log_in(page)
    page.get_by_role("link", name="New password for bob").click()
    page.get_by_role("button", name="Make a new password").click()
    assert page.locator("#secret").is_visible()
    look("secret")
    page.get_by_label("Name").fill("bob")
    page.get_by_role("button", name="Add").click()
    look("name that is taken")
    for name, role in (("olga", Role.OPERATOR), ("webui", Role.WEBUI_APP)):
        services.accounts.add(name, role, PASSWORD)
        page.get_by_role("button", name="Log out", exact=True).click()
        log_in(page, name)
        look(f"welcome, {name}")
        page.goto("/account")
        look(f"account of {name}")
    page.goto("/accounts")
    look("forbidden")


def test_several_tags(looked_at):
    page, look = looked_at
    page.goto("/")
    log_in(page)
    page.get_by_label("Select custom").check()
    page.get_by_label("Select table").check()
    look("selected")
    page.get_by_role("button", name="Delete").click()
    look("asked before several are deleted")
    page.get_by_role("button", name="Delete").click()
    assert "2 documents are deleted" in page.get_by_role("status").inner_text()


def test_an_empty_overview(open_page, axe):
    page = open_page(bypass_csp=True)
    page.context.add_init_script(axe)
    page.goto("/")
    log_in(page)
    assert "There are no documents yet" in page.locator("main").inner_text() and violations(page) == []
    page.get_by_role("link", name="see what it says").click()
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
