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

KINDS = [(stage, "fp32") for stage in (0, 1, 2, 3)] + [(stage, "bf16") for stage in (1, 2, 3)]
BAD, LAST = 2, 4


def _bad_share(step: int, rank: int, world: int) -> Share:
    """In step `BAD`, the teacher of one sample, which the first worker has, answers infinity."""
    batch, ((image, text),) = make_share(step, rank, world)
    if step == BAD and rank == 0:
        image[1] = torch.inf
    return batch, ((image, text),)


def _bad_loss(micro_batch: int | None, folder: str) -> dict[str, Any]:
    """Each kind of stage with a bad step, and the same with that step left out."""
    found = {}
    for stage, precision in KINDS:
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


def _bad_gradient(micro_batch: int | None, initial: str, folder: str) -> dict[str, Any]:
    """Two steps of each kind of stage from initial weights whose gradient overflows."""
    found = {}
    for stage, precision in KINDS:
        # Without clipping DeepSpeed has less reason to look at the norm.
        job = make_job(stage, precision, f"{folder}/{stage}{precision}", grad_clip=None)
        job = replace(job, initial=initial)
        found[stage, precision] = run_steps(job, 0, 2, micro_batch)
    return found


@pytest.fixture(scope="module")
def initial(tmp_path_factory: pytest.TempPathFactory) -> str:
    return _steep(str(tmp_path_factory.mktemp("steep")))


@pytest.fixture(scope="module", params=[(1, 3), (2, None)], ids=["1-worker-in-parts", "2-workers"])
def results(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, initial: str
) -> tuple[dict, dict]:
    workers, micro_batch = request.param
    folder = str(tmp_path_factory.mktemp("finite"))
    return (
        run_world(_bad_loss, workers, micro_batch, f"{folder}/loss"),
        run_world(_bad_gradient, workers, micro_batch, initial, f"{folder}/gradient"),
    )


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_loss_that_is_not_finite_changes_nothing(results: tuple[dict, dict], kind: tuple[int, str]) -> None:
    bad, left_out = results[0][kind]
    assert _column(bad, "skipped") == [0, 0, 1, 0]
    assert [math.isfinite(norm) for norm in _column(bad, "grad_norm")] == [True, True, False, True]
    assert not math.isfinite(bad["stats"][BAD][0])
    assert bad["updates"] == left_out["updates"] == LAST - 1
    assert difference(bad["weights"], left_out["weights"]) == 0
    for key in ("exp_avg", "exp_avg_sq"):
        assert difference(bad["moments"][key], left_out["moments"][key]) == 0


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_gradient_that_is_not_finite_changes_nothing(
    results: tuple[dict, dict], kind: tuple[int, str], initial: str
) -> None:
    found = results[1][kind]
    assert _column(found, "skipped") == [1, 1]
    assert not any(map(math.isfinite, _column(found, "grad_norm")))
    assert all(math.isfinite(stats[0]) for stats in found["stats"])
    assert found["updates"] == 0
    for key in ("exp_avg", "exp_avg_sq"):
        assert all(not moment.any() for moment in found["moments"][key].values())


def _column(found: dict[str, Any], name: str) -> list[float]:
    return [stats[stat_names(ClipObjective()).index(name)] for stats in found["stats"]]
