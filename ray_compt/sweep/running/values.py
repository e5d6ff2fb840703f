"""What a sampler is told of a candidate that has ended. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from ray_compt.sweep.objective import Objective
from ray_compt.sweep.scores import Score

# Above any cost: candidates that do not reach `at_least` come after all that do, the nearest first.
NOT_REACHED = 1e30


@dataclass(frozen=True)
class Outcome:
    """What a candidate came to.

    Attributes:
        values: of `directions`; None where there is nothing to compare.
        pruned: it was ended because others are better.
    """

    values: tuple[float, ...] | None = None
    pruned: bool = False


def directions(objective: Objective) -> list[str]:
    """Optuna's direction of each value of an outcome."""
    if objective.at_least is not None:
        return ["minimize"]
    first = "maximize" if objective.mode == "max" else "minimize"
    return [first, "minimize"] if objective.cost else [first]


def outcome(score: Score, objective: Objective) -> Outcome | None:
    """Of a candidate the metric, and the cost where it counts too; None while it has trials that have not ended.

    Where the cheapest that reaches a metric is sought, one number: the cost, or how far it is from the metric.
    """
    if not all(trial.ended for trial in score.trials):
        return None
    if not score.counts:
        return Outcome(pruned=any(trial.state == "pruned" for trial in score.trials))
    if objective.at_least is not None:
        short = objective.at_least - score.metric
        # One part in a thousand of the metric is a unit of this scale.
        return Outcome((NOT_REACHED * (1 + 1000 * short) if short > 0 else score.cost,))
    return Outcome((score.metric, score.cost) if objective.cost else (score.metric,))
