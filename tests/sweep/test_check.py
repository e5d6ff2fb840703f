"""What is refused before anything starts: metrics, searches and prunings that make no sense."""

from __future__ import annotations

from pathlib import Path

import pytest

from ray_compt.config.schema import Chain
from ray_compt.errors import UserError
from ray_compt.sweep.check import check_sweep
from tests.sweep.files import CHAIN, SWEEP, bend, case, check_error, load, plan, with_chains, with_space

SUITE = """\
name: mine
tasks:
  - {name: shots, kind: few_shot, data: builtin:digits/val, train: builtin:digits/train, shots: [2]}
  - {name: hard, kind: retrieval, data: x, corruptions: [blur]}
"""


def with_metric(metric: str) -> str:
    return bend("zero_shot_top1", metric)


@pytest.mark.parametrize(
    "metric, suite, fine",
    [
        ("zero_shot_top5", "null", True),
        ("text_to_image_r10", "null", True),
        ("linear_probe/top1", "null", False),
        ("linear_probe/ece", "core", True),
        ("knn/ece", "core", False),
        ("shots/top1_2shot", "suite.yaml", True),
        ("shots/top1_4shot", "suite.yaml", False),
        ("hard/blur/image_to_text_r1", "suite.yaml", True),
        ("hard/image_to_text_r1", "suite.yaml", True),
        ("image_to_text_r1", "suite.yaml", True),
        ("samples", "core", False),
    ],
)
def test_only_metrics_that_a_stage_reports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, metric: str, suite: str, fine: bool
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "suite.yaml").write_text(SUITE)
    chain = f"{CHAIN}evaluate: {{suite: {suite}}}\n"
    if fine:
        plan(tmp_path, with_metric(metric), chain=chain)
    else:
        check_error(tmp_path, with_metric(metric), 8, f"no stage reports {metric}", "", chain=chain)


SHARDS = CHAIN.replace("builtin:digits/val", "shards/*.tar")


@pytest.mark.parametrize(
    "metric, chain, message, mend",
    [
        case("zero_shot_top", CHAIN, "no stage reports zero_shot_top", "did you mean zero_shot_top"),
        case("accuracy", CHAIN, "no stage reports accuracy", "use one of zero_shot_top1, "),
        case("zero_shot_top1", SHARDS, "no stage reports zero_shot_top1", "data.class_field"),
        case("knn/top1", CHAIN, "no stage reports knn/top1", "evaluate.suite: core"),
        case(
            "zero_shot_top1", CHAIN.replace("builtin:digits/val", "null"), "nothing is measured", "data.val"
        ),
    ],
)
def test_an_unknown_metric(tmp_path: Path, metric: str, chain: str, message: str, mend: str):
    check_error(tmp_path, with_metric(metric), 8, message, mend, chain=chain)


def test_a_metric_has_to_be_there_whatever_the_values(tmp_path: Path):
    text = with_space("data.val: {choice: [builtin:digits/val, null]}")
    check_error(tmp_path, text, 7, "nothing is measured", "data.val")


def test_class_fields_make_classes(tmp_path: Path):
    chain = SHARDS.replace("lanes: 4", "lanes: 4\n  class_field: category")
    assert plan(tmp_path, chain=chain).compositions


@pytest.mark.parametrize(
    "text, line, message, mend",
    [
        case(
            with_space("train.lr: {loguniform: [1e-4, 1e-2]}"),
            4,
            "space.train.lr: a grid has no end over a range of numbers",
            "algorithm: random",
            id="continuous grid",
        ),
        case(
            with_space("train.warmup_steps: {randint: [1, 9999]}"),
            1,
            "search: a grid of 79,992 candidates, more than 10,000",
            "fewer values",
            id="endless grid",
        ),
        case(
            with_chains("length: [1, 1]") + "prune: {scheduler: asha}\n",
            9,
            "asha looks at the ends of stages, and no chain has two",
            "longer chains",
            id="nothing to prune at",
        ),
        case(
            with_chains("length: [4, 4]") + "prune:\n  scheduler: hyperband\n  reduction: 4\n",
            11,
            "one in 4 goes on, of 2 trials",
            "more trials",
            id="nothing to prune",
        ),
        case(
            SWEEP + "search: {algorithm: random, trials: 2}\nprune: {scheduler: asha}\n",
            10,
            "of 2 trials",
            "more trials",
            id="few trials",
        ),
    ],
)
def test_a_search_that_makes_no_sense(tmp_path: Path, text: str, line: int, message: str, mend: str):
    check_error(tmp_path, text, line, message, mend)


@pytest.mark.parametrize(
    "more",
    [
        "prune: {scheduler: asha}\nseeds: [0, 1, 2]\n",
        "prune: {scheduler: hyperband, within_stage: true, reduction: 2}\n",
    ],
)
def test_a_pruning_that_does(tmp_path: Path, more: str):
    assert plan(tmp_path, with_chains("length: [2, 2]") + more).sweep.prune.scheduler != "none"


def test_a_search_by_optuna_needs_no_end(tmp_path: Path):
    text = with_space("train.lr: {uniform: [1e-4, 1e-2]}") + "search: {algorithm: tpe, trials: 9}\n"
    made = plan(tmp_path, text)
    assert made.size is None
    assert [parameter.key for parameter in made.parameters] == ["train.lr"]


def test_what_the_models_refuse_is_passed_on(tmp_path: Path):
    def measure(chain: Chain):
        raise UserError("sizes fall", where=f"stage {chain.stages[1].name}")

    with pytest.raises(UserError, match="stage ViT-S-16: sizes fall"):
        check_sweep(load(tmp_path), measure)
