"""A chain whose optimizer is carried through growth, on two workers and with another ZeRO stage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.integration.harness import compt, ledger, tiny_chain, tiny_model

STAGES = [
    {"model": tiny_model(16), "epochs": 0.4, "name": "a"},
    {
        "model": tiny_model(32, layers=2),
        "epochs": 0.4,
        "name": "b",
        "optimizer": "carry",
        "distill": {"weight": 0.0},
        "zero_stage": 2,
        "workers": {"min": 2},
    },
]


def _updates(stage: Path) -> dict[int, int]:
    """Adam's step count of each checkpoint."""
    headers: list[dict[str, Any]] = [
        json.loads(file.read_text()) for file in stage.glob("checkpoints/checkpoint_*/state.json")
    ]
    return {header["progress"]["step"]: header["updates"] for header in headers}


def test_a_chain_carries_its_optimizer_and_goes_on_with_it(tmp_path: Path) -> None:
    chain = tiny_chain(tmp_path, stages=STAGES)
    result = compt("train", chain, "--run-dir", tmp_path / "run")
    assert result.returncode == 0, result.stdout + result.stderr
    entries = ledger(tmp_path / "run")["stages"]
    assert entries[1]["growth"].endswith(", moments carried")
    first, second = (entry["steps"] for entry in entries)
    assert _updates(tmp_path / "run" / "01-a")[first] == first
    updates = _updates(tmp_path / "run" / "02-b")
    assert updates[second] == first + second
    assert all(count == first + step for step, count in updates.items())
    lines = (tmp_path / "run" / "02-b" / "metrics.jsonl").read_text().splitlines()
    assert json.loads(lines[0])["lr"] == 0.5e-3, "the schedule starts anew"
    assert not (tmp_path / "run" / "02-b" / "initial").exists()
    verified = compt("verify", tmp_path / "run")
    assert verified.returncode == 0, verified.stdout + verified.stderr
