"""The shipped chains cost what docs/cost.md, the first pages and the picture of a chain say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ray_compt.config import load_chain
from ray_compt.plan import ChainCost, plan_chain, rows, summary

from .conftest import CC3M

ROOT = Path(__file__).parents[2]
DOCS = (ROOT / "docs" / "cost.md").read_text(encoding="utf-8")
NO_TEACHER, ONE_CAPTION = "transfer.distill.weight=0", "data.captions_per_image=1"


def shipped(name: str, *overrides: str) -> ChainCost:
    chain = load_chain(name, overrides)
    return plan_chain(chain, chain.data.samples)


def table_row(start: str) -> str:
    return next(line for line in DOCS.splitlines() if line.startswith(f"| {start}"))


@pytest.mark.parametrize("page", ["docs/cost.md", "docs/index.md", "README.md"])
def test_the_printed_plan_of_vit_4(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    cost = shipped("vit_4")
    assert f"{cost.largest_share:.0%}" == "28%"
    assert cost.acceleration == pytest.approx(5.6, abs=0.05)
    for cells in rows(cost):
        assert re.search(r"\n" + r" +".join(map(re.escape, cells)) + r"\n", text), cells
    for sentence in summary(cost):
        assert sentence in text


def test_the_picture_of_a_chain():
    picture = (ROOT / "docs" / "images" / "chain.svg").read_text(encoding="utf-8")
    chain = load_chain("vit_4")
    cost = plan_chain(chain, chain.data.samples)
    for stage, (_, model, parameters, *_) in zip(cost.stages, rows(cost)):
        assert f">{model.removesuffix('-16')}<" in picture
        assert f">{parameters}<" in picture
        assert f">{stage.epochs:g} epochs<" in picture
        assert re.search(rf"[> ]{stage.share:.0%}".replace("%", " %"), picture)
    assert f"{cost.largest_share:.0%}".replace("%", " %") in picture
    assert f"{cost.acceleration:.2f} times" in picture


@pytest.mark.parametrize(
    "row, overrides",
    [
        ("7 captions, teacher", []),
        ("7 captions, no teacher", [NO_TEACHER]),
        ("1 caption, teacher", [ONE_CAPTION]),
        ("1 caption, no teacher", [NO_TEACHER, ONE_CAPTION]),
    ],
)
def test_what_the_figures_hang_on(row, overrides):
    cost = shipped("vit_4", *overrides)
    assert f"| {cost.largest_share:.1%} | {cost.acceleration:.2f}x |".replace("%", " %") in table_row(row)


@pytest.mark.parametrize(
    "row, name",
    [("T S B L (`vit_4`)", "vit_4"), ("S B L (`vit_3`)", "vit_3"), ("T C S M B BL L (`vit_7`)", "vit_7")],
)
def test_the_shipped_chains(row, name):
    chain = load_chain(name)
    cost = plan_chain(chain, chain.data.samples)
    epochs = ", ".join(f"{stage.epochs:g}" for stage in chain.stages)
    figures = f"| {epochs} | {cost.largest_share:.1%} | {cost.acceleration:.2f}x |".replace("%", " %")
    assert figures in table_row(row)


@pytest.mark.parametrize("row, epochs", [("S B L | 128, 18", [128, 18, 15]), ("B L", [128, 15])])
def test_the_other_chains(make_chain, row, epochs):
    models = row.partition(" |")[0].split()
    cost = plan_chain(make_chain(list(zip(models, epochs))), CC3M)
    assert f"| {cost.largest_share:.1%} | {cost.acceleration:.2f}x |".replace("%", " %") in table_row(row)


def test_the_table_by_hand(vit_4):
    stages = plan_chain(vit_4, CC3M).stages
    teacher = 0.0
    for stage in stages:
        forward = stage.image_macs + 7 * stage.text_macs
        spent = stage.epochs * (3 * forward + teacher)
        row = table_row(stage.model.removesuffix("-16"))
        for number in (stage.image_macs / 1e9, stage.text_macs / 1e9, forward / 1e9):
            assert f" {number:.3f} |" in row
        assert f"| {spent / 1e9:,.0f} | {128 * 3 * forward / 1e9:,.0f} |" in row
        teacher = forward
