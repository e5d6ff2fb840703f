"""Proposals against the true optimum of known curves, their bounds, their costs and the paper's rules."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from ray_compt.errors import UserError
from ray_compt.plan.cost import training_macs
from ray_compt.plan.design import check_rules, fit, propose_for_budget, propose_for_target
from ray_compt.plan.design.predict import chain_macs, epoch_macs
from ray_compt.plan.design.propose import compose, compositions
from ray_compt.plan.design.rules import check_falls, check_steps
from tests.plan.design.made import SAMPLES, SIZES, measured, path, true_metric, truth

CHAINS = [path(("S", 160), ("M", 10)), path(("S", 80), ("M", 40)), path(("M", 80), ("L", 20))]
BUDGET = 1.5e12
ALL = list(SIZES)


def _by_force(names: tuple[str, ...], budget: float, steps: int = 200) -> float:
    """The best true metric of a composition for a budget, on a fine grid of the later stages' epochs."""
    real, data = truth(), measured(truth(), chains=CHAINS)
    composition = compose(real, data, names)
    axes = [np.geomspace(low, high, steps) for low, high in zip(composition.fewest[1:], composition.most[1:])]
    later = np.array(list(product(*axes)))
    first = (budget - later @ composition.macs[1:]) / composition.macs[0]
    splits = np.column_stack([np.minimum(first, composition.most[0]), later])[first >= composition.fewest[0]]
    return float(composition.compare(splits).max())


def test_the_best_split_is_found_for_each_composition():
    real, data = truth(), measured(truth(), chains=CHAINS)
    found = propose_for_budget(real, data, ALL, end="L", budget=BUDGET, best=10)
    assert len(found) == len(list(compositions(data, ALL, "L"))) == 4
    for one in found:
        names = tuple(stage.size for stage in one.prediction.path)
        # Whole epochs cost a little.
        assert one.prediction.metric == pytest.approx(_by_force(names, BUDGET), abs=1e-3)
        assert one.prediction.macs <= BUDGET
    assert [one.prediction.metric for one in found] == sorted(
        (one.prediction.metric for one in found), reverse=True
    )


def test_what_is_fitted_to_noisy_measurements_proposes_chains_near_the_optimum():
    real = truth()
    data = measured(real, noise=0.004, chains=CHAINS)
    best = propose_for_budget(fit(data), data, ALL, end="L", budget=BUDGET, best=1)[0]
    optimum = max(_by_force(names, BUDGET) for names in compositions(data, ALL, "L"))
    assert true_metric(real, best.prediction.path) == pytest.approx(optimum, abs=0.01)


def test_a_target_is_reached_for_no_more_than_a_budget_that_reaches_it():
    real, data = truth(), measured(truth(), chains=CHAINS)
    for_budget = propose_for_budget(real, data, ALL, end="L", budget=BUDGET, best=1)[0].prediction
    found = propose_for_target(real, data, ALL, end="L", target=for_budget.metric, best=3)
    assert found[0].prediction.macs <= 1.03 * for_budget.macs
    assert all(one.prediction.metric >= for_budget.metric - 1e-9 for one in found)
    costs = [one.prediction.macs for one in found]
    assert costs == sorted(costs)
    assert len({tuple(stage.size for stage in one.prediction.path) for one in found}) == len(found)


def test_chains_end_where_they_are_told_to():
    real, data = truth(), measured(truth(), chains=CHAINS)
    found = propose_for_budget(real, data, ALL, end="M", budget=BUDGET, best=10)
    assert {one.prediction.path[-1].size for one in found} == {"M"}
    assert {len(one.prediction.path) for one in found} == {1, 2}


def test_epochs_beyond_what_was_measured_are_named():
    real, data = truth(), measured(truth(), chains=CHAINS)
    found = propose_for_budget(real, data, ["S"], end="S", budget=1e15, best=1)[0]
    assert found.prediction.path == path(("S", 320))
    assert found.beyond == found.prediction.path


def test_a_budget_below_the_cheapest_chain_says_what_that_costs():
    real, data = truth(), measured(truth(), chains=CHAINS)
    cheapest = min(compose(real, data, names).cheapest for names in compositions(data, ALL, "L"))
    with pytest.raises(UserError, match="less than the cheapest chain that ends with L"):
        propose_for_budget(real, data, ALL, end="L", budget=0.99 * cheapest, best=1)
    assert propose_for_budget(real, data, ALL, end="L", budget=1.001 * cheapest, best=1)


def test_a_target_out_of_reach_says_what_is_in_reach():
    real, data = truth(), measured(truth(), chains=CHAINS)
    with pytest.raises(UserError, match=r"expected to reach 0.99; the best reaches 0\.[67]\d"):
        propose_for_target(real, data, ALL, end="L", target=0.99, best=1)


def test_costs_are_those_of_the_plan():
    from ray_compt.models import Macs

    data = measured(truth())
    small, large = (
        training_macs(Macs(int(SIZES[size]), 0), captions=1, global_batch=10, steps=steps, **taught)
        for size, steps, taught in (
            ("S", 8000, {}),
            ("L", 2000, {"teachers": [Macs(int(SIZES["S"]), 0)], "teacher_steps": 2000}),
        )
    )
    assert SAMPLES * 80 == 10 * 8000
    assert chain_macs(data, path(("S", 80), ("L", 20))) == pytest.approx(small.total + large.total)
    assert epoch_macs(data, ["S"])[0] == pytest.approx(3 * SIZES["S"] * SAMPLES)


def test_the_three_rules():
    real, data = truth(), measured(truth())
    kept = {check.rule: check.kept for check in check_rules(real, data, path(("M", 80), ("L", 20)))}
    assert kept == {"fits": True, "steps": True, "falls": True}
    broken = check_rules(real, data, path(("S", 20), ("L", 40)))
    # S reaches 0.60 of L's 0.80.
    assert [check.kept for check in broken] == [False, False, False]
    assert [check.says for check in broken] == [
        "S can reach 75% of what the largest can",
        "steps of 10.0x",
        "epochs 20, 40",
    ]


@pytest.mark.parametrize(
    "ratios, kept", [([], True), ([2.0, 4.0], True), ([1.9], False), ([3.0, 4.1], False)]
)
def test_steps_lie_between_two_and_four(ratios: list[float], kept: bool):
    assert check_steps(ratios).kept is kept


@pytest.mark.parametrize("epochs, kept", [([5.0], True), ([9.0, 9.0], True), ([9.0, 3.0, 4.0], False)])
def test_epochs_do_not_rise(epochs: list[float], kept: bool):
    assert check_falls(epochs).kept is kept
