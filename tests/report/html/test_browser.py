"""A report in a real browser: it draws, in the reader's colours, and runs and loads nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ray_compt.chain.report import write_report
from ray_compt.storage import open_place
from tests.browser import Opened, launched, needs_chromium, open_page

# Lines, points and bars, but nothing of the legends.
DATA = ".cartesianlayer .trace path"

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def report(eventful: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("report") / "report.html"
    (run,) = write_report([str(eventful)], open_place(file))
    assert run.done
    return file


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with launched() as browser:
        yield browser


@pytest.fixture(scope="module")
def opened(browser: Any, report: Path) -> Opened:
    return open_page(
        browser, report, f"[...document.querySelectorAll('.plot')].every(one => one.querySelector('{DATA}'))"
    )


def test_every_plot_is_drawn(opened: Opened) -> None:
    assert opened.page.locator(".plot.js-plotly-plot").count() == 9
    shapes = opened.shapes(DATA)
    assert len(shapes) == 9 and all(shapes.values()), shapes


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
