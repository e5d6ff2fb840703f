"""Every link of the documentation leads somewhere where GitHub shows it: a file of the repository, a heading in it."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]

LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(.*?)\s*#*$", re.MULTILINE)
NAMED = re.compile(r"""<a (?:id|name)=["']([^"']+)""")
CODE_BLOCK = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"(`+).*?\1")


def prose(text: str) -> str:
    """A page without its code, in which nothing is a link."""
    return CODE.sub("", CODE_BLOCK.sub("", text))


def anchor(heading: str) -> str:
    """What GitHub makes of a heading's text."""
    text = re.sub(r"<[^>]*>", "", re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)).strip()
    return re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")


@cache
def anchors(page: Path) -> frozenset[str]:
    text = CODE_BLOCK.sub("", page.read_text(encoding="utf-8"))
    seen: Counter[str] = Counter()
    found = set(NAMED.findall(text))
    for heading in HEADING.findall(text):
        name = anchor(heading)
        found.add(f"{name}-{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return frozenset(found)


def broken(page: Path) -> list[str]:
    """The links of a page that lead nowhere."""
    wrong = []
    for link in LINK.findall(prose(page.read_text(encoding="utf-8"))):
        if re.match(r"\w+:", link):
            continue
        path, _, name = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.is_relative_to(ROOT) or not target.exists():
            wrong.append(f"{link}: no such file")
        elif name and name not in anchors(target):
            wrong.append(f"{link}: no such heading")
    return wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page: Path):
    assert broken(page) == []


@pytest.mark.parametrize(
    "heading, name",
    [
        ("In an object store", "in-an-object-store"),
        ("`transfer.distill.teachers`", "transferdistillteachers"),
        ("Cost, and what it is not", "cost-and-what-it-is-not"),
        ("A & B", "a--b"),
        ("`min` of [workers](x.md)", "min-of-workers"),
        ('A mistake <a id="try"></a>', "a-mistake"),
    ],
)
def test_anchors_are_githubs(heading: str, name: str):
    assert anchor(heading) == name


@pytest.mark.parametrize(
    "link", ["missing.md", "there.md#missing", "#missing", "/etc/hosts", "../../outside.md"]
)
def test_a_broken_link_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, link: str):
    monkeypatch.setattr("tests.packaging.test_links.ROOT", tmp_path)
    (tmp_path / "there.md").write_text("# Here\n")
    page = tmp_path / "page.md"
    page.write_text(f"# Page\n\n[good](there.md#here) [bad]({link}) `[code](missing.md)`\n")
    assert [wrong.partition(":")[0] for wrong in broken(page)] == [link]
