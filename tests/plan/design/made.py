"""A family whose curves are known, and what would be measured of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ray_compt.plan.design import Fit, Measured, Observation, Stage
from ray_compt.plan.design.curves import Curves
from ray_compt.plan.design.predict import expect

SIZES = {"S": 1e6, "M": 3e6, "L": 1e7}
BUDGETS = (40, 80, 160)
SAMPLES = 1000.0


def truth(*, kept: float = 0.85, worth: float = 1.5) -> Fit:
    """One draw, without noise: larger sizes learn faster and reach more."""
    curves = Curves(
        asymptote=np.array([[0.60, 0.72, 0.80]]),
        level=np.array([[0.48, 0.57, 0.62]]),
        exponent=np.array([[0.60, 0.50, 0.45]]),
        kept=np.array([kept]),
        worth=np.array([worth]),
        unit=80.0,
        longest=640.0,
    )
    return Fit(tuple(SIZES), curves, noise=np.zeros(1), stage_noise=np.zeros(1))


def path(*stages: tuple[str, float]) -> tuple[Stage, ...]:
    return tuple(Stage(size, epochs) for size, epochs in stages)


def true_metric(fit: Fit, chain: Sequence[Stage]) -> float:
    sizes = [fit.index(stage.size) for stage in chain]
    return float(expect(fit.curves, sizes, np.array([[stage.epochs for stage in chain]]))[0])


def measured(
    fit: Fit,
    *,
    noise: float = 0.0,
    seed: int = 0,
    budgets: Sequence[float] = BUDGETS,
    chains: Sequence[tuple[Stage, ...]] = (),
) -> Measured:
    """Every size alone at some budgets, and the last stage of some chains of two."""
    random = np.random.default_rng(seed)
    alone = [path((size, epochs)) for size in SIZES for epochs in budgets]
    observations = [Observation(one, true_metric(fit, one) + noise * random.normal()) for one in alone]
    for chain in chains:
        before = true_metric(fit, chain[:-1]) + noise * random.normal()
        reached = fit.curves.stage(fit.index(chain[-1].size), np.array([before]), chain[-1].epochs)[0, 0]
        observations.append(Observation(chain, float(reached) + noise * random.normal(), before))
    return Measured("r1", SIZES, SAMPLES, 1.0, tuple(observations))
