"""`compt tune FILE --dry-run`: what would be trained, and what was left out and why."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from tests.cli.small import small_model

SWEEP = """\
name: mine
chain: chain
space:
  transfer.growth: {choice: [clone, lossless]}
  train.weight_decay: {choice: [0.1, 0.2]}
chains: {length: [2, 2]}
objective: {metric: zero_shot_top1}
"""
LEFT_OUT = "large cannot be grown from small by clone"


@pytest.fixture
def sweep(chain: dict[str, Any], chain_file: Callable[[dict[str, Any]], Path]) -> Path:
    """Over two models whose widths have no integer ratio, which clone needs."""
    stages = [
        {"name": "small", "model": small_model(32), "epochs": 1},
        {"name": "large", "model": small_model(48), "epochs": 1},
    ]
    folder = chain_file({**chain, "stages": stages}).parent
    (folder / "sweep.yaml").write_text(SWEEP)
    return folder / "sweep.yaml"


def test_it_says_which_candidates_were_left_out_and_why(compt: Callable[..., Result], sweep: Path) -> None:
    result = compt("tune", sweep, "--dry-run")
    assert result.exit_code == 0, result.stderr
    (note,) = [line for line in result.stdout.splitlines() if LEFT_OUT in line]
    assert "integer ratios" in note and note.endswith("2 candidates left out")
    assert "sweep mine: 2 candidates" in result.stdout


def test_as_json(compt: Callable[..., Result], sweep: Path) -> None:
    found = json.loads(compt("tune", sweep, "--dry-run", "--json").stdout)
    assert len(found["candidates"]) == 2
    assert [LEFT_OUT in note for note in found["notes"]] == [True]
