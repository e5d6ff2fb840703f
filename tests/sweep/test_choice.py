"""The winner, and the words that say why."""

from __future__ import annotations

from ray_compt.sweep.choice import Choice, choose
from ray_compt.sweep.objective import Objective
from ray_compt.sweep.record import TrialRecord
from ray_compt.sweep.scores import score
from tests.sweep.records import METRIC, trial


def chosen(objective: Objective, *trials: TrialRecord) -> tuple[int | None, str]:
    found: Choice = choose(score(trials, objective), objective)
    return found.winner.candidate if found.winner else None, found.words


THREE = (trial(0, 0.4, 100), trial(1, 0.7, 900), trial(2, 0.6, 500))


def test_one_metric() -> None:
    number, words = chosen(Objective(METRIC), *THREE)
    assert number == 1
    assert words == f"candidate 1 (S: 70.00 % at 900 MACs) has the highest {METRIC}."


def test_two_objectives() -> None:
    number, words = chosen(Objective(METRIC, cost="macs"), *THREE)
    assert number == 1 and words.endswith("; 2 on the Pareto front cost less.")


def test_a_target() -> None:
    number, words = chosen(Objective(METRIC, at_least=0.55, minimise="macs"), *THREE)
    assert number == 2 and words.endswith(f"is the cheapest that reaches {METRIC} 0.55.")


def test_a_target_that_none_reaches() -> None:
    number, words = chosen(Objective(METRIC, at_least=0.8, minimise="macs"), *THREE)
    assert number is None
    assert words == f"no candidate reaches {METRIC} 0.8; the nearest is candidate 1 (S: 70.00 % at 900 MACs)."


def test_seeds_are_told() -> None:
    trials = (trial(0, 0.5), trial(1, 0.7, candidate=0, seed=1))
    assert "(S: 60.00 % at 1.00 k MACs, mean of 2 seeds)" in chosen(Objective(METRIC), *trials)[1]


def test_nothing_that_counts() -> None:
    assert chosen(Objective(METRIC)) == (None, "no trial has begun.")
    failed = [trial(number, state="failed") for number in range(2)]
    words = chosen(Objective(METRIC), *failed, trial(2, state="pending"))[1]
    assert words == "no candidate has all its trials done (failed)."
