"""The figures of docs/paper.md are what its commands print."""

from __future__ import annotations

import re
import shlex
from itertools import pairwise
from pathlib import Path

import pytest

from ray_compt.config import load_chain
from ray_compt.models import count_macs, count_parameters, model_config
from ray_compt.plan import plan_chain

DOCS = (Path(__file__).parents[2] / "docs" / "paper.md").read_text(encoding="utf-8")
ROWS = re.findall(r"\| `compt plan ([^`]+)` \| ([\d.]+) % \| ([\d.]+)x \|", DOCS)
RATIOS = {
    "parameters": count_parameters,
    "MACs of the image tower": lambda config: count_macs(config).image,
    "MACs of a picture with 7 captions": lambda config: count_macs(config).forward(7),
}


def test_no_command_is_overlooked():
    assert len(ROWS) == DOCS.count("| `compt plan ") > 15


@pytest.mark.parametrize("command, share, acceleration", sorted(set(ROWS)))
def test_a_command_gives_its_figures(command: str, share: str, acceleration: str):
    name, *options = shlex.split(command)
    assert options[::2] == ["--set"] * (len(options) // 2)
    chain = load_chain(name, options[1::2])
    assert chain.data.samples is not None
    cost = plan_chain(chain, chain.data.samples)
    assert (f"{100 * cost.largest_share:.1f}", f"{cost.acceleration:.2f}") == (share, acceleration)


@pytest.mark.parametrize("row", RATIOS)
def test_ratios_of_neighbours(row: str):
    sizes = [RATIOS[row](model_config(f"ViT-{letter}-16", 224)) for letter in "TSBL"]
    cells = " | ".join(f"{larger / smaller:.2f}" for smaller, larger in pairwise(sizes))
    assert f"| {row} | {cells} |" in DOCS


def test_the_family_of_seven_breaks_the_papers_own_rule():
    configs = [model_config(f"ViT-{letter}-16", 224) for letter in ("T", "C", "S", "M", "B", "BL", "L")]
    below = []
    for row, size in RATIOS.items():
        steps = pairwise(map(size, configs))
        below.append(f"{sum(larger < 2 * smaller for smaller, larger in steps)} in {row}")
    assert ", ".join(below).replace(" in parameters", " are below\n2x in parameters") in DOCS


def test_a_family_of_three_from_t_to_l_is_not_the_papers():
    found = []
    for middle in ("C", "S", "M", "B", "BL"):
        stages = (
            f"stages=[{{model: T, epochs: 128}}, {{model: {middle}, epochs: 24}}, {{model: L, epochs: 15}}]"
        )
        chain = load_chain("vit_3", [stages])
        assert chain.data.samples is not None
        found.append(plan_chain(chain, chain.data.samples).acceleration)
    assert f"costs {min(found):.1f}x to {max(found):.1f}x less" in DOCS
