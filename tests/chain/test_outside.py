"""A chain that begins with a model from outside; without Ray."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

from ray_compt.chain.initial import outside_predecessor, write_initial
from ray_compt.chain.outside import check_init
from ray_compt.chain.prepare import StagePlan, prepare, prepare_individuals
from ray_compt.chain.store.key import Surroundings
from ray_compt.chain.store.reuse import Reuse
from ray_compt.chain.store.store import StageStore
from ray_compt.config import load_chain
from ray_compt.config.schema import Chain
from ray_compt.errors import UserError
from ray_compt.models import build_model, load_state, save_model
from ray_compt.report.terminal import Terminal
from ray_compt.storage import open_place
from tests.integration.harness import tiny_chain, tiny_model

CLIP = {
    "mean": (0.48145466, 0.4578275, 0.40821073),
    "std": (0.26862954, 0.26130258, 0.27577711),
}


@pytest.fixture
def wise(tmp_path: Path) -> Path:
    """A model of width 16 that somebody else has trained."""
    folder, model = tmp_path / "wise", tiny_model(16)
    save_model(folder, build_model(model, 7).state_dict(), model, **CLIP)
    return folder


def _chain(folder: Path, init: str | Path, *, width: int = 32, **transfer: Any) -> Chain:
    stages = [
        {"model": tiny_model(width), "epochs": 1, "name": "a", "transfer": {"init": str(init), **transfer}},
        {"model": tiny_model(48), "epochs": 2, "name": "b"},
    ]
    return load_chain(tiny_chain(folder, stages=stages))


def _written(folder: Path, plan: StagePlan) -> dict[str, torch.Tensor]:
    initial = write_initial(open_place(folder), plan, outside_predecessor(plan), seed=0)
    assert initial is not None and initial.moments is None
    return load_file(str(initial.weights))


def _features(config: dict[str, Any], state: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    model = build_model(config, 0).eval()
    model.load_state_dict(state)
    generator = torch.Generator().manual_seed(0)
    pictures = torch.randn(3, 3, 8, 8, generator=generator)
    tokens = torch.randint(1, 400, (3, 10), generator=generator)
    with torch.no_grad():
        return model.encode_image(pictures, normalize=True), model.encode_text(tokens, normalize=True)


@pytest.mark.parametrize("prefix", ["local-dir:", ""])
def test_a_larger_first_stage_grows_from_it_and_computes_the_same(
    tmp_path: Path, wise: Path, prefix: str
) -> None:
    plan, after = prepare(_chain(tmp_path, f"{prefix}{wise}"))
    assert plan.growth == "lossless"
    assert plan.growth_text.endswith(f"(lossless) from {prefix}{wise}")
    assert (plan.notes[0], after.init) == ("image: width 16 -> 32 by clone", None)
    grown = _written(tmp_path / "01", plan)
    for ours, theirs in zip(_features(plan.model, grown), _features(tiny_model(16), load_state(wise))):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


def test_a_first_stage_of_the_same_size_takes_it_as_it_is(tmp_path: Path, wise: Path) -> None:
    plan, _ = prepare(_chain(tmp_path, wise, width=16))
    assert plan.growth_text == f"unchanged from {wise}"
    written, stored = _written(tmp_path / "01", plan), load_state(wise)
    assert written.keys() == stored.keys()
    assert all(torch.equal(written[name], stored[name]) for name in stored)


def test_without_the_configurations_defaults_it_is_the_same_too(tmp_path: Path, wise: Path) -> None:
    file = wise / "open_clip_config.json"
    document = json.loads(file.read_text())
    document["model_cfg"]["quick_gelu"] = False
    file.write_text(json.dumps(document))
    plan, _ = prepare(_chain(tmp_path, wise, width=16))
    written, stored = _written(tmp_path / "01", plan), load_state(wise)
    assert all(torch.equal(written[name], stored[name]) for name in stored)


def test_it_brings_no_moments_and_counts_as_trained_long(tmp_path: Path, wise: Path) -> None:
    first, second = prepare(_chain(tmp_path, wise, optimizer="carry"))
    assert not first.carries
    assert not first.teachers
    assert second.distill.reason == "a model from outside counts as trained long"


def test_models_alone_do_not_begin_with_it(tmp_path: Path, wise: Path) -> None:
    alone = prepare_individuals(_chain(tmp_path, wise))
    assert all(plan.growth is None and outside_predecessor(plan) is None for plan in alone)


def test_another_normalisation_is_told(tmp_path: Path) -> None:
    model = tiny_model(16)
    save_model(tmp_path / "m", build_model(model, 7).state_dict(), model, mean=(0.5,) * 3, std=(0.5,) * 3)
    [note] = prepare(_chain(tmp_path, tmp_path / "m", width=16))[0].notes
    assert "normalised otherwise (mean [0.5, 0.5, 0.5]" in note


def test_a_first_stage_that_is_smaller_is_refused_not_begun_anew(tmp_path: Path) -> None:
    model = tiny_model(32)
    save_model(tmp_path / "m", build_model(model, 7).state_dict(), model, **CLIP)
    with pytest.raises(UserError, match="cannot be grown from init .* would shrink") as error:
        prepare(_chain(tmp_path, tmp_path / "m", width=16))
    assert error.value.where == "stage a"


def test_other_weights_make_another_stage_in_a_store(tmp_path: Path, wise: Path) -> None:
    chain = _chain(tmp_path, wise)
    [plan, after] = prepare(chain)
    reuse = Reuse(
        StageStore(open_place(tmp_path / "store")),
        Surroundings(chain, "a" * 32, "b" * 32, None),
        lambda _: 4,
        Terminal(Console(file=io.StringIO())),
    )
    before = [reuse.key(plan, []).name, reuse.key(after, [plan]).name]
    save_model(wise, build_model(tiny_model(16), 8).state_dict(), tiny_model(16), **CLIP)
    assert not set(before) & {reuse.key(plan, []).name, reuse.key(after, [plan]).name}


def test_its_files_are_looked_at_before_anything_trains(tmp_path: Path, wise: Path) -> None:
    stage = _chain(tmp_path, wise).stages[0]
    check_init(stage)
    os.truncate(wise / "model.safetensors", 999)
    with pytest.raises(UserError, match="damaged"):
        check_init(stage)
    with pytest.raises(UserError, match="there is no model here"):
        prepare(_chain(tmp_path, tmp_path / "nowhere"))


def test_it_belongs_to_the_first_stage_alone(tmp_path: Path) -> None:
    stages = [
        {"model": tiny_model(width), "epochs": 1, "name": name} for width, name in ((16, "a"), (32, "b"))
    ]
    with pytest.raises(UserError, match="init: stage b begins with what the stage before has learnt"):
        load_chain(tiny_chain(tmp_path, stages=[stages[0], {**stages[1], "init": "local-dir:x"}]))
    with pytest.raises(UserError, match="stage b begins with"):
        load_chain(tiny_chain(tmp_path, stages=stages, transfer={"init": "local-dir:x"}))


@pytest.mark.parametrize(
    "keys, says",
    [
        ({"init": "local-dir:"}, "names no folder"),
        ({"init": ""}, "names no folder"),
        ({"init": "x", "growth": "random"}, "random weights take nothing from init"),
    ],
)
def test_what_names_no_model_is_refused(tmp_path: Path, keys: dict[str, str], says: str) -> None:
    with pytest.raises(UserError, match=says):
        load_chain(tiny_chain(tmp_path, stages=[{"model": tiny_model(16), "epochs": 1, **keys}]))
