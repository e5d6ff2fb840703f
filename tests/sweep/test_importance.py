"""Importance finds the key that matters, and keeps quiet where it cannot know."""

from __future__ import annotations

import random

import optuna
import pytest

from ray_compt.sweep.importance import importance, parameters
from ray_compt.sweep.objective import Objective
from ray_compt.sweep.record import TrialRecord
from ray_compt.sweep.scores import Score, score
from tests.sweep.records import METRIC, trial

GROWTHS = ("lossless", "embed", "random")


def drawn(number: int, effect: str) -> list[Score]:
    """Candidates whose metric is decided by one of four keys."""
    draw = random.Random(0)
    trials: list[TrialRecord] = []
    for one in range(number):
        lr, growth = 10 ** draw.uniform(-4, -2), draw.choice(GROWTHS)
        chain, epochs = draw.choice([("S",), ("T", "S")]), draw.randint(1, 40)
        by = {
            "lr": lr * 50,
            "growth": 0.2 * GROWTHS.index(growth),
            "chain": 0.3 * len(chain),
            "epochs": epochs / 80,
        }
        metric = by[effect] + draw.uniform(0, 0.01)
        values = {"lr": lr, "growth": growth, "epochs": epochs}
        trials.append(trial(one, metric, chain=chain, values=values))
    return score(trials, Objective(METRIC))


@pytest.mark.parametrize("effect", ["lr", "growth", "chain", "epochs"])
def test_the_key_that_decides_is_the_most_important(effect: str) -> None:
    found = importance(drawn(40, effect))
    assert next(iter(found.shares)) == effect
    assert set(found.shares) == {"lr", "growth", "chain", "epochs"}
    assert found.shares[effect] > 0.6 and sum(found.shares.values()) == pytest.approx(1)
    assert list(found.shares.values()) == sorted(found.shares.values(), reverse=True)
    assert found.words == "From 40 candidates."


def test_it_says_the_same_each_time_and_leaves_optunas_log_as_it_was() -> None:
    before = optuna.logging.get_verbosity()
    scores = drawn(20, "lr")
    assert importance(scores) == importance(scores)
    assert optuna.logging.get_verbosity() == before


def test_too_few_candidates_are_said_in_words() -> None:
    found = importance(drawn(7, "lr"))
    assert not found.shares
    assert found.words == "Too few to say: 7 candidates with all trials done, 8 are needed."


def test_where_nothing_differs_nothing_mattered() -> None:
    scores = score([trial(n, n / 10, values={"lr": 0.1}) for n in range(10)], Objective(METRIC))
    assert importance(scores).words == "Nothing differs between the candidates that count."
    assert importance([]).words == "Nothing differs between the candidates that count."


def test_where_the_metric_is_always_the_same_nothing_mattered() -> None:
    scores = score([trial(n, values={"lr": n % 3}) for n in range(10)], Objective(METRIC))
    assert importance(scores).words == "The metric is the same for all candidates."


def test_axes_choices_and_keys_that_not_all_have() -> None:
    def given(number: int) -> dict[str, object]:
        values: dict[str, object] = {"lr": 10.0**-number, "depth": 10 + number, "flag": number % 2 == 0}
        return values if number else {**values, "stages.S.epochs": 3}

    found = parameters(score([trial(n, values=given(n)) for n in range(6)], Objective(METRIC)))
    assert set(found) == {"lr", "depth", "flag"}
    assert found["lr"] == pytest.approx([0, -1, -2, -3, -4, -5])
    assert found["depth"] == [10, 11, 12, 13, 14, 15] and found["flag"] == ["true", "false"] * 3
