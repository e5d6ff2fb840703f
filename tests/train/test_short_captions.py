"""Leaving padding out on real engines: the same training, however the batch is divided."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.train.tiny import BATCH, CAPTIONS, MODEL, STEPS, Share, difference, make_job, make_share, run_steps
from tests.train.worlds import run_world

LENGTH, END = 24, 63
LONG = {**MODEL, "text_cfg": {**MODEL["text_cfg"], "context_length": LENGTH}}
# AdamW divides by the root of a gradient's square, which magnifies rounding where a gradient is nearly 0.
TOLERANCE = 1e-5


def share(step: int, rank: int, world: int) -> Share:
    """Captions of 2 to 5 tokens in the first half of the batch, of 10 to 16 in the second."""
    batch, teacher = make_share(step, rank, world)
    generator = torch.Generator().manual_seed(step)
    text = torch.zeros(BATCH, CAPTIONS, LENGTH, dtype=torch.long)
    for row in range(BATCH):
        for caption in range(CAPTIONS):
            words = 1 + (row + step) % 4 if row < BATCH // 2 else 9 + (row + caption) % 7
            text[row, caption, :words] = torch.randint(1, END, (words,), generator=generator)
            text[row, caption, words] = END
    rows = slice(rank * BATCH // world, (rank + 1) * BATCH // world)
    return replace(batch, text=text[rows]), teacher


def train(
    zero_stage: int, folder: str, micro_batch: int | None = None, padded: bool = False
) -> dict[str, Any]:
    import ray_compt.train.clip as module
    from ray_compt.models import short_text

    lengths: set[int] = set()

    def without_padding(model: torch.nn.Module, tokens: torch.Tensor) -> Any:
        found = tokens if padded else short_text.without_padding(model, tokens)
        lengths.update(group.shape[-1] for group in getattr(found, "groups", (found,)))
        return found

    # In a process of its own, which ends with this call; eight captions make groups only where none is too cheap.
    module.without_padding = without_padding
    short_text.group_lengths.__defaults__ = (30,)
    job = replace(make_job(zero_stage, "fp32", folder), model=LONG)
    found = run_steps(job, 0, STEPS, micro_batch, share)
    return {**found, "lengths": lengths} if found else {}


@pytest.fixture(scope="module")
def padded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return run_world(train, 1, 1, str(tmp_path_factory.mktemp("padded")), None, True)


@pytest.mark.parametrize(
    "workers, zero_stage, micro_batch", [(1, 0, None), (2, 1, None), (1, 1, 4), (4, 3, 1)], ids=str
)
def test_weights_are_those_of_padded_captions(
    padded: dict[str, Any], tmp_path: Path, workers: int, zero_stage: int, micro_batch: int | None
):
    ended = run_world(train, workers, zero_stage, str(tmp_path), micro_batch)

    assert padded["lengths"] == {LENGTH}
    assert 8 in ended["lengths"]
    assert LENGTH not in ended["lengths"]
    assert difference(ended["weights"], padded["weights"]) < TOLERANCE
    for key in ("exp_avg", "exp_avg_sq"):
        assert difference(ended["moments"][key], padded["moments"][key]) < TOLERANCE
