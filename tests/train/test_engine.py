"""DeepSpeed on real processes: the same weights for every ZeRO stage, worker count, and after a restart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from ray_compt.train.student import LARGEST_LOGIT_SCALE
from tests.train.tiny import MODEL, STEPS, difference, make_job, make_share, run_steps
from tests.train.worlds import run_world


def _train(zero_stage: int, precision: str, first: int, last: int, folder: str) -> dict[str, Any]:
    return run_steps(make_job(zero_stage, precision, folder), first, last)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return run_world(_train, 1, 0, "fp32", 0, STEPS, str(tmp_path_factory.mktemp("reference")))


@pytest.mark.parametrize("zero_stage", [0, 1, 2, 3])
def test_a_stage_that_moves_from_4_workers_to_2_ends_like_an_undisturbed_one(
    undisturbed: dict[str, Any], tmp_path: Path, zero_stage: int
) -> None:
    begun = run_world(_train, 4, zero_stage, "fp32", 0, 3, str(tmp_path))
    ended = run_world(_train, 2, zero_stage, "fp32", 3, STEPS, str(tmp_path))
    assert ended["updates"] == STEPS
    torch.testing.assert_close(
        torch.tensor(begun["stats"] + ended["stats"]),
        torch.tensor(undisturbed["stats"]),
        atol=1e-4,
        rtol=1e-5,
    )
    assert begun["digests"] + ended["digests"] == undisturbed["digests"]
    assert difference(ended["weights"], undisturbed["weights"]) < 1e-5
    for key, tolerance in (("exp_avg", 1e-5), ("exp_avg_sq", 1e-5)):
        assert difference(ended["moments"][key], undisturbed["moments"][key]) < tolerance


@pytest.mark.parametrize(
    ("before", "after"), [((2, 3), (2, 1)), ((2, 1), (1, 1)), ((2, 3), (1, 3)), ((1, 1), (2, 2))], ids=str
)
def test_a_checkpoint_moves_between_zero_stages(
    undisturbed: dict[str, Any], tmp_path: Path, before: tuple[int, int], after: tuple[int, int]
) -> None:
    """(workers, ZeRO stage) before and after; one worker runs without ZeRO."""
    run_world(_train, *before, "fp32", 0, 3, str(tmp_path))
    ended = run_world(_train, *after, "fp32", 3, STEPS, str(tmp_path))
    assert difference(ended["weights"], undisturbed["weights"]) < 1e-5


@pytest.mark.parametrize("zero_stage", [1, 3])
def test_bf16_stays_within_its_rounding(undisturbed: dict[str, Any], tmp_path: Path, zero_stage: int) -> None:
    """A bf16 weight has 8 bits; six AdamW steps of at most 2e-3 each may differ by about one step."""
    run_world(_train, 2, zero_stage, "bf16", 0, 3, str(tmp_path))
    ended = run_world(_train, 1, zero_stage, "bf16", 3, STEPS, str(tmp_path))
    assert ended["updates"] == STEPS
    assert difference(ended["weights"], undisturbed["weights"]) < 2e-2


def _hot(zero_stage: int, folder: str) -> dict[str, Any]:
    """One step from a logit scale at its bound, pushed upwards by its moments."""
    import torch.distributed as dist

    from ray_compt.train.deepspeed_setup import import_deepspeed
    from ray_compt.train.engine import build_engine
    from ray_compt.train.state import clamp_parameter, gather_state, restore_state
    from ray_compt.train.step import train_step

    job = make_job(zero_stage, "fp32", folder)
    device = torch.device("cpu")
    engine = build_engine(import_deepspeed(cpu=True), job, dist.get_world_size(), device, None)
    state = gather_state(engine)
    states = [state]
    dist.broadcast_object_list(states)
    states[0].weights["clip.logit_scale"].fill_(LARGEST_LOGIT_SCALE)
    states[0].moments["exp_avg"]["clip.logit_scale"].fill_(-1.0)
    restore_state(engine, states[0])
    clamp_parameter(engine, engine.module.clip.logit_scale, LARGEST_LOGIT_SCALE)
    for step in (2, 3):
        batch, answers = make_share(step, dist.get_rank(), dist.get_world_size())
        train_step(engine, job, batch, answers, device)
    state = gather_state(engine)
    return {"scale": state.weights["clip.logit_scale"].item()} if state else {}


@pytest.mark.parametrize("zero_stage", [0, 1, 3])
def test_the_logit_scale_never_passes_ln_100(tmp_path: Path, zero_stage: int) -> None:
    assert run_world(_hot, 2, zero_stage, str(tmp_path))["scale"] <= LARGEST_LOGIT_SCALE * (1 + 1e-7)


def test_gains_biases_and_the_logit_scale_do_not_decay() -> None:
    from ray_compt.train.student import Student, parameter_groups

    student = Student(MODEL, (), 0)
    names = {parameter: name for name, parameter in student.named_parameters()}
    decayed, kept = parameter_groups(student, 0.1)
    assert (decayed["weight_decay"], kept["weight_decay"]) == (0.1, 0.0)
    kept_names = {names[parameter] for parameter in kept["params"]}
    assert "clip.logit_scale" in kept_names
    assert all(name in kept_names for name in names.values() if name.endswith("bias") or ".ln_" in name), (
        "LayerNorms and biases must be kept"
    )
    assert any(name.endswith("in_proj_weight") for name in map(names.get, decayed["params"]))
    assert len(decayed["params"]) + len(kept["params"]) == len(names)
