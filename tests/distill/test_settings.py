"""The distillation weight: what is chosen when the chain file leaves it to us, and how it runs out."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_compt.config.distill_keys import DistillConfig
from ray_compt.distill.settings import DistillPlan, resolve_distill


def test_the_first_stage_has_no_teacher() -> None:
    assert not resolve_distill(DistillConfig(weight=3.0), 10, 0).active


def test_a_saturated_predecessor_gets_the_papers_weight() -> None:
    plan = resolve_distill(DistillConfig(), stage_epochs=24, lineage_epochs=128)
    assert (plan.weight, plan.stop_at, plan.decay) == (500 * 2 / 512, 1.0, "none")


def test_the_other_losses_have_a_full_weight_of_their_own_scale() -> None:
    for kind in ("relational", "contrastive"):
        plan = resolve_distill(DistillConfig(kind=kind, towers="text"), 24, 128)
        assert (plan.weight, plan.kind, plan.towers) == (1.0, kind, "text")


def test_a_teacher_from_outside_counts_as_saturated() -> None:
    plan = resolve_distill(DistillConfig(), stage_epochs=1e9, lineage_epochs=math.inf)
    assert (plan.weight, plan.stop_at) == (500 * 2 / 512, 1.0)
    assert "outside" in plan.reason


def test_an_unsaturated_one_gets_a_weight_that_fades() -> None:
    plan = resolve_distill(DistillConfig(), stage_epochs=20, lineage_epochs=20)
    assert plan.at(0, 100) == 0.5
    assert plan.at(25, 100) == pytest.approx(0.25)
    assert plan.at(50, 100) == 0


def test_the_chain_file_has_the_last_word() -> None:
    plan = resolve_distill(DistillConfig(weight=1.0, stop_at=0.3, decay="cosine"), 24, 128)
    assert (plan.weight, plan.stop_at, plan.decay) == (1.0, 0.3, "cosine")


def test_weight_0_needs_no_teacher() -> None:
    plan = resolve_distill(DistillConfig(weight=0.0), 24, 128)
    assert not plan.active
    assert plan.last_step(100) == 0


@given(
    weight=st.floats(0.01, 10),
    stop_at=st.floats(0.01, 1),
    decay=st.sampled_from(["none", "linear", "cosine"]),
    steps=st.integers(1, 500),
)
def test_features_are_asked_for_exactly_while_the_weight_is_positive(
    weight: float, stop_at: float, decay: str, steps: int
) -> None:
    plan = DistillPlan(weight, stop_at, decay, "")
    last = plan.last_step(steps)
    weights = [plan.at(step, steps) for step in range(steps)]
    assert weights[0] == pytest.approx(weight)
    assert weights == sorted(weights, reverse=True)
    assert all(w > 0 for w in weights[:last]) and not any(weights[last:])
