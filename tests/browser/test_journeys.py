"""What people do with the pages, from the first click to the last: with scripts at a desk, and without on a phone."""

import msgspec
import pytest
from conftest import PASSWORD

from deploymetrics.accounts.service import Role
from deploymetrics.collector.platform_document import AUTHOR
from deploymetrics.collector.states import COLLECTOR, SourceState

from .conftest import follow, log_in, press

pytestmark = pytest.mark.parametrize("look", ["desk", "phone"])


@pytest.fixture
def post(services, clock):
    """Store metrics as bob, a minute later than before."""

    def store(tag, metrics, by="bob"):
        clock.forward(minutes=1)
        return services.documents.save(tag, metrics.encode(), by)

    return store


def heading(page):
    """The heading of the page."""
    return page.get_by_role("heading", level=1).inner_text()


def test_in_and_out(open_page, post):
    post("custom", "[1]")
    page = open_page()
    page.goto("/tags/custom/history")
    assert heading(page) == "Log in"
    log_in(page, password="wrong")
    assert "wrong" in page.get_by_role("alert").inner_text()
    log_in(page)
    assert page.url.endswith("/tags/custom/history")
    press(page, "Log out", exact=True)
    assert "logged out" in page.get_by_role("status").inner_text()
    page.go_back()
    assert heading(page) == "Log in"


def test_find_a_tag_and_look_at_it(page, post, clock):
    for number in range(105):
        post(f"tag-{number:03}", f'[{{"endpoints":"{number}"}}]', "bob")
    for number in range(5):
        post("tag-007", f'[{{"endpoints":"{number}","note":"x"}}]')
    page.goto("/")
    follow(page, "Next")
    assert "Page 2 of 2" in page.locator(".pager").inner_text()
    page.get_by_label("Tag, author or value").fill("TAG-00")
    press(page, "Search")
    assert page.locator("tbody tr").count() == 10
    page.goto(f"{page.url}&order=-changed")
    assert page.locator("tbody th").first.inner_text() == "tag-007"
    follow(page, "tag-007")
    assert heading(page) == "tag-007"
    assert page.get_by_role("img", name="endpoints: 6 values, lowest 0, highest 7, last 4").is_visible()
    page.get_by_text("The same numbers as a table").click()
    assert [row.split() for row in page.locator("#figures tbody td").all_inner_texts()[:2]] == [["4"], ["3"]]
    follow(page, "Day", exact=True)
    assert "range=day" in page.url and page.locator("figure").count() == 1


def test_values_under_the_pointer(page, post):
    for number in range(5):
        post("custom", f'{{"a":{number}}}')
    page.goto("/tags/custom")
    point = page.locator(".plot g").nth(3)
    assert point.locator("title").text_content() == "3 · 12 Jan 2018 12:04"
    point.scroll_into_view_if_needed()
    point.locator("rect").hover()
    page.locator(".plot g:hover").wait_for()
    assert point.locator(".tip").evaluate("tip => getComputedStyle(tip).opacity") == "1"


def test_what_is_printed_is_whole(page, post):
    hosts = ",".join(f'{{"host":"{number}","load":{number}}}' for number in range(80))
    post("custom", f"[{hosts}]")
    page.goto("/tags/custom")
    page.emulate_media(media="print")
    assert page.locator(".scroll").first.evaluate("box => box.scrollHeight <= box.clientHeight")
    assert not page.get_by_role("button").or_(page.get_by_role("navigation")).or_(page.get_by_role("combobox")).all()


def test_a_plot_by_pointer_and_by_keyboard(page, post):
    for number in range(5):
        post("custom", f'{{"a":{number}}}')
    page.goto("/tags/custom?range=day")
    follow(page, "a", exact=True)
    assert heading(page) == "a" and page.url.endswith("/plot?series=custom/a&range=day")
    page.get_by_label("From").fill("2018-01-12T12:00")
    page.get_by_label("to", exact=True).fill("2018-01-12T12:10")
    press(page, "Show", exact=True)
    plot = page.locator("svg.chart:visible")
    plot.locator("rect").nth(1).hover()
    shown = "() => [...document.querySelectorAll('.tip')].filter(tip => getComputedStyle(tip).opacity == 1)"
    assert page.evaluate(f"{shown}.map(tip => tip.textContent)") == ["12 Jan 2018 12:02 ● 1"]
    page.mouse.move(0, 0)
    page.get_by_role("button", name="Show", exact=True).focus()
    page.keyboard.press("Tab")
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    assert page.evaluate(f"{shown}.map(tip => tip.textContent)") == ["12 Jan 2018 12:03 ● 2"]


def test_what_people_come_for(open_page, post, services, clock):
    """Which are late; what was a number on a day; which thing has most; what changed and who did it; one picture."""
    for day in range(4):
        post(
            "platform-copy",
            f'[{{"endpoints":{20_000 + day},"open_actions":{30 - day}}}]',
            "carol" if day == 3 else "bob",
        )
        clock.forward(hours=23)
    post("hosts", '[{"host":"a","load":1.5},{"host":"b","load":12},{"host":"c","load":3}]')
    post("jobs", "[1]")
    services.expectations.set("jobs", 60, "alice")
    clock.forward(hours=2)
    page = open_page()
    page.goto("/")
    log_in(page)
    follow(page, "1 tag is late")
    assert page.locator("tbody th").all_inner_texts() == ["jobs"]
    assert "1 hour late" in page.locator("tbody").inner_text()
    page.goto("/?q=endpoints")
    follow(page, "platform-copy")
    follow(page, "yesterday")
    assert [row.split()[0] for row in page.locator(".differences tbody tr").all_inner_texts()] == []
    follow(page, "last week")
    assert "by bob (2), carol (1)." in page.locator("main").inner_text()
    follow(page, "Values", exact=True)
    follow(page, "endpoints", exact=True)
    page.get_by_label("Number in platform-copy").select_option(label="open_actions")
    press(page, "Add", exact=True)
    follow(page, "Week", exact=True)
    address = page.locator("#address").inner_text()
    assert address.endswith("/plot?series=platform-copy/endpoints&series=platform-copy/open_actions&range=week")
    page.get_by_label("From").fill("2018-01-13T00:00")
    page.get_by_label("to", exact=True).fill("2018-01-14T00:00")
    press(page, "Show", exact=True)
    assert page.locator(".values tbody td").all_inner_texts() == ["20001", "29"]
    page.goto("/tags/hosts")
    follow(page, "load", exact=True)
    assert page.locator(".values tbody tr").first.inner_text().split() == ["b", "12"]


def test_create_change_and_delete(page, services):
    page.goto("/")
    follow(page, "New", exact=True)
    page.get_by_label("Tag").fill("custom")
    page.get_by_label("Metrics, as JSON").fill('[{\n  "a": 1,\n}]')
    press(page, "Create")
    assert "line 3, column 1" in page.get_by_role("alert").inner_text()
    assert page.get_by_label("Tag").input_value() == "custom"
    page.get_by_label("Metrics, as JSON").fill('[{"a": 1.10}]')
    press(page, "Create")
    assert "Saved as version 1" in page.get_by_role("status").inner_text()
    follow(page, "Edit")
    page.get_by_label("Metrics, as JSON").fill('[{"a": 1.20}]')
    press(page, "Save")
    item = services.documents.get("custom")
    assert (item.version, item.changed_by, bytes(item.record.metrics)) == (2, "alice", b'[{"a":1.20}]')
    follow(page, "Delete")
    press(page, "Delete")
    assert "is deleted" in page.get_by_role("status").inner_text()


def test_somebody_else_was_faster(page, post, services):
    post("custom", '{"a":1}')
    page.goto("/tags/custom/edit")
    page.get_by_label("Metrics, as JSON").fill('{"a": 2}')
    post("custom", '{"a":3}')
    press(page, "Save")
    assert "bob saved version 2" in page.get_by_role("alert").inner_text()
    assert page.get_by_label("Theirs").input_value() == '{\n  "a": 3\n}'
    assert page.get_by_label("Yours").input_value() == '{"a": 2}'
    assert bytes(services.documents.get("custom").record.metrics) == b'{"a":3}'
    press(page, "Save yours over version 2")
    assert bytes(services.documents.get("custom").record.metrics) == b'{"a":2}'


def test_a_session_that_ends_in_the_middle_of_an_edit(page, post, services):
    post("custom", "[1]")
    page.goto("/tags/custom/edit")
    page.get_by_label("Metrics, as JSON").fill('["<b>typed</b>",\n 2]')
    services.accounts.set_password("alice", PASSWORD)
    press(page, "Save")
    assert "What you typed is not lost" in page.get_by_role("alert").inner_text()
    log_in(page, password="wrong")
    log_in(page)
    press(page, "Continue")
    assert "Saved as version 2" in page.get_by_role("status").inner_text()
    assert bytes(services.documents.get("custom").record.metrics) == b'["<b>typed</b>",2]'


def test_compare_and_bring_back(page, post, services):
    for metrics in ('{"a":1,"b":"x"}', '{"a":2,"b":"x"}', '{"a":2,"c":"y"}'):
        post("custom", metrics)
    page.goto("/tags/custom/history")
    page.get_by_label("Compare from version 1").check()
    press(page, "Compare")
    rows = [row.split() for row in page.locator(".differences tbody tr").all_inner_texts()]
    assert [[row[0], row[1]] for row in rows] == [["a", "changed"], ["c", "added"], ["b", "removed"]]
    press(page, "Bring version 1 back")
    assert "Version 1 is back, as version 4" in page.get_by_role("status").inner_text()
    assert bytes(services.documents.get("custom").record.metrics) == b'{"a":1,"b":"x"}'


