"""The chain that faults happen to, and what it becomes undisturbed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from ray_compt.cli.main import app
from tests.integration.harness import largest_difference, ledger, tiny_chain, tiny_model

FIRST, SECOND = "01-small", "02-grown"
STEPS = {FIRST: 132, SECOND: 22}
TOLERANCE = 1e-5
LAYERS = 8


def write_chain(folder: Path, *, stages: int = 2, **sections: Any) -> Path:
    """A chain on digits, 22 steps an epoch; `sections` change what leaves the result alone.

    Many layers make a step take long enough for things to happen between two.
    """
    small = {"model": tiny_model(16, LAYERS), "epochs": 6, "name": "small"}
    grown = {
        "model": tiny_model(32, LAYERS),
        "epochs": 1,
        "name": "grown",
        "distill": {"weight": 1.0},
        "teacher": {"placement": "actor", "cpus": 0.5},
    }
    workers = {"min": 1, "max": 4, "cpus": 1, "resize_s": 1, "timeout_s": 60, "wait_s": 60}
    train = {"lr": 2.0e-4, "checkpoint_every": 10, "grad_clip": 1.0}
    return tiny_chain(
        folder,
        stages=[small, grown][:stages],
        name="faulty",
        workers={**workers, **sections.pop("workers", {})},
        train={**train, **sections.pop("train", {})},
        **sections,
    )


@dataclass(frozen=True)
class Undisturbed:
    """A finished run on one worker."""

    run: Path

    def assert_same(self, run: Path, stages: Sequence[str] = (FIRST, SECOND)) -> None:
        """The other run is complete, verifies, and ended with these weights."""
        assert states(run) == ["done"] * len(stages)
        for stage in stages:
            assert self.difference(run, stage) < TOLERANCE
            assert_exactly_once(run, stage, STEPS[stage])
        verified = CliRunner().invoke(app, ["verify", str(run)])
        assert verified.exit_code == 0, verified.output

    def difference(self, run: Path, stage: str) -> float:
        """Largest absolute difference of any weight of a stage."""
        return largest_difference(run / stage, self.run / stage)


def assert_exactly_once(run: Path, stage: str, steps: int) -> None:
    """Every step stands in the stage's metrics once, in order."""
    lines = [json.loads(line) for line in (run / stage / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "loss" in line] == list(range(1, steps + 1))


def states(run: Path) -> list[str]:
    return [entry["state"] for entry in ledger(run)["stages"]]
