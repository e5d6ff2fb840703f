"""The committed reference is the one that the models write, and its example is a valid chain."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from ray_compt.config.problems import sections
from ray_compt.config.reference import INTRODUCTION, reference
from ray_compt.config.schema import Chain, StageConfig
from tests.config.files import load

PAGE = Path(__file__).parents[2] / "docs" / "chain_file.md"


def test_the_page_is_up_to_date():
    assert PAGE.read_text() == reference(), "run: python -m ray_compt.config.reference > docs/chain_file.md"


def test_the_module_prints_the_page():
    command = [sys.executable, "-m", "ray_compt.config.reference"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == reference()


def test_every_key_has_a_line_with_its_meaning():
    for title, model in {"The file": Chain, "A stage": StageConfig, **sections()}.items():
        heading = title if " " in title else f"`{title}`"
        table = reference().split(f"\n## {heading}\n")[1].split("\n## ")[0]
        for key in model.model_fields:
            row = re.search(rf"^\| `{key}` \| .* \| .* \| (.+) \|$", table, re.MULTILINE)
            assert row, f"{title}: {key}"
            assert row[1].strip(), f"{title}: {key}"


def test_the_example_is_valid(tmp_path: Path):
    example = re.search(r"```yaml\n(.*?)```", INTRODUCTION, re.DOTALL)
    assert example
    assert [stage.workers.most for stage in load(tmp_path, example[1]).stages] == [8, 8, 16]
