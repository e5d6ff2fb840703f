"""Steps that are not finite change nothing, whatever the ZeRO stage, the precision and the worker count."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from ray_compt.train.clip import ClipObjective
from ray_compt.train.step import stat_names
from ray_compt.train.student import Student, exported
from tests.train.tiny import MODEL, TEACHER_WIDTH, Share, difference, make_job, make_share, run_steps
from tests.train.worlds import run_world

Kind = tuple[int, str]
# ZeRO stage and precision, by the number of workers; one alone runs fp32 at stage 0, whatever was asked
# (`test_deepspeed_setup.py`).
BF16: list[Kind] = [(stage, "bf16") for stage in (1, 2, 3)]
KINDS: dict[int, list[Kind]] = {
    1: [(0, "fp32"), *BF16],
    2: [*((stage, "fp32") for stage in (0, 1, 2, 3)), *BF16],
}
CASES = [(workers, kind) for workers, kinds in KINDS.items() for kind in kinds]
# One worker takes the batch in parts.
MICRO_BATCHES = {1: 3, 2: None}
BAD, LAST = 2, 4


def _bad_share(step: int, rank: int, world: int) -> Share:
    """In step `BAD`, the teacher of one sample, which the first worker has, answers infinity."""
    batch, ((image, text),) = make_share(step, rank, world)
    if step == BAD and rank == 0:
        image[1] = torch.inf
    return batch, ((image, text),)


def _bad_loss(kinds: list[Kind], micro_batch: int | None, folder: str) -> dict[Kind, Any]:
    """Each kind of stage with a bad step, and the same with that step left out."""
    found = {}
    for stage, precision in kinds:
        jobs = [make_job(stage, precision, f"{folder}/{stage}{precision}{name}") for name in "ab"]
        bad = run_steps(jobs[0], 0, LAST, micro_batch, _bad_share)
        found[stage, precision] = (bad, run_steps(jobs[1], 0, LAST, micro_batch, left_out=BAD))
    return found


def _steep(folder: str) -> str:
    """Initial weights with a finite loss and an infinite gradient: it goes as 1 / the gain before visual.proj."""
    student = Student(MODEL, (TEACHER_WIDTH,), 0)
    weights = exported(student.state_dict())
    weights["visual.ln_post.weight"] *= 1e-40
    weights["visual.proj"] *= 1e38
    save_file(weights, f"{folder}/steep.safetensors")
    return f"{folder}/steep.safetensors"


def _bad_gradient(kinds: list[Kind], micro_batch: int | None, initial: str, folder: str) -> dict[Kind, Any]:
    """Two steps of each kind of stage from initial weights whose gradient overflows."""
    found = {}
    for stage, precision in kinds:
        # Without clipping DeepSpeed has less reason to look at the norm.
        job = make_job(stage, precision, f"{folder}/{stage}{precision}", grad_clip=None)
        job = replace(job, initial=initial)
        found[stage, precision] = run_steps(job, 0, 2, micro_batch)
    return found


@pytest.fixture(scope="module")
def bad_losses(tmp_path_factory: pytest.TempPathFactory) -> dict[int, dict[Kind, Any]]:
    """By the number of workers."""
    return {
        workers: run_world(
            _bad_loss, workers, kinds, MICRO_BATCHES[workers], str(tmp_path_factory.mktemp("loss"))
        )
        for workers, kinds in KINDS.items()
    }


@pytest.fixture(scope="module")
def bad_gradients(tmp_path_factory: pytest.TempPathFactory) -> dict[int, dict[Kind, Any]]:
    """By the number of workers."""
    initial = _steep(str(tmp_path_factory.mktemp("steep")))
    return {
        workers: run_world(
            _bad_gradient,
            workers,
            kinds,
            MICRO_BATCHES[workers],
            initial,
            str(tmp_path_factory.mktemp("gradient")),
        )
        for workers, kinds in KINDS.items()
    }


@pytest.mark.parametrize(("workers", "kind"), CASES, ids=str)
def test_a_loss_that_is_not_finite_changes_nothing(
    bad_losses: dict[int, dict[Kind, Any]], workers: int, kind: Kind
) -> None:
    bad, left_out = bad_losses[workers][kind]
    assert _column(bad, "skipped") == [0, 0, 1, 0]
    assert [math.isfinite(norm) for norm in _column(bad, "grad_norm")] == [True, True, False, True]
    assert not math.isfinite(bad["stats"][BAD][0])
    assert bad["updates"] == left_out["updates"] == LAST - 1
    assert difference(bad["weights"], left_out["weights"]) == 0
    for key in ("exp_avg", "exp_avg_sq"):
        assert difference(bad["moments"][key], left_out["moments"][key]) == 0


@pytest.mark.parametrize(("workers", "kind"), CASES, ids=str)
def test_a_gradient_that_is_not_finite_changes_nothing(
    bad_gradients: dict[int, dict[Kind, Any]], workers: int, kind: Kind
) -> None:
    found = bad_gradients[workers][kind]
    assert _column(found, "skipped") == [1, 1]
    assert not any(map(math.isfinite, _column(found, "grad_norm")))
    assert all(math.isfinite(stats[0]) for stats in found["stats"])
    assert found["updates"] == 0
    for key in ("exp_avg", "exp_avg_sq"):
        assert all(not moment.any() for moment in found["moments"][key].values())


def _column(found: dict[str, Any], name: str) -> list[float]:
    return [stats[stat_names(ClipObjective()).index(name)] for stats in found["stats"]]
