"""The committed reference of the sweep file is the one that the models write, and its example is a valid sweep."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from ray_compt.config.distributions import MEANINGS
from ray_compt.config.problems import sections
from ray_compt.config.sweep_file import load_sweep
from ray_compt.config.sweep_keys import Sweep
from ray_compt.config.sweep_reference import INTRODUCTION, reference
from ray_compt.sweep.check import check_sweep
from ray_compt.sweep.models import Models

PAGE = Path(__file__).parents[2] / "docs" / "sweep_file.md"


def test_the_page_is_up_to_date():
    assert PAGE.read_text() == reference(), (
        "run: python -m ray_compt.config.sweep_reference > docs/sweep_file.md"
    )


def test_the_module_prints_the_page():
    command = [sys.executable, "-m", "ray_compt.config.sweep_reference"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == reference()


def test_every_key_has_a_line_with_its_meaning():
    for title, model in {"The file": Sweep, **sections(Sweep)}.items():
        heading = title if " " in title else f"`{title}`"
        table = reference().split(f"\n## {heading}\n")[1].split("\n## ")[0]
        for key in model.model_fields:
            row = re.search(rf"^\| `{key}` \| .* \| .* \| (.+) \|$", table, re.MULTILINE)
            assert row, f"{title}: {key}"
            assert row[1].strip(), f"{title}: {key}"


def test_every_distribution_has_a_line():
    for kind in MEANINGS:
        assert re.search(rf"^\| `{{{kind}: .*}}` \| .+ \|$", reference(), re.MULTILINE)


def test_the_example_is_valid(tmp_path: Path):
    example = re.search(r"```yaml\n(.*?)```", INTRODUCTION, re.DOTALL)
    assert example
    (tmp_path / "example.yaml").write_text(example[1])
    plan = check_sweep(
        load_sweep(tmp_path / "example.yaml"), lambda _: Models((1, 2, 4, 8, 16, 32, 64), lambda *_: None)
    )
    assert [plan.base.label(chain) for chain in plan.compositions] == ["B-L", "S-B-L", "T-S-B-L"]
