"""Candidates ranked: trials averaged over seeds, the best, the Pareto front and its hypervolume, the cheapest that
reaches a metric. Pure arithmetic on records.

A candidate counts once every one of its trials is done and has the metric as a finite number: an average over the
seeds that happened to end well would favour what ends badly. Those that do not count say why.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ray_compt.sweep.objective import Objective
from ray_compt.sweep.record import STATES, TrialRecord


@dataclass(frozen=True)
class Score:
    """A candidate, averaged over its seeds.

    Attributes:
        candidate: its number.
        chain: names of its stages.
        values: of the space's keys.
        trials: all of its trials, by number.
        metrics: one a seed, in the order of `trials`; empty where it does not count.
        costs: as `metrics`: MACs or seconds of the whole chain, reused stages included.
        missing: why it does not count: "1 of 2 trials failed"; empty where it does.
    """

    candidate: int
    chain: tuple[str, ...]
    values: Mapping[str, Any]
    trials: tuple[TrialRecord, ...]
    metrics: tuple[float, ...] = ()
    costs: tuple[float, ...] = ()
    missing: str = ""

    @property
    def counts(self) -> bool:
        return not self.missing

    @property
    def metric(self) -> float:
        """The mean over seeds; nan where the candidate does not count."""
        return _mean(self.metrics)

    @property
    def cost(self) -> float:
        """The mean over seeds; nan where the candidate does not count."""
        return _mean(self.costs)


def score(trials: Sequence[TrialRecord], objective: Objective) -> list[Score]:
    """One score a candidate, by number."""
    groups: dict[int, list[TrialRecord]] = {}
    for trial in sorted(trials, key=lambda trial: trial.number):
        groups.setdefault(trial.candidate, []).append(trial)
    return [_score(number, groups[number], objective) for number in sorted(groups)]


def trial_cost(trial: TrialRecord, objective: Objective) -> float:
    """What a trial's chain cost in the objective's unit."""
    return trial.macs if objective.cost_name == "macs" else trial.seconds


def best(scores: Sequence[Score], objective: Objective) -> Score | None:
    """The candidate with the best mean metric, of equal ones the cheapest, then the first; None where none counts."""
    sign = -1 if objective.mode == "max" else 1
    counted = [one for one in scores if one.counts]
    return min(counted, key=lambda one: (sign * one.metric, one.cost, one.candidate), default=None)


def cheapest_that_reaches(scores: Sequence[Score], at_least: float) -> Score | None:
    """The cheapest candidate whose mean metric is `at_least` or more, of equal ones the better, then the first."""
    reaching = [one for one in scores if one.counts and one.metric >= at_least]
    return min(reaching, key=lambda one: (one.cost, -one.metric, one.candidate), default=None)


def pareto_front(scores: Sequence[Score], objective: Objective) -> list[Score]:
    """The candidates that no other dominates, by cost, then number.

    One dominates another where it is no worse in both metric and cost and better in one, so that of equal candidates
    all are on the front.
    """
    sign = -1 if objective.mode == "max" else 1
    found: list[Score] = []
    counted = [one for one in scores if one.counts]
    for one in sorted(counted, key=lambda one: (one.cost, sign * one.metric, one.candidate)):
        last = found[-1] if found else None
        equal = last is not None and (last.cost, last.metric) == (one.cost, one.metric)
        if last is None or equal or objective.better(one.metric, last.metric):
            found.append(one)
    return found


def reference_point(scores: Sequence[Score], objective: Objective) -> tuple[float, float] | None:
    """(cost, metric) that hypervolume is measured from; None where no candidate counts.

    The cost is the dearest candidate's. The metric is 0 where more is better and none is negative, a model that knows
    nothing, so that a further bad candidate changes nothing; else the worst one found.
    """
    counted = [one for one in scores if one.counts]
    if not counted:
        return None
    metrics = [one.metric for one in counted]
    worst = max(metrics) if objective.mode == "min" else min(0.0, *metrics)
    return max(one.cost for one in counted), worst


def hypervolume(
    points: Sequence[tuple[float, float]], reference: tuple[float, float], objective: Objective
) -> float:
    """The area that points dominate up to a reference point, in the unit of cost times that of the metric.

    Zitzler and Thiele (1998), for two objectives: a sum of rectangles over the front in the order of cost.

    Args:
        points: (cost, metric) pairs; those that are not better than the reference in both add nothing.
        reference: (cost, metric).
        objective: says whether more of the metric is better.
    """
    sign = 1 if objective.mode == "max" else -1
    dearest, level = reference[0], sign * reference[1]
    area = 0.0
    for cost, metric in sorted(points, key=lambda point: (point[0], -sign * point[1])):
        height = sign * metric - level
        if cost < dearest and height > 0:
            area += (dearest - cost) * height
            level += height
    return area


def _score(number: int, trials: Sequence[TrialRecord], objective: Objective) -> Score:
    first = trials[0]
    missing = _missing(trials, objective.metric)
    metrics = () if missing else tuple(trial.metrics[objective.metric] for trial in trials)
    costs = () if missing else tuple(trial_cost(trial, objective) for trial in trials)
    return Score(number, first.chain, first.values, tuple(trials), metrics, costs, missing)


def _missing(trials: Sequence[TrialRecord], metric: str) -> str:
    states = Counter(trial.state for trial in trials)
    total = len(trials)
    reasons = [
        _of(states[state], total, "not begun" if state == "pending" else state)
        for state in STATES
        if state != "done" and states[state]
    ]
    blind = sum(
        trial.state == "done" and not math.isfinite(trial.metrics.get(metric, math.nan)) for trial in trials
    )
    if blind:
        reasons.append(_of(blind, total, f"without a finite {metric}"))
    return ", ".join(reasons)


def _of(count: int, total: int, what: str) -> str:
    return what if total == 1 else f"{count} of {total} {what}"


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan
