"""Fixtures for tests in a real browser: Debian's Chromium, driven by Playwright, on an application that is served.

Where Chromium, Playwright or axe-core is missing the tests are skipped with the reason, and in CI they fail.
``CHROMIUM`` names the browser if it is not in the path; ``AXE_CORE`` names the script ``axe.min.js``.
"""

import os
import shutil
import threading
from pathlib import Path

import pytest
from conftest import PASSWORD
from werkzeug.serving import WSGIRequestHandler, make_server

from deploymetrics.accounts.service import Role

FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync"
    # One process draws all pages, and its threads are few: starting more of them is a part of what a page costs.
    " --renderer-process-limit=1 --in-process-gpu --js-flags=--single-threaded"
).split()
# How people look at the pages: at a desk with scripts, and with a phone that runs none, in the dark.
LOOKS = {
    "desk": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"},
    "phone": {"viewport": {"width": 375, "height": 700}, "color_scheme": "dark", "java_script_enabled": False},
}


def missing(what):
    """Skip the test, or fail it in CI."""
    (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{what} is missing")


@pytest.fixture(scope="module")
def chromium():  # per module: while it runs, an event loop does, which other tests must not meet
    """The browser."""
    # The shell is the same engine without the windows around it, and takes half the processor time.
    path = os.environ.get("CHROMIUM") or shutil.which("chromium-headless-shell") or shutil.which("chromium")
    if not path:
        missing("Chromium (Debian: apt-get install chromium-headless-shell)")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("Playwright (pip install playwright)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def axe():
    """The text of axe-core's script."""
    path = Path(os.environ.get("AXE_CORE", "missing"))
    if path.is_dir():
        path = path / "axe.min.js"
    if not path.is_file():
        missing("axe-core (npm pack axe-core; AXE_CORE names its axe.min.js)")
    return path.read_text(encoding="utf-8")


class Quiet(WSGIRequestHandler):
    """Logs nothing."""

    def log(self, *args):
        pass


def closing(app):
    """Return the application with answers that need no closing: the development server forgets it if a browser left."""

    def answer(environ, start_response):
        body = app(environ, start_response)
        try:
            return [b"".join(body)]
        finally:
            if hasattr(body, "close"):
                body.close()

    return answer


@pytest.fixture
def site(app, services):
    """The address of the application, served, with the master operators alice and bob."""
    for name in ("alice", "bob"):
        services.accounts.add(name, Role.MASTER_OPERATOR, PASSWORD)
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = 3600  # else each page asks for its style and script again
    server = make_server("127.0.0.1", 0, closing(app), threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def look():
    """How the page is looked at, one of LOOKS; tests that take all of them parametrize it."""
    return "desk"


@pytest.fixture
def open_page(chromium, site, look):
    """Open another page with cookies of its own; its console must stay empty of errors. ``**more`` is Playwright's."""
    contexts, errors = [], []

    def make(**more):
        context = chromium.new_context(base_url=site, **(LOOKS[look] | more))
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        return page

    yield make
    for context in contexts:
        context.close()
    # A status such as 404 is what some tests are about; a broken policy or script is not.
    assert [text for text in errors if "the server responded with a status of" not in text] == []


@pytest.fixture
def page(open_page):
    """A page with the login cookie of alice, at no address yet."""
    page = open_page()
    page.context.request.post("/login", form={"name": "alice", "password": PASSWORD})
    return page


def log_in(page, name="alice", password=PASSWORD):
    """Fill in the login form and send it."""
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    press(page, "Log in")


def press(page, name, role="button", **more):
    """Press a button that leads to another page, and wait until that is there: a click alone waits for nothing."""
    with page.expect_navigation():
        page.get_by_role(role, name=name, **more).click()


def follow(page, name, **more):
    """Follow a link to another page, and wait until that is there."""
    press(page, name, "link", **more)
