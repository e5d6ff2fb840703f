"""Which ZeRO stage runs, and what clips gradients."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from ray_compt.config.schema import TrainConfig
from ray_compt.train import deepspeed_setup
from ray_compt.train.deepspeed_setup import deepspeed_config, zero_stage
from tests.train.tiny import STEPS, difference, make_job, run_steps
from tests.train.worlds import run_world


@pytest.mark.parametrize("asked", [0, 1, 2, 3])
def test_one_worker_shards_nothing_and_more_shard_what_was_asked(asked: int):
    config = TrainConfig(zero_stage=asked)

    assert zero_stage(config, 1) == 0
    assert deepspeed_config(config, 1)["zero_optimization"]["stage"] == 0
    assert zero_stage(config, 2) == asked
    assert deepspeed_config(config, 2)["zero_optimization"]["stage"] == asked


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_one_worker_keeps_its_stage_where_that_does_more_than_sharding(precision: str):
    assert zero_stage(TrainConfig(zero_stage=2, precision=precision), 1) == 2


def _train(keep_stage: bool, folder: str) -> dict[str, Any]:
    if keep_stage:
        # In a process of its own, which ends with this call.
        deepspeed_setup.zero_stage = lambda config, world_size: config.zero_stage
    return run_steps(make_job(1, "fp32", folder), 0, STEPS, micro_batch=4)


def test_one_worker_at_stage_0_trains_as_at_stage_1(tmp_path: Path):
    ours, theirs = (run_world(_train, 1, keep, str(tmp_path / str(keep))) for keep in (False, True))

    assert difference(ours["weights"], theirs["weights"]) < 1e-6
    assert difference(ours["moments"]["exp_avg"], theirs["moments"]["exp_avg"]) < 1e-6
    torch.testing.assert_close(torch.tensor(ours["stats"]), torch.tensor(theirs["stats"]))


def _clipped(folder: str) -> dict[tuple[int, float | None], Any]:
    """What AdamW knows after a stage, by ZeRO stage and `grad_clip`."""
    return {
        (stage, clip): run_steps(make_job(stage, "fp32", f"{folder}/{stage}{clip}", grad_clip=clip), 0, STEPS)
        for stage in (0, 1, 2, 3)
        for clip in (None, 1e9, 1.0)
    }


def test_nothing_is_clipped_unless_asked(tmp_path: Path):
    found = run_world(_clipped, 2, str(tmp_path))

    for stage in (0, 1, 2, 3):
        moments = {clip: found[stage, clip]["moments"]["exp_avg"] for clip in (None, 1e9, 1.0)}
        assert difference(moments[None], moments[1e9]) < 1e-7
        assert difference(moments[None], moments[1.0]) > 1e-3
