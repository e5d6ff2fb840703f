"""Averages, fronts and hypervolumes, against their definitions."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_compt.sweep.objective import Objective
from ray_compt.sweep.record import TrialRecord
from ray_compt.sweep.scores import (
    Score,
    best,
    cheapest_that_reaches,
    hypervolume,
    pareto_front,
    reference_point,
    score,
)
from tests.sweep.records import METRIC, stage, trial

# Few values, so that ties are common.
GRID = st.integers(0, 6)
POINTS = st.lists(st.tuples(GRID, GRID), max_size=12)
MODES = st.sampled_from(["max", "min"])
MAX = Objective(METRIC)


def points_as_scores(points: list[tuple[int, int]]) -> list[Score]:
    return [
        Score(number, ("S",), {}, (), metrics=(float(metric),), costs=(float(cost),))
        for number, (cost, metric) in enumerate(points)
    ]


def dominates(one: Score, other: Score, mode: str) -> bool:
    sign = 1 if mode == "max" else -1
    no_worse = one.cost <= other.cost and sign * one.metric >= sign * other.metric
    return no_worse and (one.cost, one.metric) != (other.cost, other.metric)


@given(POINTS, MODES)
def test_the_front_is_what_nothing_dominates(
    points: list[tuple[int, int]], mode: Literal["max", "min"]
) -> None:
    scores = points_as_scores(points)
    expected = {one.candidate for one in scores if not any(dominates(other, one, mode) for other in scores)}
    front = pareto_front(scores, Objective(METRIC, mode))
    assert {one.candidate for one in front} == expected and len(front) == len(expected)
    assert all(one.cost <= other.cost for one, other in pairwise(front))


@given(POINTS, MODES)
def test_the_hypervolume_counts_the_cells_that_points_dominate(
    points: list[tuple[int, int]], mode: Literal["max", "min"]
) -> None:
    reference = (5, 1) if mode == "max" else (5, 5)

    def covers(point: tuple[int, int], x: int, y: int) -> bool:
        """Whether the unit cell from (x, y) to (x + 1, y + 1) lies between a point and the reference."""
        cost, metric = point
        if mode == "max":
            return cost <= x and y + 1 <= metric and x + 1 <= reference[0] and y >= reference[1]
        return cost <= x and metric <= y and x + 1 <= reference[0] and y + 1 <= reference[1]

    cells = sum(any(covers(point, x, y) for point in points) for x in range(8) for y in range(8))
    assert hypervolume(points, reference, Objective(METRIC, mode)) == cells


@given(POINTS, MODES)
def test_only_the_front_makes_hypervolume(points: list[tuple[int, int]], mode: Literal["max", "min"]) -> None:
    objective = Objective(METRIC, mode)
    scores = points_as_scores(points)
    front = [(one.cost, one.metric) for one in pareto_front(scores, objective)]
    assert hypervolume(points, (6, 3), objective) == hypervolume(front, (6, 3), objective)


@given(POINTS)
def test_the_best_is_on_the_front_and_none_is_better(points: list[tuple[int, int]]) -> None:
    scores = points_as_scores(points)
    found = best(scores, MAX)
    assert (found is None) == (not points)
    if found is not None:
        assert found.metric == max(one.metric for one in scores)
        assert found.candidate in {one.candidate for one in pareto_front(scores, MAX)}


@given(POINTS, GRID)
def test_the_cheapest_that_reaches(points: list[tuple[int, int]], goal: int) -> None:
    scores = points_as_scores(points)
    found = cheapest_that_reaches(scores, goal)
    reaching = [one.cost for one in scores if one.metric >= goal]
    assert (found.cost if found else None) == min(reaching, default=None)
    assert found is None or found.metric >= goal


def test_seeds_of_a_candidate_are_averaged() -> None:
    trials = [trial(0, 0.4, 100), trial(1, 0.6, 300, candidate=0, seed=1), trial(2, 0.55, 50)]
    first, second = score(trials[::-1], MAX)
    assert (first.candidate, first.metric, first.cost, first.metrics) == (0, 0.5, 200, (0.4, 0.6))
    assert (second.candidate, second.metric) == (2, 0.55)
    winner = best([first, second], MAX)
    assert winner is not None and winner.candidate == 2


@pytest.mark.parametrize(
    "other, said",
    [
        (trial(1, state="failed", stages=()), "1 of 2 failed"),
        (trial(1, state="pruned"), "1 of 2 pruned"),
        (trial(1, state="pending", stages=()), "1 of 2 not begun"),
        (trial(1, state="running", stages=(stage("S", state="running"),)), "1 of 2 running"),
        (trial(1, metric=math.nan), f"1 of 2 without a finite {METRIC}"),
        (trial(1, stages=(stage("S", state="done"),)), f"1 of 2 without a finite {METRIC}"),
    ],
)
def test_a_candidate_counts_once_all_its_seeds_are_done(other: TrialRecord, said: str) -> None:
    (found,) = score([trial(0), replace(other, candidate=0, seed=1)], MAX)
    assert not found.counts and found.missing == said
    assert math.isnan(found.metric) and best([found], MAX) is None and pareto_front([found], MAX) == []


def test_a_pruned_trials_metric_of_an_earlier_stage_does_not_count() -> None:
    (found,) = score([trial(0, metric=0.99, state="pruned")], MAX)
    assert found.missing == "pruned" and not found.metrics


def test_cost_may_be_seconds() -> None:
    (found,) = score([trial(0, macs=500)], Objective(METRIC, cost="seconds"))
    assert found.cost == 5.0


def test_of_equals_the_cheaper_then_the_first_wins() -> None:
    scores = points_as_scores([(3, 5), (2, 5), (2, 5), (1, 4)])
    winner, target = best(scores, MAX), cheapest_that_reaches(scores, 5)
    assert winner is not None and winner.candidate == 1
    assert target is not None and target.candidate == 1


def test_less_may_be_better() -> None:
    winner = best(points_as_scores([(1, 3), (9, 2)]), Objective(METRIC, "min"))
    assert winner is not None and winner.candidate == 1


def test_the_reference_is_the_dearest_and_a_model_that_knows_nothing() -> None:
    scores = points_as_scores([(3, 5), (2, 4)])
    assert reference_point(scores, MAX) == (3, 0)
    assert reference_point(scores, Objective(METRIC, "min")) == (3, 5)
    assert reference_point(points_as_scores([(1, -2), (2, 4)]), MAX) == (2, -2)
    assert reference_point([], MAX) is None


@pytest.mark.parametrize(
    "given",
    [
        {"mode": "best"},
        {"cost": "joules"},
        {"minimise": "macs"},
        {"at_least": 0.5},
        {"at_least": math.nan, "minimise": "macs"},
        {"at_least": 0.5, "minimise": "macs", "cost": "macs"},
        {"at_least": 0.5, "minimise": "macs", "mode": "min"},
    ],
)
def test_an_objective_that_means_nothing_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="mode|cost|at_least"):
        Objective(METRIC, **given)  # type: ignore[arg-type]
