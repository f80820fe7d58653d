"""The pictures of the documentation: ``python -m benchmarks.screenshots`` makes those in ``docs/images`` anew.

It fills an instance as ``benchmarks.example`` does, at a moment that is always the same, and looks at it in Chromium by
Playwright; ``CHROMIUM`` names the browser if it is not in the path.
"""

import os
import shutil
import tempfile
import threading
from datetime import UTC, datetime
from pathlib import Path

from playwright.sync_api import sync_playwright
from werkzeug.serving import WSGIRequestHandler, make_server

from deploymetrics import create_app
from deploymetrics.clock import Clock

from .example import PASSWORD, fill

IMAGES = Path(__file__).parent.parent / "docs" / "images"
NOW = datetime(2026, 11, 30, 9, 30, tzinfo=UTC)
#: File, address, and the height of the window.
PICTURES = (
    ("overview.png", "/", 760),
    ("document.png", "/tags/platform?range=month#plots", 900),
    ("plot.png", "/plot?series=platform/number_of_endpoints&series=platform/open_actions&range=week", 760),
)


class HeldClock(Clock):
    """A clock that stands still, so that pictures change with the pages only."""

    def now(self) -> datetime:
        return NOW


class Quiet(WSGIRequestHandler):
    """Logs nothing."""

    def log(self, type: str, message: str, *args: object) -> None:
        pass


def main() -> None:
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium-headless-shell") or shutil.which("chromium")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        instance = Path(folder) / "instance"
        fill(instance, NOW)
        app = create_app(instance, {"COLLECT": False}, HeldClock())
        server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(base_url=f"http://127.0.0.1:{server.server_port}")
        page.context.request.post("/login", form={"name": "alice", "password": PASSWORD})
        for name, address, height in PICTURES:
            page.set_viewport_size({"width": 1280, "height": height})
            page.goto(address)
            page.screenshot(path=IMAGES / name)
            print(IMAGES / name)
        browser.close()
        server.shutdown()


if __name__ == "__main__":
    main()
