"""The site of docs/ builds without a warning, and loads nothing from elsewhere."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytest.importorskip("material", reason="MkDocs comes with the extra 'docs', and with 'dev'")

# Attributes that a browser follows by itself; a link that the reader has to click is none of them.
LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src", "object": "data"}
IN_STYLE = re.compile(r"""(?:@import\s+|url\()["']?((?:https?:)?//[^"')]+)""")


def build(root: Path, site: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)]
    return subprocess.run(
        command,
        cwd=root,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = build(ROOT, folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the files that the site is made of."""
    for name in ("docs", "chains"):
        shutil.copytree(ROOT / name, tmp_path / name)
    for path in (*ROOT.glob("*.md"), ROOT / "mkdocs.yml", ROOT / "LICENSE", ROOT / "CITATION.cff"):
        shutil.copy(path, tmp_path)
    return tmp_path


class Loads(HTMLParser):
    """Collects what a page loads by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag in LOADED and values.get("rel") not in ("canonical", "prev", "next"):
            self.found.append(values.get(LOADED[tag]) or "")


def test_every_page_is_there(site: Path):
    pages = {page.relative_to(ROOT / "docs").with_suffix(".html") for page in (ROOT / "docs").glob("*.md")}
    assert {page.as_posix() for page in pages} <= {
        page.relative_to(site).as_posix() for page in site.rglob("*")
    }


def test_pages_outside_docs_are_there_too(site: Path):
    assert (site / "repository" / "CONTRIBUTING.html").is_file()
    assert (
        'href="repository/CONTRIBUTING.html#the-map-of-the-house"' in (site / "contributing.html").read_text()
    )
    assert (site / "repository" / "chains" / "vit_4.yaml").read_bytes() == (
        ROOT / "chains/vit_4.yaml"
    ).read_bytes()


def test_nothing_is_loaded_from_elsewhere(site: Path):
    outside = []
    for page in site.rglob("*.html"):
        loads = Loads()
        text = page.read_text(encoding="utf-8")
        loads.feed(text)
        outside += [f"{page.name}: {url}" for url in loads.found if re.match(r"(\w+:)?//", url)]
        # Material's script fetches a program for these diagrams, and a repository's stars.
        outside += [page.name for part in ('class="mermaid"', 'data-md-component="source"') if part in text]
    for sheet in site.rglob("*.css"):
        outside += [f"{sheet.name}: {url}" for url in IN_STYLE.findall(sheet.read_text(encoding="utf-8"))]
    assert outside == []


def test_headings_have_githubs_anchors(site: Path):
    assert 'id="transferdistillteachers"' in (site / "chain_file.html").read_text(encoding="utf-8")


def test_a_page_without_a_place_and_broken_links_fail_the_build(checkout: Path, tmp_path: Path):
    (checkout / "docs" / "forgotten.md").write_text(
        "# Forgotten\n\n[a page](missing.md), [a heading](growth.md#missing), [a file](../missing.yaml)\n"
    )
    done = build(checkout, tmp_path / "out")
    assert done.returncode != 0
    for part in ("'missing.md'", "'#missing'", "missing.yaml'", "- forgotten.md"):
        assert part in done.stderr
