"""A grown stage's optimizer holds the carried moments before its first step, for every ZeRO stage."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ray_compt.errors import UserError
from ray_compt.models import build_model
from ray_compt.storage import open_place
from ray_compt.train.carried import OptimizerState, read_carried, write_carried
from ray_compt.train.state import MOMENTS
from tests.harm import cut
from tests.train.tiny import MODEL, difference, make_job, make_share, run_steps
from tests.train.worlds import run_world

UPDATES = 50


def _moments() -> dict[str, dict[str, Tensor]]:
    """Of the model alone: the stage's maps are new."""
    generator = torch.Generator().manual_seed(3)
    shapes = {name: value.shape for name, value in build_model(MODEL, 0).state_dict().items()}
    return {
        key: {name: scale * torch.rand(shape, generator=generator) for name, shape in shapes.items()}
        for key, scale in zip(MOMENTS, (1e-3, 1e-5))
    }


@pytest.fixture(scope="module")
def carried(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("carried") / "moments.safetensors"
    write_carried(open_place(file), OptimizerState(_moments(), UPDATES))
    return str(file)


def test_what_is_carried_comes_back(carried: str) -> None:
    found = read_carried(carried)
    assert found.updates == UPDATES
    for key, moment in _moments().items():
        assert found.moments[key].keys() == moment.keys()
        assert difference(found.moments[key], moment) == 0


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "moments.safetensors"
    write_carried(open_place(file), OptimizerState(_moments(), UPDATES))
    cut(file)
    with pytest.raises(UserError, match="damaged"):
        read_carried(str(file))


def _begin(zero_stage: int, precision: str, carried: str, folder: str) -> dict[str, Any]:
    """What the optimizer holds at the start and after a step; the step again from a checkpoint of the start."""
    import torch.distributed as dist

    from ray_compt.train.deepspeed_setup import import_deepspeed
    from ray_compt.train.engine import build_engine
    from ray_compt.train.state import gather_state
    from ray_compt.train.step import train_step

    job = replace(make_job(zero_stage, precision, folder), carried=carried)
    rank, world, device = dist.get_rank(), dist.get_world_size(), torch.device("cpu")
    engine = build_engine(import_deepspeed(cpu=True), job, world, device, None)
    start = gather_state(engine)
    batch, answers = make_share(2, rank, world)
    train_step(engine, job, batch, answers, device)
    end = gather_state(engine)
    return {"start": vars(start), "end": vars(end)} if start and end else {}


@pytest.fixture(scope="module")
def alone(carried: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return run_world(_begin, 1, 0, "fp32", carried, str(tmp_path_factory.mktemp("alone")))


def test_the_first_update_is_adamws_with_a_history(alone: dict[str, Any]) -> None:
    """exp_avg moves a tenth towards the gradient from what was carried, and Adam's t goes on."""
    start, end = alone["start"], alone["end"]
    assert (start["updates"], end["updates"]) == (UPDATES, UPDATES + 1)
    name = "clip.visual.proj"
    before, after = start["moments"]["exp_avg"][name], end["moments"]["exp_avg"][name]
    gradient = (after - 0.9 * before) / 0.1
    squares = 0.98 * start["moments"]["exp_avg_sq"][name] + 0.02 * gradient.square()
    torch.testing.assert_close(end["moments"]["exp_avg_sq"][name], squares, atol=1e-10, rtol=1e-3)
    step = (after / (1 - 0.9**51)) / ((squares / (1 - 0.98**51)).sqrt() + 1e-6)
    moved = (1 - 2e-3 * 0.1) * start["weights"][name] - 2e-3 * step
    torch.testing.assert_close(end["weights"][name], moved, atol=1e-6, rtol=1e-4)


# One worker runs fp32 at stage 0, whatever was asked (`test_deepspeed_setup.py`).
@pytest.mark.parametrize(
    ("workers", "zero_stage", "precision"),
    [(1, 0, "fp32"), (1, 2, "bf16"), (2, 0, "fp32"), (2, 1, "fp32"), (2, 2, "bf16"), (2, 3, "fp32")],
)
def test_the_optimizer_holds_the_moments_before_its_first_step(
    alone: dict[str, Any], carried: str, tmp_path: Path, workers: int, zero_stage: int, precision: str
) -> None:
    found = run_world(_begin, workers, zero_stage, precision, carried, str(tmp_path))
    start, end = found["start"], found["end"]
    assert (start["updates"], end["updates"]) == (UPDATES, UPDATES + 1)
    for key, moment in _moments().items():
        model = {
            n.removeprefix("clip."): t for n, t in start["moments"][key].items() if n.startswith("clip.")
        }
        assert model.keys() == moment.keys()
        assert difference(model, moment) == 0
        maps = [t for n, t in start["moments"][key].items() if n.startswith("maps.")]
        assert maps and not any(tensor.any() for tensor in maps)
    tolerance = 1e-5 if precision == "fp32" else 1e-2
    assert difference(end["weights"], alone["end"]["weights"]) < tolerance


def _go_on(carried: str, folder: str, first: int, last: int) -> dict[str, Any]:
    return run_steps(replace(make_job(1, "fp32", folder), carried=carried), first, last)


def test_a_resumed_stage_does_not_carry_again(carried: str, tmp_path: Path) -> None:
    whole = run_world(_go_on, 2, carried, str(tmp_path / "whole"), 0, 4)
    run_world(_go_on, 2, carried, str(tmp_path / "parts"), 0, 2)
    resumed = run_world(_go_on, 2, carried, str(tmp_path / "parts"), 2, 4)
    assert resumed["updates"] == whole["updates"] == UPDATES + 4
    assert difference(resumed["weights"], whole["weights"]) < 1e-6
    for key in MOMENTS:
        assert difference(resumed["moments"][key], whole["moments"][key]) < 1e-6
