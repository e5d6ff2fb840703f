"""A report in a real browser: it draws, in the reader's colours, and runs and loads nothing else."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ray_compt.chain.report import write_report
from ray_compt.storage import open_place

CHROMIUM = shutil.which("chromium")
WAIT_S = 20.0
# Lines, points and bars, but nothing of the legends.
DATA = ".cartesianlayer .trace path"

pytestmark = pytest.mark.skipif(
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


@pytest.fixture(scope="module")
def report(eventful: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("report") / "report.html"
    (run,) = write_report([str(eventful)], open_place(file))
    assert run.done
    return file


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def opened(browser: Any, report: Path) -> Opened:
    page = browser.new_page(color_scheme="light", viewport={"width": 1200, "height": 900})
    found = Opened(page)
    page.on("console", lambda message: found.complaints.append(message.text))
    page.on("pageerror", lambda error: found.complaints.append(str(error)))
    page.on("dialog", lambda dialog: found.complaints.append(f"dialog: {dialog.message}"))
    page.on("request", lambda request: found.requests.append(request.url))
    page.goto(report.as_uri())
    found.until(f"[...document.querySelectorAll('.plot')].every(one => one.querySelector('{DATA}'))")
    return found


def test_every_plot_is_drawn(opened: Opened) -> None:
    plots = opened.page.query_selector_all(".plot")
    assert len(plots) == 6
    for plot in plots:
        assert "js-plotly-plot" in plot.get_attribute("class")
        shapes = [path.get_attribute("d") or "" for path in plot.query_selector_all(DATA)]
        assert any(len(shape) > 3 for shape in shapes), plot.get_attribute("id")


def test_pictures_of_the_examples_are_there(opened: Opened) -> None:
    sizes = opened.page.evaluate(
        "[...document.querySelectorAll('.example img')].map(one => one.naturalWidth)"
    )
    assert len(sizes) > 10 and set(sizes) == {16}


def test_it_wears_the_readers_colours_on_screen_and_is_light_on_paper(opened: Opened) -> None:
    light, light_ink = opened.picture(), opened.ink()
    opened.page.emulate_media(color_scheme="dark")
    opened.until("getComputedStyle(document.querySelector('.main-svg')).backgroundColor[4] == '1'")
    dark, dark_ink = opened.picture(), opened.ink()
    assert light != dark
    assert light_ink == ["rgb(255, 255, 255)"] * 2 and dark_ink == ["rgb(18, 21, 27)"] * 2
    opened.page.emulate_media(color_scheme="dark", media="print")
    opened.until("document.querySelector('.main-svg').getBoundingClientRect().width == 1040")
    assert opened.ink() == light_ink
    opened.page.emulate_media(color_scheme="light", media="screen")
    opened.until("document.querySelector('.main-svg').getBoundingClientRect().width > 1040")


def test_the_menu_chooses_another_metric(opened: Opened) -> None:
    title = "document.querySelector('#plot-accuracy .ytitle').textContent"
    assert opened.page.evaluate(title) == "zero-shot top-1"
    opened.page.click("#plot-accuracy .updatemenu-header")
    opened.page.locator("#plot-accuracy .updatemenu-dropdown-button", has_text="image to text R@1").click()
    opened.until(f"{title} == 'image to text R@1'")


def test_nothing_that_a_run_says_is_run(opened: Opened) -> None:
    assert opened.page.evaluate("window.attacked") is None
    assert "window.attacked=true" in opened.page.inner_text("body")


def test_it_asks_for_nothing_and_complains_of_nothing(opened: Opened, report: Path) -> None:
    """The last test: what the others did counts too."""
    assert [url for url in opened.requests if not url.startswith("data:")] == [report.as_uri()]
    assert opened.complaints == []
