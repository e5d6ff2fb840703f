"""What changes a stage's result changes its name, and what leaves no trace in it does not."""

from __future__ import annotations

from typing import Any

import pytest

from ray_compt.chain.prepare import prepare
from ray_compt.chain.store.key import StageKey, Surroundings, stage_key
from ray_compt.config import make_chain
from tests.cli.small import small_model

CONTENT: dict[str, Any] = {
    "name": "made",
    "data": {"train": "here", "val": "there", "image_size": 16},
    "train": {"global_batch": 8},
    "stages": [
        {"name": "small", "model": small_model(32), "epochs": 2},
        {"name": "large", "model": small_model(64), "epochs": 1},
    ],
}
DIGESTS = ("a" * 32, "b" * 32)


def _key(number: int, *overrides: str, steps: int = 3, source: str = "s", share: float = 1.0) -> StageKey:
    chain = make_chain(CONTENT, overrides, where="test")
    plan = prepare(chain)[number]
    teachers = [("t", share) for _ in plan.teachers]
    around = Surroundings(chain, *DIGESTS, None)
    return stage_key(around, plan, steps, source if number else None, teachers)


@pytest.mark.parametrize(
    "override",
    [
        "seed=1",
        "train.lr=0.5",
        "train.global_batch=16",
        "train.precision=bf16",
        "transfer.growth=embed",
        "transfer.noise=0.5",
        "transfer.optimizer=carry",
        "transfer.distill.weight=0.5",
        "transfer.distill.weight=0",
        "transfer.distill.kind=relational",
        "teacher.precision=bf16",
        "data.lanes=4",
        "data.augment_epochs=2",
        "data.class_templates=['{}']",
    ],
)
def test_what_counts_gives_another_name(override: str) -> None:
    assert _key(1, override).name != _key(1).name


@pytest.mark.parametrize(
    "override",
    [
        "name=other",
        "workers.max=7",
        "workers.cpus=2",
        "teacher.placement=inline",
        "train.micro_batch=2",
        "train.checkpoint_every=1",
        "data.train=elsewhere",
        "data.reader_cpus=1.0",
        "stages.1.name=big",
        "stages.0.train.lr=0.5",
    ],
)
def test_what_leaves_no_trace_does_not(override: str) -> None:
    assert _key(1, override).name == _key(1).name


def test_steps_predecessor_and_teachers_count() -> None:
    names = {key.name for key in (_key(1), _key(1, steps=4), _key(1, source="r"), _key(1, share=0.5))}
    assert len(names) == 4


def test_a_predecessor_of_which_nothing_is_taken_does_not_count() -> None:
    alone = ("transfer.growth=random", "transfer.distill.weight=0")
    assert _key(1, *alone).name == _key(1, *alone, source="r").name
    assert _key(1, alone[0]).name != _key(1, alone[1]).name


def test_the_first_stage_is_the_same_in_every_chain() -> None:
    assert _key(0).name == _key(0, "transfer.growth=embed", "stages.1.epochs=7").name
