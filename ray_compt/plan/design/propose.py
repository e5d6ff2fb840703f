"""The best chains that nobody has trained yet: every composition of some sizes, each with its best split of epochs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ray_compt.errors import UserError
from ray_compt.plan.design.curves import Array
from ray_compt.plan.design.fit import Fit
from ray_compt.plan.design.observations import Measured, Observation, Path, Stage
from ray_compt.plan.design.predict import Prediction, epoch_macs, predict
from ray_compt.plan.design.rules import Check, check_rules
from ray_compt.plan.design.split import Composition, best_split, cheapest_split
from ray_compt.plan.table import format_count

# A proposal takes between half the fewest and twice the most epochs that were measured in its place.
STRETCH = 2.0
# Where no stage was measured: the fewest epochs of one, as a share of those of models alone.
SHORTEST_STAGE = 1 / 16


@dataclass(frozen=True)
class Proposal:
    """A chain worth training.

    Attributes:
        prediction: its stages, metric and cost.
        checks: the paper's rules.
        beyond: stages with fewer or more epochs than any that were measured in their place.
    """

    prediction: Prediction
    checks: tuple[Check, ...]
    beyond: Path


def propose_for_budget(
    fit: Fit, measured: Measured, sizes: Sequence[str], *, end: str, budget: float, best: int
) -> list[Proposal]:
    """Chains of the highest expected metric for at most `budget` MACs, one a composition, best first.

    Args:
        sizes: names that a chain may be made of.
        end: the last size of each.
        best: at most how many.

    Raises:
        UserError: the cheapest chain costs more.
    """
    found = []
    cheapest = math.inf
    for names in compositions(measured, sizes, end):
        composition = compose(fit, measured, names)
        cheapest = min(cheapest, composition.cheapest)
        split = best_split(composition, budget)
        if split is not None:
            path = _rounded(names, composition, split, math.floor, budget)
            found.append(_propose(fit, measured, path))
    if not found:
        raise UserError(
            f"{format_count(budget)} MACs are less than the cheapest chain that ends with {end} takes, "
            f"{format_count(cheapest)}",
            where="--budget",
            mend="raise it, give smaller sizes, or measure shorter trainings: "
            "a proposal takes at least half the fewest epochs that were measured",
        )
    return sorted(found, key=lambda one: -one.prediction.metric)[:best]


def propose_for_target(
    fit: Fit, measured: Measured, sizes: Sequence[str], *, end: str, target: float, best: int
) -> list[Proposal]:
    """The cheapest chains that are expected to reach a metric, one a composition, cheapest first.

    Raises:
        UserError: none does.
    """
    found: list[Proposal] = []
    for names in compositions(measured, sizes, end):
        composition = compose(fit, measured, names)
        # Rounding up makes a split dearer: one that cannot be among the best need not be found exactly.
        bound = found[best - 1].prediction.macs if len(found) >= best else math.inf
        split = cheapest_split(composition, target, bound)
        if split is not None:
            path = _rounded(names, composition, split, math.ceil)
            found.append(_propose(fit, measured, path))
            found.sort(key=lambda one: one.prediction.macs)
    if not found:
        raise UserError(
            f"no chain that ends with {end} is expected to reach {target:g}; "
            f"the best reaches {_most(fit, measured, sizes, end):.3g}",
            where="--target",
            mend="lower it, give larger sizes, or measure longer trainings: "
            "a proposal takes at most twice the most epochs that were measured",
        )
    return found[:best]


def compositions(measured: Measured, sizes: Sequence[str], end: str) -> Iterator[tuple[str, ...]]:
    """All ascending chains of the sizes that end with `end`, shortest first."""
    smaller = [
        name for name in measured.forward if name in sizes and measured.forward[name] < measured.forward[end]
    ]
    for count in range(len(smaller) + 1):
        for chosen in combinations(smaller, count):
            yield (*chosen, end)


def compose(fit: Fit, measured: Measured, names: Sequence[str]) -> Composition:
    """A composition with the bounds of its epochs."""
    ranges = np.array([_first_range(measured, names[0]), *[_stage_range(measured)] * (len(names) - 1)])
    return Composition(
        curves=fit.curves,
        sizes=tuple(map(fit.index, names)),
        macs=epoch_macs(measured, names),
        fewest=ranges[:, 0] / STRETCH,
        most=ranges[:, 1] * STRETCH,
    )


def _first_range(measured: Measured, size: str) -> tuple[float, float]:
    """Fewest and most measured epochs of a size alone, else of all."""
    own = [one for one in measured.alone if one.path[-1].size == size]
    return _range(own or measured.alone or measured.observations)


def _stage_range(measured: Measured) -> tuple[float, float]:
    if measured.stages:
        return _range(measured.stages)
    fewest, most = _range(measured.alone)
    return fewest * SHORTEST_STAGE, most


def _range(observations: Sequence[Observation]) -> tuple[float, float]:
    epochs = [one.path[-1].epochs for one in observations]
    return min(epochs), max(epochs)


def _rounded(
    names: Sequence[str],
    composition: Composition,
    split: Array,
    towards: Callable[[float], int],
    budget: float = math.inf,
) -> Path:
    """Epochs that people would write: whole ones from 10, tenths below; within the budget where rounded down."""
    later = [_round(float(epochs), towards) for epochs in split[1:]]
    left = (budget - float(composition.macs[1:] @ np.array(later))) / float(composition.macs[0])
    first = min(left, float(composition.most[0])) if math.isfinite(budget) else float(split[0])
    return tuple(Stage(name, epochs) for name, epochs in zip(names, [_round(first, towards), *later]))


def _round(epochs: float, towards: Callable[[float], int]) -> float:
    # A little slack: 20 must not become 19 because it came out as 19.999999999.
    nearest = round(epochs)
    if nearest >= 10 and abs(epochs - nearest) < 1e-6 * nearest:
        return float(nearest)
    return float(towards(epochs)) if epochs >= 10 else max(0.1, towards(epochs * 10) / 10)


def _propose(fit: Fit, measured: Measured, path: Path) -> Proposal:
    bounds = [_first_range(measured, path[0].size), *[_stage_range(measured)] * (len(path) - 1)]
    beyond = tuple(stage for stage, (low, high) in zip(path, bounds) if not low <= stage.epochs <= high)
    return Proposal(predict(fit, measured, path), check_rules(fit, measured, path), beyond)


def _most(fit: Fit, measured: Measured, sizes: Sequence[str], end: str) -> float:
    """The highest metric that any composition is expected to reach."""
    every = [compose(fit, measured, names) for names in compositions(measured, sizes, end)]
    return max(composition.expect(composition.most) for composition in every)
