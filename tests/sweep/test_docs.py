"""The sweep files in docs/sweeps.md are valid, and mean what the page says."""

from __future__ import annotations

import re
from pathlib import Path

from ray_compt.config.sweep_file import load_sweep
from ray_compt.sweep.check import check_sweep
from ray_compt.sweep.models import Models
from ray_compt.sweep.plan import SweepPlan
from tests.sweep.test_shipped import MACS

PAGE = Path(__file__).parents[2] / "docs" / "sweeps.md"
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)


def checked(file: Path, text: str) -> SweepPlan:
    file.write_text(text)
    return check_sweep(load_sweep(file), lambda _: Models(MACS["orderings_vit"], lambda *_: None))


def test_the_example(tmp_path: Path):
    plan = checked(tmp_path / "steps.yaml", EXAMPLES[0])
    labels = [plan.base.label(chain) for chain in plan.compositions]
    assert labels == ["S-L", "B-L", "T-S-L", "T-B-L", "S-B-L", "T-S-B-L"]


def test_epochs_in_a_list(tmp_path: Path):
    text = "name: a\nchain: vit_7\nobjective: {metric: image_to_text_r1}\n" + EXAMPLES[1]
    plan = checked(tmp_path / "a.yaml", text)
    assert [plan.base.label(chain) for chain in plan.compositions] == ["S160-L20", "S80-L30", "T-S-L"]
