"""How fast a worker computes: a share of its device's peak, and a time that each step takes whatever its size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Rate:
    """What is reached of a device.

    Attributes:
        share: of its peak.
        overhead_s: seconds of every step besides.
        source: where that comes from, for people.
    """

    share: float
    overhead_s: float = 0.0
    source: str = "assumed"

    def seconds(self, ideal_s: float) -> float:
        """A step's time from the time that it would take at the peak."""
        return self.overhead_s + ideal_s / self.share


@dataclass(frozen=True)
class MeasuredStep:
    """A step of a finished stage.

    Attributes:
        ideal_s: its FLOPs on one worker over the peak of what the worker has.
        busy_s: measured seconds, without the exchange between workers.
    """

    ideal_s: float
    busy_s: float


def fit_rate(steps: Sequence[MeasuredStep], source: str) -> Rate:
    """The rate by which measured steps are met best: least squares of the relative errors of a + ideal / share.

    One step, or steps that do not grow with their FLOPs, give a share without an overhead.

    Raises:
        ValueError: no steps, or one without a positive time.
    """
    if not steps or any(step.ideal_s <= 0 or step.busy_s <= 0 for step in steps):
        raise ValueError("a rate needs steps with positive times")
    weights = [1 / step.busy_s**2 for step in steps]
    x = [step.ideal_s for step in steps]
    y = [step.busy_s for step in steps]
    mean_x, mean_y = _mean(x, weights), _mean(y, weights)
    spread = sum(w * (a - mean_x) ** 2 for w, a in zip(weights, x))
    if spread > 1e-12 * mean_x**2 * sum(weights):
        slope = sum(w * (a - mean_x) * (b - mean_y) for w, a, b in zip(weights, x, y)) / spread
        overhead = mean_y - slope * mean_x
        if slope > 0 and overhead >= 0:
            return Rate(1 / slope, overhead, source)
    through_origin = sum(w * a * b for w, a, b in zip(weights, x, y)) / sum(
        w * a * a for w, a in zip(weights, x)
    )
    return Rate(1 / through_origin, 0.0, source)


def _mean(values: Sequence[float], weights: Sequence[float]) -> float:
    return sum(w * value for w, value in zip(weights, values)) / sum(weights)
