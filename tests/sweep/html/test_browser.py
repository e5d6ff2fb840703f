"""A sweep's page in a real browser: it draws, in the reader's colours, and runs and loads nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ray_compt.sweep.html.page import render
from tests.browser import Opened, launched, needs_chromium, open_page
from tests.sweep.records import ATTACK, eventful

# Lines, points, bars and the tree's boxes, but nothing of the legends.
DATA = ".cartesianlayer .trace path, .trace.icicle .slice path"

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("sweep") / "sweep.html"
    file.write_text(render(eventful(ATTACK), version="9.9"), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def opened(file: Path) -> Iterator[Opened]:
    ready = f"[...document.querySelectorAll('.plot')].every(one => one.querySelector('{DATA}'))"
    with launched() as browser:
        yield open_page(browser, file, ready)


def test_every_plot_is_drawn(opened: Opened) -> None:
    shapes = opened.shapes(DATA)
    assert set(shapes) == {"plot-front", "plot-parallel", "plot-importance", "plot-tree"}
    # Ten candidates; four keys that differ; two seeds of T, twenty of S, and the sweep itself.
    assert shapes["plot-parallel"] >= 10 and shapes["plot-importance"] >= 3 and shapes["plot-tree"] >= 23


def test_it_wears_the_readers_colours_on_screen_and_is_light_on_paper(opened: Opened) -> None:
    light: Any = opened.ink()
    assert light == ["rgb(255, 255, 255)"] * 2
    opened.page.emulate_media(color_scheme="dark")
    opened.until("getComputedStyle(document.querySelector('.main-svg')).backgroundColor[4] == '1'")
    assert opened.ink() == ["rgb(18, 21, 27)"] * 2
    opened.page.emulate_media(color_scheme="dark", media="print")
    opened.until("document.querySelector('.main-svg').getBoundingClientRect().width == 1040")
    assert opened.ink() == light
    opened.page.emulate_media(color_scheme="light", media="screen")


def test_nothing_that_a_sweep_says_is_run(opened: Opened) -> None:
    assert opened.page.evaluate("window.attacked") is None
    assert "window.attacked=true" in opened.page.inner_text("body")


def test_it_asks_for_nothing_and_complains_of_nothing(opened: Opened, file: Path) -> None:
    """The last test: what the others did counts too."""
    assert [url for url in opened.requests if not url.startswith("data:")] == [file.as_uri()]
    assert opened.complaints == []
