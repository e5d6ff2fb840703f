"""Which trainings a run folder tells of, and at what cost."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ray_compt.chain.ledger import Ledger, StageEntry
from ray_compt.chain.measured import open_runs, read_finished
from ray_compt.errors import UserError
from ray_compt.plan.design import Finished, Stage
from ray_compt.storage import open_place

SMALL = StageEntry(
    "small",
    "01-small",
    "ViT-S",
    epochs=80,
    state="done",
    samples=80_000,
    macs=3 * 80_000 * 1000,
    data="abc",
    metrics={"zero_shot_top1": 0.5},
)
LARGE = StageEntry(
    "large",
    "02-large",
    "ViT-L",
    epochs=10,
    state="done",
    samples=10_000,
    macs=3 * 10_000 * 9000 + 5_000 * 1000,
    teacher_macs=5_000 * 1000,
    growth="lossless",
    distill_weight=2.0,
    data="abc",
    metrics={"zero_shot_top1": 0.6},
)
ALONE = replace(SMALL, name="large", folder="individual/02-large", model="ViT-L", macs=3 * 80_000 * 9000)


def _read(
    folder: Path, stages: list[StageEntry], individual: list[StageEntry] | None = None
) -> list[Finished]:
    folder.mkdir(parents=True, exist_ok=True)
    Ledger(open_place(folder / "ledger.json"), "made", stages, individual or [], 1000).save()
    return [one for run in open_runs([str(folder)]) for one in read_finished(run)]


def test_stages_and_models_alone_with_their_costs(tmp_path: Path):
    small, large, alone = _read(tmp_path, [SMALL, LARGE], [SMALL, ALONE])
    assert small.path == (Stage("ViT-S", 80),)
    assert (small.forward, small.samples, small.recipe, small.before) == (1000, 1000, "scratch", {})
    assert large.path == (Stage("ViT-S", 80), Stage("ViT-L", 10))
    assert (large.forward, large.taught, large.name) == (9000, 0.5, "large")
    assert large.recipe == "growth lossless with distillation"
    assert (large.before, large.metrics) == ({"zero_shot_top1": 0.5}, {"zero_shot_top1": 0.6})
    assert alone.path == (Stage("ViT-L", 80),)


def test_what_a_feature_cache_saved_is_counted_for_other_chains(tmp_path: Path):
    _, large = _read(
        tmp_path, [SMALL, replace(LARGE, teacher="cache", teacher_macs=0, macs=3 * 10_000 * 9000)]
    )
    assert large.taught == 1.0
    _, large = _read(tmp_path, [SMALL, replace(LARGE, distill_weight=0.0, teacher_macs=0)])
    assert large.taught == 0.0


@pytest.mark.parametrize("state", ["pending", "running", "failed"])
def test_what_follows_an_unfinished_stage_does_not_count(tmp_path: Path, state):
    assert _read(tmp_path, [replace(SMALL, state=state), LARGE], [replace(ALONE, state=state)]) == []


def test_a_model_that_was_not_evaluated_does_not_count(tmp_path: Path):
    assert [one.size for one in _read(tmp_path, [SMALL, replace(LARGE, metrics={})])] == ["ViT-S"]


def test_a_sweep_stands_for_the_runs_of_its_trials(tmp_path: Path):
    for name in ("trials/0", "trials/1"):
        _read(tmp_path / name, [SMALL])
    runs = [{"run": "trials/0"}, {"run": "trials/1"}, {"run": "trials/not-begun"}, {"run": "../elsewhere"}]
    (tmp_path / "sweep.json").write_text(json.dumps({"trials": runs}))
    found = open_runs([str(tmp_path)])
    assert [run.path.name for run in found] == ["0", "1"]


@pytest.mark.parametrize("content", ["", "[]", '{"trials": [{}]}', '{"trials": 3}'])
def test_a_damaged_sweep_is_named(tmp_path: Path, content: str):
    (tmp_path / "sweep.json").write_text(content)
    with pytest.raises(UserError, match="sweep.json: the sweep cannot be read"):
        open_runs([str(tmp_path)])


def test_a_chain_that_begins_with_a_model_from_outside_tells_nothing_of_sizes(tmp_path: Path):
    begun = replace(SMALL, growth="unchanged from local-dir:wise")
    alone = replace(SMALL, folder="individual/01-small")
    assert [one.path for one in _read(tmp_path, [begun, LARGE], [alone])] == [(Stage("ViT-S", 80),)]
