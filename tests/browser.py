"""A page in Debian's headless Chromium, and all that it complains of or asks for."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium")
# plotly.js alone takes a busy machine a while.
WAIT_S = 120.0

needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium on PATH: install it (on Debian: apt-get install chromium)"
)


@dataclass
class Opened:
    """A report in a page, and everything that the page complained of or asked for since it was opened."""

    page: Any
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def until(self, condition: str) -> None:
        """Wait until this JavaScript is true; Playwright's own way needs `eval`, which the page refuses."""
        end = time.monotonic() + WAIT_S
        while not self.page.evaluate(condition):
            assert time.monotonic() < end, condition
            self.page.wait_for_timeout(50)

    def picture(self) -> str:
        return hashlib.sha256(self.page.screenshot()).hexdigest()

    def ink(self) -> tuple[str, str]:
        """Colour of the page, and of the paper that the first plot is drawn on."""
        paper = "getComputedStyle(document.querySelector('.main-svg')).backgroundColor"
        return self.page.evaluate(f"[getComputedStyle(document.body).backgroundColor, {paper}]")

    def shapes(self, selector: str) -> dict[str, int]:
        """For each plot, how many shapes of this selector it has that are more than a point."""
        found = {}
        for plot in self.page.query_selector_all(".plot"):
            paths = [path.get_attribute("d") or "" for path in plot.query_selector_all(selector)]
            found[plot.get_attribute("id")] = sum(len(path) > 3 for path in paths)
        return found


@contextmanager
def launched() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def open_page(browser: Any, file: Path, ready: str) -> Opened:
    """A file on a light screen, once the JavaScript `ready` is true."""
    page = browser.new_page(color_scheme="light", viewport={"width": 1200, "height": 900})
    found = Opened(page)
    page.on("console", lambda message: found.complaints.append(message.text))
    page.on("pageerror", lambda error: found.complaints.append(str(error)))
    page.on("dialog", lambda dialog: found.complaints.append(f"dialog: {dialog.message}"))
    page.on("request", lambda request: found.requests.append(request.url))
    page.goto(file.as_uri(), timeout=1000 * WAIT_S)
    found.until(ready)
    return found
