"""A scheduler's wish is carried out by the trials themselves: none is broken off, each is asked once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from ray_compt.config.sweep_keys import PruneConfig
from ray_compt.sweep.running.pruning import GracefulPruning, make_scheduler
from ray_compt.sweep.running.trial import COST, SCORE

ASHA = PruneConfig(scheduler="asha", reduction=2)
# Two chains: stages that end at 1 and 4, and at 2 and 9.
COSTS = ((1.0, 4.0), (2.0, 9.0))


@dataclass(frozen=True)
class Trial:
    """What a scheduler sees of one of Ray Tune's trials."""

    trial_id: str
    config: dict[str, Any]


def trial(candidate: int) -> Trial:
    return Trial(f"trial-{candidate}", {"job": SimpleNamespace(candidate=candidate)})


def report(cost: float, score: float) -> dict[str, float]:
    return {COST: cost, SCORE: score}


@pytest.fixture
def pruned() -> list[int]:
    return []


Run = Callable[[TrialScheduler, Sequence[tuple[int, float, float]]], list[str]]


@pytest.fixture
def run() -> Run:
    """Let candidates report (candidate, cost, score), and say what was decided."""

    def reports(scheduler: TrialScheduler, found: Sequence[tuple[int, float, float]]) -> list[str]:
        trials = {candidate: trial(candidate) for candidate, _, _ in found}
        for one in trials.values():
            scheduler.on_trial_add(None, one)
        return [scheduler.on_trial_result(None, trials[number], report(*rest)) for number, *rest in found]

    return reports


def test_nobody_is_stopped_and_each_is_asked_once(run: Run, pruned: list[int]) -> None:
    scheduler = make_scheduler(ASHA, "max", COSTS, pruned.append)
    decisions = run(scheduler, [(0, 1, 0.9), (1, 1, 0.8), (2, 1, 0.1), (2, 4, 0.1), (2, 9, 0.1), (0, 4, 0.9)])
    assert set(decisions) == {TrialScheduler.CONTINUE}
    assert pruned == [1, 2]


@pytest.mark.parametrize("mode, worse", [("max", 1), ("min", 0)])
def test_the_mode_is_the_metrics(run: Run, pruned: list[int], mode: str, worse: int) -> None:
    first, second = (0.9, 0.1) if worse == 1 else (0.1, 0.9)
    run(make_scheduler(ASHA, mode, COSTS, pruned.append), [(0, 1, first), (1, 1, second)])
    assert pruned == [1]


def test_within_a_stage_the_loss_counts_whatever_the_mode(run: Run, pruned: list[int]) -> None:
    config = PruneConfig(scheduler="asha", reduction=2, within_stage=True)
    scheduler = make_scheduler(config, "max", COSTS, pruned.append)
    run(scheduler, [(0, 0.05, 9.0), (1, 0.05, 1.0), (0, 0.1, 2.0), (1, 0.1, 3.0)])
    assert pruned == [1], "the first rung lies at a tenth of the cheapest first stage"


def test_the_first_rung_lies_at_the_cheapest_first_stage(run: Run, pruned: list[int]) -> None:
    run(make_scheduler(ASHA, "max", COSTS, pruned.append), [(0, 0.99, 0.9), (1, 0.99, 0.1)])
    assert pruned == []


def test_a_rung_compares_equal_costs(run: Run, pruned: list[int]) -> None:
    # The rungs are 1, 2, 4 and 8: what costs more is compared further up, with nobody yet.
    run(make_scheduler(ASHA, "max", COSTS, pruned.append), [(0, 1, 0.9), (1, 2, 0.1), (2, 9, 0.1)])
    assert pruned == []
    run(make_scheduler(ASHA, "max", COSTS, pruned.append), [(0, 8, 0.9), (1, 9, 0.1)])
    assert pruned == [1]


def test_chains_of_one_cost_have_one_rung(run: Run, pruned: list[int]) -> None:
    run(make_scheduler(ASHA, "max", [(5.0,)], pruned.append), [(0, 5, 0.9), (1, 5, 0.1)])
    assert pruned == [1]


def test_what_reports_nothing_is_never_pruned(pruned: list[int]) -> None:
    scheduler = make_scheduler(ASHA, "max", COSTS, pruned.append)
    one = trial(0)
    scheduler.on_trial_add(None, one)
    assert scheduler.on_trial_result(None, one, {"done": True}) == TrialScheduler.CONTINUE
    scheduler.on_trial_complete(None, one, {})
    scheduler.on_trial_error(None, one)
    assert pruned == []


def test_trials_are_held_against_those_of_earlier_starts(run: Run, pruned: list[int]) -> None:
    history = [[report(1, 0.9), report(4, 0.95)], [report(1, 0.8)]]
    scheduler = make_scheduler(ASHA, "max", COSTS, pruned.append, history)
    assert pruned == [], "nobody is asked of those that have ended"
    run(scheduler, [(5, 1, 0.5), (6, 1, 0.99), (6, 4, 0.9)])
    assert pruned == [5, 6]


@pytest.mark.parametrize("name", ["asha", "hyperband"])
def test_both_schedulers_take_any_costs(run: Run, pruned: list[int], name: str) -> None:
    config = PruneConfig.model_validate({"scheduler": name})
    for costs in ([(1e-6,)], [(0.5, 1e9)], COSTS):
        scheduler = make_scheduler(config, "max", costs, pruned.append)
        assert isinstance(scheduler, GracefulPruning)
        assert scheduler.debug_string()
        run(scheduler, [(number, costs[0][0], 0.5) for number in range(4)])
        scheduler.on_trial_remove(None, trial(0))


def test_without_pruning_ray_tunes_plain_scheduler_runs(pruned: list[int]) -> None:
    assert type(make_scheduler(PruneConfig(), "max", COSTS, pruned.append)) is FIFOScheduler