def test_accounts(page, open_page, services):
    page.goto("/")
    follow(page, "Accounts")
    page.get_by_label("Name").fill("webui")
    page.get_by_label("Role").select_option("webui-app")
    press(page, "Add")
    secret = page.locator("#secret").inner_text()
    assert services.accounts.find_by_secret(secret)[0].name == "webui"
    page.goto("/accounts")
    assert secret not in page.content()
    follow(page, "Disable bob")
    assert services.accounts.find("bob").enabled
    press(page, "Disable")
    assert not services.accounts.find("bob").enabled
    press(page, "Enable bob")
    assert services.accounts.find("bob").enabled
    follow(page, "New secret for webui")
    assert services.accounts.find_by_secret(secret)[0].name == "webui"
    press(page, "Make a new secret")
    assert services.accounts.find_by_secret(secret) is None
    secret = page.locator("#secret").inner_text()
    for name in ("bob", "alice"):
        follow(page, f"Disable {name}")
        press(page, "Disable")
    assert "alice is the last enabled master operator" in page.get_by_role("alert").inner_text()
    follow(page, "Remove bob")
    press(page, "Remove")
    assert services.accounts.find("bob") is None
    other = open_page()
    other.goto("/")
    log_in(other, "webui", secret)
    assert "may post deployment metrics" in other.locator("main").inner_text()


def test_a_token_and_logging_out_everywhere(page, open_page, services, clock):
    other = open_page()
    other.goto("/account")
    log_in(other)
    other.get_by_label("Name").fill("ci")
    other.get_by_label("It may").select_option("read-only")
    press(other, "Make")
    secret = other.locator("#secret").inner_text()
    assert services.accounts.find_by_secret(secret)[1].name == "ci"
    clock.forward(minutes=11)
    other.goto("/account")
    other.get_by_label("Name").fill("later")
    press(other, "Make")
    other.get_by_label("Password").fill(PASSWORD)
    press(other, "Log in")
    press(other, "Continue")
    assert other.locator("#secret").inner_text() != secret
    press(other, "Revoke ci")
    assert services.accounts.find_by_secret(secret) is None
    press(other, "Log out everywhere")
    page.goto("/account")
    assert heading(page) == heading(other) == "Log in"


def test_another_password(open_page, services):
    services.accounts.add("olga", Role.OPERATOR, PASSWORD)
    other = open_page()
    other.goto("/account")
    log_in(other, "olga")
    tries = ("wrong", "another password"), (PASSWORD, "a different one"), (PASSWORD, "another password")
    for current, again in tries:
        other.get_by_label("Current password").fill(current)
        other.get_by_label("New password", exact=True).fill("another password")
        other.get_by_label("Repeat the new password").fill(again)
        press(other, "Change password")
    assert "Your password is changed" in other.get_by_role("status").inner_text()
    press(other, "Log out", exact=True)
    log_in(other, "olga", "another password")
    assert heading(other) == "Welcome, olga"


def test_stale(page, post, clock):
    post("custom", "[1]")
    page.goto("/tags/custom")
    page.get_by_label("Expect a post").select_option("3600")
    press(page, "Save")
    assert "due in" in page.locator(".summary").inner_text()
    clock.forward(hours=2)
    page.goto("/?state=stale")
    assert page.locator("tbody th").all_inner_texts() == ["custom"]


def test_take_it_away_as_json_and_xml(page, post):
    post("custom", '{"a":1.10}')
    page.goto("/tags/custom")
    assert page.locator("#curl").inner_text().endswith("/api/deploymentmetrics/custom")
    for form, text in (("JSON", '"metrics": {'), ("XML", "<Metrics>")):
        page.locator("summary", has_text=form).click()
        assert text in page.locator(f"#raw-{form.lower()}").inner_text()
        with page.expect_download() as download:
            page.get_by_role("link", name=f"Download {form}").click()
        assert download.value.suggested_filename == f"custom.{form.lower()}"
        assert "1.10" in download.value.path().read_text()


def test_a_tree_folds(page, post):
    post("custom", '{"sites":{"a":[1,{"b":"x"}]}}')
    page.goto("/tags/custom")
    leaf = page.locator(".tree").get_by_text("x", exact=True)
    assert leaf.is_visible()
    page.locator("summary", has_text="sites").click()
    assert not leaf.is_visible()


def test_what_the_collector_says(page, services):
    services.documents.save_platform(b'[{"number_of_endpoints":"5"}]', AUTHOR)
    state = SourceState(
        name="bigfix",
        lastSuccess="2018-01-12T11:00:00.000000Z",
        lastFailure="2018-01-12T12:00:00.000000Z",
        reason="The server did not answer.",
        failures=2,
        nextAttempt=1515759000.0,
    )
    services.accounts.store.write(COLLECTOR, "bigfix", AUTHOR, lambda current, at: msgspec.json.encode(state))
    page.goto("/account")
    follow(page, "Metrics", exact=True)
    follow(page, "platform")
    source = page.get_by_role("article").inner_text()
    for words in ("bigfix", "failing", "1 hour ago", "just now", "in 10 minutes", "did not answer. (2 times in a row)"):
        assert words in source, words
    assert page.get_by_role("link", name="Edit").count() == 0
