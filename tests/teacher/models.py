"""A tiny teacher on disk, and batches for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from ray_compt.data import Batch
from ray_compt.models import build_model, save_model
from ray_compt.teacher import TeacherSpec
from ray_compt.teacher.spec import weights_digest
from tests.integration.harness import tiny_model

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)


def make_teacher(folder: Path, **further: Any) -> TeacherSpec:
    """A random model of width 32, embedding 16, pictures of 8 x 8 and captions of 10 tokens."""
    config = tiny_model(32)
    save_model(folder, build_model(config, seed=1).state_dict(), config, mean=MEAN, std=STD)
    return TeacherSpec(str(folder), weights_digest(str(folder)), MEAN, STD, **{"rows": 4, **further})


def make_batches(count: int, rows: int = 4) -> list[Batch]:
    """Captions of all lengths: each ends at its largest token."""
    generator = torch.Generator().manual_seed(0)

    def captions() -> torch.Tensor:
        tokens = torch.randint(1, 49406, (rows, 2, 10), generator=generator)
        ends = torch.randint(1, 10, (rows, 2, 1), generator=generator)
        return tokens.scatter(2, ends, 49407)

    return [
        Batch(
            step,
            torch.randint(0, 256, (rows, 3, 8, 8), generator=generator, dtype=torch.uint8),
            captions(),
            torch.ones(rows, dtype=torch.bool),
            ["k"] * rows,
        )
        for step in range(count)
    ]
