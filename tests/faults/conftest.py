"""The chain that faults happen to, and what it becomes undisturbed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ray_compt.cli.main import app
from tests.faults.harness import assert_exactly_once, states
from tests.integration.harness import compt, largest_difference, tiny_chain, tiny_model

FIRST, SECOND = "01-small", "02-grown"
TOLERANCE = 1e-5


def write_chain(folder: Path, *, epochs: float = 8, distil: bool = True, **sections: Any) -> Path:
    """Two stages on digits, 22 steps an epoch; `sections` change what leaves the result alone."""
    stages = [
        {"model": tiny_model(16), "epochs": epochs, "name": "small"},
        {
            "model": tiny_model(32),
            "epochs": 2,
            "name": "grown",
            "distill": {"weight": 1.0 if distil else 0.0},
            "teacher": {"placement": "actor", "cpus": 0.5},
        },
    ]
    workers = {"min": 1, "max": 4, "cpus": 1, "resize_s": 1, "timeout_s": 60, "wait_s": 60}
    train = {"lr": 5.0e-4, "checkpoint_every": 10, "grad_clip": 1.0}
    return tiny_chain(
        folder,
        stages=stages,
        name="faulty",
        workers={**workers, **sections.pop("workers", {})},
        train={**train, **sections.pop("train", {})},
        **sections,
    )


@dataclass(frozen=True)
class Undisturbed:
    """A finished run on one worker."""

    run: Path

    def assert_same(self, run: Path) -> None:
        """The other run is complete and ended with these weights."""
        assert states(run) == ["done", "done"]
        for stage, steps in ((FIRST, 176), (SECOND, 44)):
            assert largest_difference(run / stage, self.run / stage) < TOLERANCE
            assert_exactly_once(run, stage, steps)
        verified = CliRunner().invoke(app, ["verify", str(run)])
        assert verified.exit_code == 0, verified.output


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    folder = tmp_path_factory.mktemp("undisturbed")
    chain = write_chain(folder, workers={"max": 1})
    result = compt("train", chain, "--run-dir", folder / "run")
    assert result.returncode == 0, result.stdout + result.stderr
    return Undisturbed(folder / "run")


@pytest.fixture
def chain(tmp_path: Path) -> Callable[..., Path]:
    """Writes the chain file into the test's folder."""
    return lambda **changes: write_chain(tmp_path, **changes)
