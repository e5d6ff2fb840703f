"""From raw results to the figures by which a chain is judged: cost at equal accuracy, seeds as repetitions.

Accuracy is `results.score`, the mean of both ways of R@1. What a model costs alone at some accuracy is read off its
own frontier: between two budgets the accuracy is taken as linear in the logarithm of the cost, and a budget that did
worse than a smaller one counts as that one's accuracy. Outside the budgets that were trained the nearest one's cost is
a bound, not a figure, and says so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t

from benchmarks.acceleration.cell import Cell
from benchmarks.acceleration.grid import BUDGETS, alone
from benchmarks.acceleration.results import Results, score


@dataclass(frozen=True)
class Spread:
    """Repetitions of a figure.

    Attributes:
        mean: of all.
        half: half of the 95 % interval of the mean by Student's t; nan with one repetition.
        count: how many.
    """

    mean: float
    half: float
    count: int


@dataclass(frozen=True)
class Cost:
    """MACs; `sign` is ">" or "<" where they are only a bound."""

    macs: float
    sign: str = ""


@dataclass(frozen=True)
class Payoff:
    """A chain against the same models, each alone at the accuracy that it reached in the chain.

    Attributes:
        chain: MACs of all its stages, teachers included.
        family: MACs of all models alone.
        largest: MACs of the last model alone.
        accuracies: of the stages, first to last.
        sign: ">" or "<" where `family` and `largest` are bounds.
    """

    chain: float
    family: float
    largest: float
    accuracies: tuple[float, ...]
    sign: str

    @property
    def acceleration(self) -> float:
        """Of the whole family."""
        return self.family / self.chain

    @property
    def share(self) -> float:
        """The whole chain's cost in units of its last model's alone."""
        return self.chain / self.largest


def spread(values: Sequence[float]) -> Spread:
    count = len(values)
    if count == 1:
        return Spread(values[0], math.nan, 1)
    half = t.ppf(0.975, count - 1) * np.std(values, ddof=1) / math.sqrt(count)
    return Spread(float(np.mean(values)), float(half), count)


def accuracy(results: Results, cell: Cell) -> float:
    return score(results[cell]["metrics"])


def seeds(results: Results, cell: Cell) -> list[int]:
    """Seeds with which a training has been done."""
    return [seed for seed in range(100) if cell.with_seed(seed) in results]


def repeated(results: Results, cell: Cell) -> Spread:
    """A training's accuracy over its seeds.

    Raises:
        KeyError: there is none.
    """
    found = [accuracy(results, cell.with_seed(seed)) for seed in seeds(results, cell)]
    if not found:
        raise KeyError(cell.path)
    return spread(found)


def difference(results: Results, cell: Cell, other: Cell) -> Spread:
    """How much better a training is than another, seed by seed.

    Raises:
        KeyError: no seed has both.
    """
    both = [seed for seed in seeds(results, cell) if other.with_seed(seed) in results]
    if not both:
        raise KeyError(cell.path)
    pairs = [(cell.with_seed(seed), other.with_seed(seed)) for seed in both]
    return spread([accuracy(results, one) - accuracy(results, two) for one, two in pairs])


def frontier(results: Results, size: str, seed: int) -> list[tuple[float, float]]:
    """(MACs, accuracy) of a size alone, cheapest first, for the budgets that were trained with a seed."""
    cells = [alone(results, size, epochs, seed) for epochs in BUDGETS[size]]
    return [(results[cell]["macs"], accuracy(results, cell)) for cell in cells if cell in results]


def cost_at(points: Sequence[tuple[float, float]], wanted: float) -> Cost:
    """What reaching an accuracy costs on a frontier of (MACs, accuracy), cheapest first.

    Raises:
        ValueError: no points.
    """
    if not points:
        raise ValueError("an empty frontier")
    macs, accuracies = map(np.array, zip(*points))
    best = np.maximum.accumulate(accuracies)
    if wanted > best[-1]:
        return Cost(float(macs[-1]), ">")
    above = int(np.argmax(best >= wanted))
    if above == 0:
        return Cost(float(macs[0]), "" if wanted == best[0] else "<")
    part = (wanted - best[above - 1]) / (best[above] - best[above - 1])
    low, high = np.log(macs[above - 1 : above + 1])
    return Cost(float(np.exp(low + part * (high - low))))


def payoffs(results: Results, last: Cell) -> list[Payoff]:
    """One a seed with which both the chain and its models alone have been trained; the others are left out."""
    chains = [last.with_seed(seed) for seed in seeds(results, last)]
    return [
        payoff(results, chain)
        for chain in chains
        if all(frontier(results, cell.size, cell.seed) for cell in chain.lineage())
    ]


def payoff(results: Results, last: Cell) -> Payoff:
    """The chain that ends with a cell.

    Raises:
        KeyError: one of its trainings is missing.
        ValueError: a size has no frontier with the chain's seed.
    """
    cells = list(last.lineage())
    accuracies = tuple(accuracy(results, cell) for cell in cells)
    # The first model is trained alone in either case.
    costs = [Cost(results[cells[0]]["macs"])] + [
        cost_at(frontier(results, cell.size, last.seed), reached)
        for cell, reached in list(zip(cells, accuracies))[1:]
    ]
    signs = {cost.sign for cost in costs} - {""}
    return Payoff(
        chain=sum(results[cell]["macs"] for cell in cells),
        family=sum(cost.macs for cost in costs),
        largest=costs[-1].macs,
        accuracies=accuracies,
        sign=signs.pop() if len(signs) == 1 else "?" if signs else "",
    )
