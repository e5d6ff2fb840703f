"""What a sampler is told of a candidate that has ended. Pure."""

from __future__ import annotations

from ray_compt.sweep.objective import Objective
from ray_compt.sweep.scores import Score

# Above any cost: candidates that do not reach `at_least` come after all that do, the nearest first.
NOT_REACHED = 1e30


def directions(objective: Objective) -> list[str]:
    """Optuna's direction of each value of `values`."""
    if objective.at_least is not None:
        return ["minimize"]
    first = "maximize" if objective.mode == "max" else "minimize"
    return [first, "minimize"] if objective.cost else [first]


def values(score: Score, objective: Objective) -> list[float] | None:
    """Of a candidate the metric, and the cost where it counts too; None where it has none.

    Where the cheapest that reaches a metric is sought, one number: the cost, or how far it is from the metric.
    """
    if not score.counts:
        return None
    if objective.at_least is not None:
        short = objective.at_least - score.metric
        # One part in a thousand of the metric is a unit of this scale.
        return [NOT_REACHED * (1 + 1000 * short) if short > 0 else score.cost]
    return [score.metric, score.cost] if objective.cost else [score.metric]
