"""What a chain that nobody has trained would reach and cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ray_compt.plan.cost import FORWARDS_PER_TRAINED_SAMPLE
from ray_compt.plan.design.curves import Array, Curves
from ray_compt.plan.design.fit import Fit
from ray_compt.plan.design.observations import Measured, Path

# Probability of the printed intervals.
INTERVAL = 0.9


@dataclass(frozen=True)
class Prediction:
    """A chain before it is trained.

    Attributes:
        path: its stages.
        metric: expected at its end.
        low, high: bounds of one training's metric with probability `INTERVAL`, half of the rest on either side.
        macs: of all training, teachers included.
    """

    path: Path
    metric: float
    low: float
    high: float
    macs: float


def predict(fit: Fit, measured: Measured, path: Path, *, seed: int = 0) -> Prediction:
    """Metric and cost of a chain of measured sizes.

    Raises:
        ValueError: a size that was not measured.
    """
    drawn = draw(fit, path, seed=seed)
    low, high = np.quantile(drawn, [(1 - INTERVAL) / 2, (1 + INTERVAL) / 2])
    columns = tuple(fit.index(stage.size) for stage in path)
    expected = expect(fit.curves, columns, np.array([[stage.epochs for stage in path]]))
    return Prediction(path, float(expected[0]), float(low), float(high), chain_macs(measured, path))


def draw(fit: Fit, path: Path, *, seed: int = 0) -> Array:
    """Metrics [D] of single trainings of a chain: each draw has its own parameters and its own noise."""
    random = np.random.default_rng(seed)
    noises = [fit.noise, *[fit.stage_noise] * (len(path) - 1)]
    metric = np.zeros((fit.curves.draws, 1))
    for number, (stage, noise) in enumerate(zip(path, noises)):
        size = fit.index(stage.size)
        reached = (
            fit.curves.stage(size, metric, stage.epochs) if number else fit.curves.alone(size, stage.epochs)
        )
        metric = np.clip(reached + noise[:, None] * random.standard_normal((fit.curves.draws, 1)), 0, 1)
    return metric[:, 0]


def expect(curves: Curves, sizes: Sequence[int], epochs: NDArray[np.float64]) -> Array:
    """Metrics [n] without noise, mean over the draws, of a composition with n splits of epochs [n, stages]."""
    metric = np.clip(curves.alone(sizes[0], epochs[:, 0]), 0, 1)
    for number, size in enumerate(sizes[1:], start=1):
        metric = np.clip(curves.stage(size, metric, epochs[:, number]), 0, 1)
    return np.asarray(metric.mean(axis=0))


def epoch_macs(measured: Measured, sizes: Sequence[str]) -> Array:
    """MACs of one pass of each stage of a composition, its predecessor's forward passes as teacher included."""
    forward = [measured.forward[size] for size in sizes]
    teachers = [0.0, *forward[:-1]]
    a_sample = [
        FORWARDS_PER_TRAINED_SAMPLE * own + measured.taught * teacher
        for own, teacher in zip(forward, teachers)
    ]
    return measured.samples * np.array(a_sample)


def chain_macs(measured: Measured, path: Path) -> float:
    """MACs of training a chain; whole optimizer steps are not rounded to."""
    per_epoch = epoch_macs(measured, [stage.size for stage in path])
    return float(per_epoch @ np.array([stage.epochs for stage in path]))


def steps_up(measured: Measured, sizes: Sequence[str]) -> list[float]:
    """Ratios of the forward MACs of neighbours."""
    return [measured.forward[large] / measured.forward[small] for small, large in pairwise(sizes)]
