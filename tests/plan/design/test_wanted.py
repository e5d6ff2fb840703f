"""Sizes, budgets and targets as people write them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_compt.errors import UserError
from ray_compt.plan.design.wanted import read_budget, read_sizes, read_target
from ray_compt.plan.table import format_count
from tests.plan.design.made import SAMPLES, SIZES, measured, path, truth
from tests.plan.design.test_observations import SMALL

FINISHED = [
    replace(SMALL, path=path((model, 80)), name=name)
    for model, name in (("ViT-S-16", "small"), ("ViT-B-16", "B"), ("ViT-B-32", "coarse"))
]


def test_a_size_is_a_model_a_stage_or_a_part_of_a_models_name():
    assert read_sizes("S, ViT-B-32", FINISHED) == {"ViT-S-16": "S", "ViT-B-32": "ViT-B-32"}
    assert read_sizes("small,coarse", FINISHED) == {"ViT-S-16": "small", "ViT-B-32": "coarse"}
    # A whole name goes before a part of one.
    assert read_sizes("B", FINISHED) == {"ViT-B-16": "B"}


@pytest.mark.parametrize(
    "text, says",
    [
        ("L", "--sizes: no finished stage is of size L"),
        ("S,16", "--sizes: 16 may be ViT-B-16 or ViT-S-16"),
        (" , ", "--sizes: no size"),
    ],
)
def test_a_size_of_nothing_or_of_several_is_refused(text: str, says: str):
    with pytest.raises(UserError, match=says) as raised:
        read_sizes(text, FINISHED)
    assert raised.value.mend == "give some of ViT-B-16, ViT-B-32, ViT-S-16"


@pytest.mark.parametrize(
    "text, macs", [("5e12", 5e12), ("5T", 5e12), ("1.5 P", 1.5e15), ("3e18", 3e18), ("7", 7), ("2E", 2e18)]
)
def test_budgets_in_macs(text: str, macs: float):
    assert read_budget(text, measured(truth()), "L") == pytest.approx(macs)


@given(st.floats(1, 1e24))
def test_what_the_plan_prints_is_read_back(macs: float):
    assert read_budget(format_count(macs), measured(truth()), "L") == pytest.approx(macs, rel=0.01)


def test_a_share_is_of_the_largest_alone_at_its_most_epochs():
    assert read_budget("50%", measured(truth()), "L") == pytest.approx(0.5 * 160 * 3 * SIZES["L"] * SAMPLES)


def test_a_share_of_what_was_never_trained_alone_is_refused():
    data = measured(truth())
    alone = tuple(one for one in data.observations if one.path[-1].size != "L")
    with pytest.raises(UserError, match="a share of L alone, which was not trained alone"):
        read_budget("50 %", replace(data, observations=alone), "L")


@pytest.mark.parametrize("text", ["", "much", "-5T", "0", "5X", "1.2.3", "%", "inf", "5 T T"])
def test_other_budgets_are_refused(text: str):
    with pytest.raises(UserError, match="is no budget"):
        read_budget(text, measured(truth()), "L")


@pytest.mark.parametrize("text, value", [("0.63", 0.63), ("63%", 0.63), ("6.3e1 %", 0.63)])
def test_targets(text: str, value: float):
    assert read_target(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["63", "0", "1", "-0.1", "high", "nan", "200%"])
def test_other_targets_are_refused(text: str):
    with pytest.raises(UserError, match="is no metric between 0 and 1"):
        read_target(text)
