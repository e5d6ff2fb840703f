"""From a chain file's teachers to what workers are told of them, and what is refused before training."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from ray_compt.chain.folder import add_individuals, open_run
from ray_compt.chain.needs import chain_needs
from ray_compt.chain.prepare import StagePlan, prepare, prepare_individuals
from ray_compt.chain.summary import costs, describe_stage, teacher_words
from ray_compt.chain.teachers import check_outside, stage_teacher
from ray_compt.config import Chain, load_chain
from ray_compt.config.yaml_io import write_yaml
from ray_compt.data import Order, make_preprocess
from ray_compt.errors import UserError
from ray_compt.models import build_model, save_model
from ray_compt.plan import plan_chain
from ray_compt.storage import open_place
from tests.cli.small import MEAN, STD, small_chain, small_model

SCALE = 2.5
ORDER = Order(seed=0, sizes=(64,), global_batch=16, lanes=8, window_batches=2)


def _store(folder: Path, spoil: float | None = None) -> Path:
    config = small_model(48) | {"embed_dim": 24}
    model = build_model(config, 0)
    torch.nn.init.constant_(model.logit_scale, SCALE)
    if spoil is not None:
        model.state_dict()["text_projection"][0, 0] = spoil
    save_model(folder, model.state_dict(), config, mean=MEAN, std=STD)
    return folder


def _chain(folder: Path, teachers: list[dict[str, Any]], **distill: Any) -> Chain:
    content = small_chain()
    content["stages"][1]["distill"] = {"weight": 1.5, "teachers": teachers, **distill}
    content["stages"][1]["teacher"] = {"placement": "actor", "cpus": 2}
    file = folder / "chain.yaml"
    file.write_text(write_yaml(content))
    return load_chain(file)


def _two(folder: Path, **distill: Any) -> tuple[Chain, list[StagePlan]]:
    wise = str(_store(folder / "wise"))
    chain = _chain(folder, [{"model": "small", "weight": 1.5}, {"model": wise, "weight": 0.5}], **distill)
    return chain, prepare(chain)


def test_workers_get_folder_normalisation_width_and_share(tmp_path: Path) -> None:
    chain, (_, plan) = _two(tmp_path, kind="relational")
    check_outside([plan])
    preprocess = make_preprocess(chain.data, plan.model, seed=0)
    small = open_place(_store(tmp_path / "01-small"))
    first, second = (stage_teacher(teacher, plan, [small], preprocess, ORDER) for teacher in plan.teachers)
    assert (first.spec.folder, first.share, first.width) == (str(small), 0.75, 16)
    assert (first.spec.mean, first.spec.std) == (preprocess.mean, preprocess.std)
    assert (second.spec.folder, second.share, second.width) == (str(tmp_path / "wise"), 0.25, 24)
    assert (second.spec.mean, second.spec.std) == (MEAN, STD)
    assert first.scale == second.scale == pytest.approx(math.exp(SCALE))


def test_a_relative_folder_is_made_absolute_for_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _store(tmp_path / "wise")
    monkeypatch.chdir(tmp_path)
    chain = _chain(tmp_path, [{"model": "wise"}])
    plan = prepare(chain)[1]
    found = stage_teacher(plan.teachers[0], plan, [], make_preprocess(chain.data, plan.model, seed=0), ORDER)
    assert found.spec.folder == str(tmp_path / "wise")


def test_every_teachers_forward_is_paid_for(tmp_path: Path) -> None:
    chain, (_, plan) = _two(tmp_path, stop_at=0.5)
    forward = [teacher.macs.forward(1) for teacher in plan.teachers]
    assert len(set(forward)) == 2
    spent = costs(plan, chain, taken=8, steps=8)
    assert spent["teacher_macs"] == 4 * chain.stages[1].train.global_batch * sum(forward)
    planned = plan_chain(chain, samples=16 * 8).stages[1]
    assert (planned.steps, planned.teacher_macs) == (8, spent["teacher_macs"])


def test_each_teacher_needs_its_own_room(tmp_path: Path) -> None:
    chain, _ = _two(tmp_path)
    assert chain_needs(chain).teacher_cpus == 4


def test_the_terminal_says_what_differs_from_the_papers(tmp_path: Path) -> None:
    _, (_, plan) = _two(tmp_path, kind="contrastive", towers="image")
    assert "contrastive distillation of the image tower weight 1.5 (as the chain file" in describe_stage(
        plan, 9
    )
    assert teacher_words(plan) == f"teachers small (75%), {tmp_path / 'wise'} (25%)"
    alone = prepare(_chain(tmp_path, [{"model": "small"}]))[1]
    assert ", distillation weight 1.5 (as" in describe_stage(alone, 9)
    assert teacher_words(alone) == "teacher small"


def test_the_first_stage_may_learn_from_outside_and_is_then_no_individual(tmp_path: Path) -> None:
    wise = str(_store(tmp_path / "wise"))
    content = small_chain() | {"transfer": {"distill": {"teachers": [{"model": wise}]}}}
    file = tmp_path / "chain.yaml"
    file.write_text(write_yaml(content))
    chain = load_chain(file)
    assert [len(plan.teachers) for plan in prepare(chain)] == [1, 1]
    assert not any(plan.distill.active or plan.teachers for plan in prepare_individuals(chain))
    for taught, folder in (
        (chain, "individual/01-small"),
        (_chain(tmp_path, [{"model": "small"}]), "01-small"),
    ):
        with open_run(str(tmp_path / f"run{len(folder)}"), taught) as (_, ledger):
            add_individuals(ledger, taught)
        assert ledger.individual[0].folder == folder


@pytest.mark.parametrize("spoil", ["nan", "cut"])
def test_damaged_weights_from_outside_are_refused_before_training(tmp_path: Path, spoil: str) -> None:
    folder = _store(tmp_path / "wise", float("nan") if spoil == "nan" else None)
    if spoil == "cut":
        weights = folder / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:999])
    plans = prepare(_chain(tmp_path, [{"model": str(folder)}]))
    with pytest.raises(UserError, match="NaN" if spoil == "nan" else "damaged"):
        check_outside(plans)
