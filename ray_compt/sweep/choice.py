"""What a sweep's objective chooses, with the words that say why, or why nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ray_compt.plan.table import format_count
from ray_compt.report.card_metadata import metric_value
from ray_compt.sweep.objective import Objective, cost_words
from ray_compt.sweep.scores import Score, best, cheapest_that_reaches, pareto_front


@dataclass(frozen=True)
class Choice:
    """The outcome.

    Attributes:
        winner: None where no candidate does what is sought; of a Pareto front its best metric.
        words: one sentence or two.
        front: the Pareto front of metric against cost, by cost; whatever the objective, it is worth knowing.
    """

    winner: Score | None
    words: str
    front: tuple[Score, ...]


def choose(scores: Sequence[Score], objective: Objective) -> Choice:
    """The winner among candidates that count."""
    front = tuple(pareto_front(scores, objective))
    top = best(scores, objective)
    if top is None:
        return Choice(None, _nothing(scores), front)
    if objective.at_least is not None:
        return _target(scores, objective, objective.at_least, top, front)
    words = f"{describe(top, objective)} has {_extreme(objective)} {objective.metric}"
    if objective.cost is not None:
        others = len(front) - 1
        words += (
            f"; {others} on the Pareto front cost less" if others else "; nothing on the front costs less"
        )
    return Choice(top, f"{words}.", front)


def describe(score: Score, objective: Objective) -> str:
    """A candidate with what it reached and cost, in a few words."""
    reached = metric_value(objective.metric, score.metric)
    seeds = f", mean of {len(score.metrics)} seeds" if len(score.metrics) > 1 else ""
    chain = " → ".join(score.chain)
    return f"candidate {score.candidate} ({chain}: {reached} at {cost_text(score.cost, objective)}{seeds})"


def values_text(values: Mapping[str, Any], names: Mapping[str, str] | None = None) -> str:
    """Values of the space in a few words, their keys as `names` calls them."""
    words = ((key, f"{value:.3g}" if isinstance(value, float) else value) for key, value in values.items())
    return ", ".join(f"{names[key] if names else key}={value}" for key, value in words)


def cost_text(cost: float, objective: Objective) -> str:
    """A cost with its unit."""
    amount = format_count(round(cost)) if objective.cost_name == "macs" else f"{cost:.0f}"
    return f"{amount} {cost_words(objective.cost_name)}"


def _target(
    scores: Sequence[Score], objective: Objective, at_least: float, top: Score, front: tuple[Score, ...]
) -> Choice:
    found = cheapest_that_reaches(scores, at_least)
    goal = f"{objective.metric} {at_least:g}"
    if found is None:
        words = f"no candidate reaches {goal}; the nearest is {describe(top, objective)}."
        return Choice(None, words, front)
    return Choice(found, f"{describe(found, objective)} is the cheapest that reaches {goal}.", front)


def _extreme(objective: Objective) -> str:
    return "the highest" if objective.mode == "max" else "the lowest"


def _nothing(scores: Sequence[Score]) -> str:
    if not scores:
        return "no trial has begun."
    # The commonest reason speaks for the rest.
    reasons = [score.missing for score in scores]
    return f"no candidate has all its trials done ({max(reasons, key=reasons.count)})."
