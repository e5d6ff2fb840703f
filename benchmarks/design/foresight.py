"""Predictions of chains that the fit has not seen, held against what they reached and against simpler guesses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from benchmarks.acceleration.results import Results
from benchmarks.design.data import Training, as_measured, read_trainings
from ray_compt.plan.design import (
    Check,
    Fit,
    Measured,
    Prediction,
    Stage,
    check_rules,
    fit,
    format_path,
    predict,
)

# The only chains whose outcomes are fitted; everything else is unseen.
SEEN = ("S 80 -> M 10", "S 160 -> M 20")
# Two chains' order is asked for where their outcomes differ by more: less is what a seed does.
CLEAR = 0.01


@dataclass(frozen=True)
class Case:
    """An unseen chain.

    Attributes:
        path: its stages.
        outcomes: metrics of its seeds, in [0, 1].
        macs: measured, of all its stages.
        guess: from the models alone and the chains of `SEEN`.
        blind: from the models alone.
        rules: the paper's.
        guesses: metrics by the name of a simpler guess.
    """

    path: tuple[Stage, ...]
    outcomes: tuple[float, ...]
    macs: float
    guess: Prediction
    blind: Prediction
    rules: tuple[Check, ...]
    guesses: dict[str, float]

    @property
    def outcome(self) -> float:
        return float(np.mean(self.outcomes))

    @property
    def rules_kept(self) -> int:
        return sum(check.kept for check in self.rules)


def foresee(results: Results) -> list[Case]:
    """Every unseen chain whose sizes were trained alone, cheapest first."""
    trainings = read_trainings(results)
    alone = [one for one in trainings if one.before is None]
    seen = [one for one in trainings if format_path(one.path) in SEEN]
    if not alone:
        return []
    known, blind = (as_measured(results, chosen) for chosen in ([*alone, *seen], alone))
    fitted, fitted_blind = fit(known), fit(blind)
    sizes = {one.path[-1].size for one in alone}
    chains: dict[tuple[Stage, ...], list[Training]] = {}
    for one in trainings:
        if one.before is not None and one not in seen and sizes.issuperset(stage.size for stage in one.path):
            chains.setdefault(one.path, []).append(one)
    cases = [
        Case(
            path=path,
            outcomes=tuple(one.metric for one in found),
            macs=found[0].macs,
            guess=predict(fitted, known, path),
            blind=predict(fitted_blind, blind, path),
            rules=check_rules(fitted, known, path),
            guesses=_simpler(fitted_blind, blind, alone, path, found[0].macs),
        )
        for path, found in chains.items()
    ]
    return sorted(cases, key=lambda case: case.macs)


def mean_error(cases: Sequence[Case], guess: Callable[[Case], float]) -> float:
    """Mean absolute difference between a guess and the outcomes."""
    return float(np.mean([abs(guess(case) - case.outcome) for case in cases]))


def covered(cases: Sequence[Case]) -> tuple[int, int]:
    """How many single trainings lie within their interval, and how many there are."""
    inside = [case.guess.low <= one <= case.guess.high for case in cases for one in case.outcomes]
    return sum(inside), len(inside)


def ordered(cases: Sequence[Case], by: Callable[[Case], float]) -> tuple[int, int, int]:
    """Pairs of chains to the same size that a figure puts in the right order, in none, and all such pairs."""
    right = undecided = count = 0
    for one, other in combinations(cases, 2):
        gap = one.outcome - other.outcome
        if one.path[-1].size != other.path[-1].size or abs(gap) <= CLEAR:
            continue
        count += 1
        told = by(one) - by(other)
        right += told * gap > 0
        undecided += told == 0
    return right, undecided, count


def _simpler(
    fitted: Fit, measured: Measured, alone: Sequence[Training], path: tuple[Stage, ...], macs: float
) -> dict[str, float]:
    """What one would expect without a fit of stages."""
    last = path[-1].size
    own = [one for one in alone if one.path[-1].size == last]
    most = max(one.path[-1].epochs for one in own)
    first = [one.metric for one in alone if one.path == path[:1]]
    an_epoch = own[0].macs / own[0].path[-1].epochs
    guesses = {
        # What the paper's rules promise of a chain that keeps them.
        "the last model alone at its largest budget": np.mean(
            [one.metric for one in own if one.path[-1].epochs == most]
        ),
        "the last model alone for the chain's MACs": predict(
            fitted, measured, (Stage(last, macs / an_epoch),)
        ).metric,
    }
    if first:
        guesses["the first model alone, kept to the end"] = np.mean(first)
    return {name: float(value) for name, value in guesses.items()}
