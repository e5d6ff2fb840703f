"""What a stage begins with, and what is missing for it; without Ray."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from ray_compt.chain.initial import Initial, Predecessor, write_initial
from ray_compt.chain.prepare import StagePlan, prepare
from ray_compt.config import load_chain
from ray_compt.errors import UserError
from ray_compt.growth import grow_moments
from ray_compt.models import build_model, save_model
from ray_compt.storage import open_place
from ray_compt.train.carried import read_carried
from ray_compt.train.checkpoint import Progress, write_checkpoint
from ray_compt.train.state import MOMENTS, EngineState
from ray_compt.train.student import imported
from tests.integration.harness import tiny_chain, tiny_model

SEED, STEPS = 4, 9


def _plan(folder: Path, **transfer: Any) -> StagePlan:
    stages = [{"model": tiny_model(16), "epochs": 1, "name": "a"}, {"model": tiny_model(32), "epochs": 1}]
    return prepare(load_chain(tiny_chain(folder, stages=stages, transfer=transfer)))[1]


@pytest.fixture
def predecessor(tmp_path: Path) -> Predecessor:
    """A finished stage with maps to a teacher's space, as training leaves it."""
    folder, model = tmp_path / "01-a", tiny_model(16)
    weights = build_model(model, 0).state_dict()
    save_model(folder, weights, model, mean=(0.5,) * 3, std=(0.3,) * 3)
    generator = torch.Generator().manual_seed(0)
    moments = {
        key: imported({name: torch.rand(w.shape, generator=generator) for name, w in weights.items()})
        for key in MOMENTS
    }
    for moment in moments.values():
        moment["maps.0.image.weight"] = torch.ones(2, 2)
    checkpoint = folder / "checkpoints" / "checkpoint_1"
    checkpoint.mkdir(parents=True)
    write_checkpoint(
        checkpoint, EngineState(imported(weights), moments, STEPS, {}), Progress(step=STEPS), "x"
    )
    return Predecessor(model, open_place(folder), STEPS)


def _write(tmp_path: Path, predecessor: Predecessor, **transfer: Any) -> Initial:
    found = write_initial(open_place(tmp_path / "02"), _plan(tmp_path, **transfer), predecessor, seed=SEED)
    assert found is not None
    return found


def test_the_moments_lie_grown_beside_the_weights(tmp_path: Path, predecessor: Predecessor) -> None:
    found = _write(tmp_path, predecessor, optimizer="carry")
    assert found.moments is not None
    carried = read_carried(found.moments)
    assert carried.updates == STEPS
    stored = load_file(str(predecessor.folder / "checkpoints" / "checkpoint_1" / "moments.safetensors"))
    before = [
        {
            name.removeprefix(f"{key}/clip."): t
            for name, t in stored.items()
            if name.startswith(f"{key}/clip.")
        }
        for key in MOMENTS
    ]
    weights = load_file(str(predecessor.folder / "model.safetensors"))
    weights["logit_scale"] = weights["logit_scale"].reshape(1)
    expected = grow_moments(
        (before[0], before[1]), weights, tiny_model(16), tiny_model(32), "lossless", SEED + 1
    )
    for key, moment in zip(MOMENTS, expected):
        assert (
            carried.moments[key].keys() == moment.keys() == build_model(tiny_model(32), 0).state_dict().keys()
        )
        assert all(torch.equal(carried.moments[key][name], moment[name]) for name in moment)


def test_both_are_written_once(tmp_path: Path, predecessor: Predecessor) -> None:
    first = _write(tmp_path, predecessor, optimizer="carry")
    (predecessor.folder / "checkpoints").remove()
    assert _write(tmp_path, predecessor, optimizer="carry") == first
    (first.weights).write_bytes(b"whatever lies there")
    assert _write(tmp_path, predecessor, optimizer="carry").weights.read_text() == "whatever lies there"


def test_a_fresh_optimizer_needs_no_checkpoint(tmp_path: Path, predecessor: Predecessor) -> None:
    (predecessor.folder / "checkpoints").remove()
    assert _write(tmp_path, predecessor).moments is None
    with pytest.raises(UserError, match="is missing, and with it the moments"):
        _write(tmp_path, predecessor, optimizer="carry")


def test_a_stage_of_other_steps_is_not_the_checkpoints(tmp_path: Path, predecessor: Predecessor) -> None:
    with pytest.raises(UserError, match="last step, 10, is missing"):
        _write(tmp_path, replace(predecessor, steps=10), optimizer="carry")


def test_the_plan_says_that_moments_are_carried(tmp_path: Path) -> None:
    plan = _plan(tmp_path, optimizer="carry")
    assert plan.carries and plan.growth_text.endswith("(lossless), moments carried")
    assert not _plan(tmp_path).carries and "carried" not in _plan(tmp_path).growth_text


def test_where_nothing_grows_the_optimizer_starts_fresh(tmp_path: Path, predecessor: Predecessor) -> None:
    """Another patch size: `auto` falls back on random weights, and says so."""
    target = tiny_model(32)
    target["vision_cfg"]["patch_size"] = 2
    stages = [
        {"model": tiny_model(16), "epochs": 1, "name": "a"},
        {"model": target, "epochs": 1, "name": "b"},
    ]
    file = tiny_chain(tmp_path, stages=stages, transfer={"optimizer": "carry"})
    first, second = prepare(load_chain(file))
    assert not first.carries and not second.carries
    assert second.notes[0].endswith("only feature space is used, and the optimizer starts fresh")
    assert write_initial(open_place(tmp_path / "02"), second, predecessor, seed=0) is None
    assert second.growth_text == "random"
