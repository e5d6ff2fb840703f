"""What samplers are told keeps the order of candidates."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_compt.sweep.objective import Objective
from ray_compt.sweep.record import TrialRecord
from ray_compt.sweep.running.values import NOT_REACHED, Outcome, directions, outcome
from ray_compt.sweep.scores import score
from tests.sweep.records import METRIC, trial

TARGET = Objective(METRIC, at_least=0.6, minimise="macs")
fractions = st.floats(0, 1)
costs = st.integers(1, 10**25)


def of(objective: Objective, *trials: TrialRecord) -> Outcome | None:
    (found,) = score(trials, objective)
    return outcome(found, objective)


def number(objective: Objective, metric: float, macs: int) -> float:
    found = of(objective, trial(0, metric, macs))
    assert found is not None
    assert found.values is not None
    (value,) = found.values
    return value


@pytest.mark.parametrize(
    "objective, ways, told",
    [
        (Objective(METRIC), ["maximize"], (0.5,)),
        (Objective(METRIC, "min"), ["minimize"], (0.5,)),
        (Objective(METRIC, cost="macs"), ["maximize", "minimize"], (0.5, 1000.0)),
        (Objective(METRIC, cost="seconds"), ["maximize", "minimize"], (0.5, 10.0)),
        (Objective(METRIC, at_least=0.5, minimise="macs"), ["minimize"], (1000.0,)),
    ],
)
def test_an_objective_is_told_with_its_directions(
    objective: Objective, ways: list[str], told: tuple[float, ...]
) -> None:
    assert directions(objective) == ways
    assert of(objective, trial(0, 0.5, 1000)) == Outcome(told)


@given(fractions, costs, fractions, costs)
def test_the_cheapest_that_reaches_is_least_then_the_nearest(
    one: float, cost: int, other: float, other_cost: int
) -> None:
    first, second = number(TARGET, one, cost), number(TARGET, other, other_cost)
    reached, too = one >= 0.6, other >= 0.6
    if reached and too:
        assert (first < second) == (float(cost) < float(other_cost))
    elif reached != too:
        assert (first < second) == reached
    elif one >= other:
        assert first <= second
    if not reached:
        assert first >= NOT_REACHED
    if not reached and not too and one - other > 1e-9:
        assert first < second


def test_seeds_are_averaged() -> None:
    seeds = [trial(seed, metric, candidate=0, seed=seed) for seed, metric in enumerate((0.4, 0.6))]
    assert of(Objective(METRIC), *seeds) == Outcome((0.5,))


@pytest.mark.parametrize(
    "states, told",
    [
        (("done", "running"), None),
        (("done", "pending"), None),
        (("pruned", "pending"), None),
        (("pruned", "pruned"), Outcome(pruned=True)),
        (("done", "pruned"), Outcome(pruned=True)),
        (("done", "failed"), Outcome()),
    ],
)
def test_a_candidate_is_told_once_all_its_seeds_have_ended(
    states: tuple[str, ...], told: Outcome | None
) -> None:
    seeds = [trial(seed, candidate=0, seed=seed, state=state) for seed, state in enumerate(states)]
    assert of(Objective(METRIC), *seeds) == told


def test_a_metric_that_is_no_number_is_nothing_to_compare() -> None:
    assert of(Objective(METRIC), trial(0, float("nan"))) == Outcome()
