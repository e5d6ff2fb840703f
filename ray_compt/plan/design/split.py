"""How one composition spends its epochs best: a logarithmic grid, then a pattern search in ever smaller steps.

Cost is linear in epochs and more epochs never reach less, so the first stage takes what the others leave of the budget.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from ray_compt.plan.design.curves import Array, Curves
from ray_compt.plan.design.predict import expect

# Splits of the grid, about; draws that a search averages over; the smallest step, in logarithms of epochs.
GRID = 600
SEARCH_DRAWS = 64
FINEST = 0.01


@dataclass(frozen=True)
class Composition:
    """Sizes in their order, and what is known of them.

    Attributes:
        curves: of the family.
        sizes: columns of the curves, first stage to last.
        macs: of one pass of each stage.
        fewest, most: epochs of each stage.
    """

    curves: Curves
    sizes: tuple[int, ...]
    macs: Array
    fewest: Array
    most: Array

    @property
    def cheapest(self) -> float:
        """MACs of the fewest epochs."""
        return float(self.macs @ self.fewest)

    @property
    def dearest(self) -> float:
        """MACs of the most epochs."""
        return float(self.macs @ self.most)

    def compare(self, epochs: Array) -> Array:
        """Expected metric [n] of splits [n, stages] over some of the draws: enough to tell which is best."""
        return expect(self.curves.first(SEARCH_DRAWS), self.sizes, epochs)

    def expect(self, epochs: Array) -> float:
        """Expected metric of one split [stages]."""
        return float(expect(self.curves, self.sizes, epochs[None])[0])


def best_split(composition: Composition, budget: float) -> Array | None:
    """Epochs [stages] that reach most for at most `budget` MACs; None where the fewest epochs cost more."""
    if composition.cheapest > budget * (1 + 1e-9):
        return None
    later, spacing = _grid(composition)
    best, reached = _best(composition, later, budget)
    step = spacing / 2
    while step > FINEST and len(best) > 1:
        moved = np.clip(
            best[1:] * np.exp(step * _moves(len(best) - 1)), composition.fewest[1:], composition.most[1:]
        )
        found, metric = _best(composition, moved, budget)
        if metric > reached + 1e-9:
            best, reached = found, metric
        else:
            step /= 2
    return best


def cheapest_split(composition: Composition, target: float, most: float) -> Array | None:
    """Epochs [stages] of the least MACs, at most `most`, that are expected to reach a metric; None where none do."""
    low, high = composition.cheapest, min(most, composition.dearest)
    found = best_split(composition, high)
    if found is None or composition.expect(found) < target:
        return None
    while high / low > 1 + FINEST:
        middle = float(np.sqrt(low * high))
        split = best_split(composition, middle)
        if split is not None and composition.expect(split) >= target:
            high, found = middle, split
        else:
            low = middle
    return found


def _grid(composition: Composition) -> tuple[Array, float]:
    """Epochs [n, stages - 1] of all stages but the first, and the widest spacing, in logarithms."""
    ranges = list(zip(composition.fewest[1:], composition.most[1:]))
    if not ranges:
        return np.empty((1, 0)), 0.0
    count = max(3, round(GRID ** (1 / len(ranges))))
    axes = [np.geomspace(low, high, count) for low, high in ranges]
    spacing = max(float(np.log(high / low)) for low, high in ranges) / (count - 1)
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(ranges)), spacing


def _best(composition: Composition, later: Array, budget: float) -> tuple[Array, float]:
    """The best of splits of the later stages that leave enough for the first; the fewest epochs always do."""
    later = np.vstack([composition.fewest[None, 1:], later])
    left = (budget - later @ composition.macs[1:]) / composition.macs[0]
    affordable = left >= composition.fewest[0] * (1 - 1e-9)
    first = np.minimum(left, composition.most[0])
    splits = np.column_stack([first, later])[affordable]
    metrics = composition.compare(splits)
    best = int(np.argmax(metrics))
    return splits[best], float(metrics[best])


def _moves(stages: int) -> Array:
    """Directions [m, stages]: each stage up or down, each pair against one another."""
    single = np.eye(stages)
    pairs: Sequence[Array] = [single[one] - single[other] for one, other in permutations(range(stages), 2)]
    return np.vstack([single, -single, *pairs])
