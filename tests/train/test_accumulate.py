"""Micro-batches change nothing: on real processes, the weights of the whole batch on one worker."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from ray_compt.train.accumulate import split
from tests.train.tiny import STEPS, difference, make_job, run_steps
from tests.train.worlds import run_world

# Worker count -> micro-batch: a share of 8 in parts of 3, 3 and 2; of 4 in 3 and 1; of 2 in 1 and 1.
MICRO_BATCHES = {1: 3, 2: 3, 4: 1}
# One worker runs fp32 at stage 0, whatever was asked (`test_deepspeed_setup.py`).
ZERO_STAGES = {1: [0], 2: [0, 1, 2, 3], 4: [0, 1, 2, 3]}
CASES = [(workers, stage) for workers, stages in ZERO_STAGES.items() for stage in stages]


def _train(stages: list[int], precision: str, micro_batch: int | None, folder: str) -> dict[int, Any]:
    """Every ZeRO stage in turn on the same processes."""
    return {
        stage: run_steps(make_job(stage, precision, f"{folder}/{stage}"), 0, STEPS, micro_batch)
        for stage in stages
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One worker, the whole batch at once: learnt maps, two captions, an unreadable row, clipping."""
    return run_world(_train, 1, [0], "fp32", None, str(tmp_path_factory.mktemp("whole")))[0]


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> dict[int, dict[int, Any]]:
    """By the number of workers and the ZeRO stage."""
    return {
        workers: run_world(
            _train,
            workers,
            stages,
            "fp32",
            MICRO_BATCHES[workers],
            str(tmp_path_factory.mktemp("parts")),
        )
        for workers, stages in ZERO_STAGES.items()
    }


@pytest.mark.parametrize(("workers", "zero_stage"), CASES)
def test_micro_batches_train_like_the_whole_batch(
    whole: dict[str, Any], parts: dict[int, dict[int, Any]], workers: int, zero_stage: int
) -> None:
    ours = parts[workers][zero_stage]
    assert ours["updates"] == STEPS
    torch.testing.assert_close(
        torch.tensor(ours["stats"]), torch.tensor(whole["stats"]), atol=1e-4, rtol=1e-5
    )
    assert difference(ours["weights"], whole["weights"]) < 1e-5
    for key in ("exp_avg", "exp_avg_sq"):
        assert difference(ours["moments"][key], whole["moments"][key]) < 1e-5


def test_bf16_in_parts_stays_within_its_rounding(
    whole: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """As in `test_engine.py`: a bf16 weight has 8 bits, and six steps of at most 2e-3 may differ by about one."""
    folder = str(tmp_path_factory.mktemp("bf16"))
    for ours in run_world(_train, 1, [1, 2, 3], "bf16", 1, folder).values():
        assert ours["updates"] == STEPS
        assert difference(ours["weights"], whole["weights"]) < 2e-2


@pytest.mark.parametrize(("share", "micro_batch"), [(8, 3), (8, 8), (8, 9), (8, None), (7, 1)])
def test_parts_cover_the_share_in_order(share: int, micro_batch: int | None) -> None:
    rows = [row for part in split(share, micro_batch) for row in range(share)[part]]
    assert rows == list(range(share))
    assert max(part.stop - part.start for part in split(share, micro_batch)) == min(
        micro_batch or share, share
    )
