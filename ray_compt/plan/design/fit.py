"""Curves from what was measured: one fit over all sizes, and draws of what else is likely.

Two or three budgets a size do not determine three parameters, so sizes share what they can. With z the logarithm of a
size's forward MACs, centred, and independent standard normal numbers t,

    logit a   = logit(best measured) + 0.7 + 0.8 t + (0.15 + 0.15 t) z + 0.25 t_size    asymptote
    logit r/a = 1 + t + (0.2 + 0.2 t) z + 0.5 t_size                                    metric at the unit of epochs
    log c     = log 0.5 + 0.4 t + 0.15 t_size                                           exponent
    logit k   = 2.2 + t                                 a stage keeps 90 % of its head start (77 to 96 %)
    log w     = 0.7 t                                   a pass of a stage is worth 1 pass alone (0.5 to 2)

t without an index is one number for the family. Metrics scatter normally around the curves, with one standard deviation
for models alone and one for stages, each with the prior weight of `PRIOR_COUNT` residuals of `PRIOR_NOISE`. The mode of
the posterior is a least-squares fit with the squares of the t as penalty; draws around it are made by sampler.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.special import expit, logit

from ray_compt.plan.design.curves import Array, Curves
from ray_compt.plan.design.observations import Measured, Observation
from ray_compt.plan.design.sampler import Reference, slice_step

DRAWS = 500
PRIOR_NOISE = 0.01
PRIOR_COUNT = 4
# Times the longest training that was measured: how far a curve may be inverted.
BEYOND = 4.0
# Logits of metrics of 0 and 1 are held finite.
EDGE = 0.02
# Of mode and noise in turn; of the sampler.
ROUNDS, SWEEPS = 3, 30
# Numbers of the whole family: two of a, two of r, one of c, k and w.
SHARED = 7


@dataclass(frozen=True)
class Fit:
    """A family as far as it is known.

    Attributes:
        sizes: names, ascending.
        curves: draws of all parameters.
        noise: standard deviations [D] of one training alone around its curve.
        stage_noise: the same [D] of one stage, given what its predecessor reached.
    """

    sizes: tuple[str, ...]
    curves: Curves
    noise: Array
    stage_noise: Array

    def index(self, size: str) -> int:
        """Column of a size. Raises ValueError: it was not measured."""
        return self.sizes.index(size)


def fit(measured: Measured, *, draws: int = DRAWS, seed: int = 0) -> Fit:
    """Fit a family's curves, and what its stages keep, to everything that was measured at once.

    Args:
        measured: at least one observation.
        draws: how many samples of the parameters.
        seed: of the draws.
    """
    problem = _Problem(measured)
    random = np.random.default_rng(seed)
    mode, noises = _mode(problem)
    reference = Reference(mode, _covariance(problem.jacobian(mode), noises[problem.kinds]))
    points = random.standard_normal((draws, problem.parameters))
    for _ in range(SWEEPS):
        thetas = reference.at(points)
        spread = _draw_noise(problem, problem.misses(thetas), random)

        def weight(points: Array, rows: NDArray[np.intp], spread: Array = spread) -> Array:
            thetas = reference.at(points)
            weighed = problem.misses(thetas) / spread[rows][:, problem.kinds]
            moved: Array = (points**2 - thetas**2).sum(axis=1)
            missed: Array = (weighed**2).sum(axis=1)
            return moved / 2 - missed / 2

        points = slice_step(points, weight, random)
    thetas = reference.at(points)
    return Fit(tuple(measured.forward), problem.curves(thetas), spread[:, 0], spread[:, 1])


class _Problem:
    """The observations as arrays, and the parameters as one vector of standard normal numbers a priori."""

    def __init__(self, measured: Measured):
        macs = np.log(list(measured.forward.values()))
        self._place = macs - macs.mean()
        self.parameters = SHARED + 3 * len(macs)
        alone, stages = measured.alone, measured.stages
        self._alone, self._stages = _columns(measured, alone), _columns(measured, stages)
        self._before = np.array([one.before for one in stages], float)
        self._measured = np.array([one.metric for one in (*alone, *stages)], float)
        self.kinds = np.repeat([0, 1], [len(alone), len(stages)])
        epochs = self._alone[1] if alone else self._stages[1]
        self._unit = float(np.exp(np.log(epochs).mean()))
        self._longest = BEYOND * max(one.path[-1].epochs for one in measured.observations)
        self._best = float(logit(np.clip(self._measured.max(), EDGE, 1 - EDGE)))

    def curves(self, theta: Array) -> Curves:
        """Parameters from vectors [D, P]."""
        shared, own = theta[:, :SHARED], theta[:, SHARED:].reshape(len(theta), 3, -1)
        top, top_slope, level, level_slope, exponent, kept, worth = shared.T[:, :, None]
        asymptote = self._best + 0.7 + 0.8 * top + (0.15 + 0.15 * top_slope) * self._place + 0.25 * own[:, 0]
        share = 1 + level + (0.2 + 0.2 * level_slope) * self._place + 0.5 * own[:, 1]
        return Curves(
            asymptote=expit(asymptote),
            level=expit(asymptote) * expit(share),
            exponent=np.exp(np.log(0.5) + 0.4 * exponent + 0.15 * own[:, 2]),
            kept=expit(2.2 + kept[:, 0]),
            worth=np.exp(0.7 * worth[:, 0]),
            unit=self._unit,
            longest=self._longest,
        )

    def misses(self, theta: Array) -> Array:
        """Predicted less measured metrics [D, n] of vectors [D, P], models alone first."""
        curves = self.curves(theta)
        alone = curves.alone(*self._alone)
        stages = curves.stage(self._stages[0], self._before, self._stages[1])
        return np.asarray(np.concatenate([alone, stages], axis=1) - self._measured)

    def jacobian(self, theta: Array, step: float = 1e-5) -> Array:
        """Derivatives [n, P] of `misses` at one vector [P], by central differences."""
        moves = step * np.eye(self.parameters)
        return np.asarray((self.misses(theta + moves) - self.misses(theta - moves)).T / (2 * step))


def _columns(measured: Measured, observations: Sequence[Observation]) -> tuple[np.ndarray, Array]:
    """Indices of the sizes, and epochs."""
    order = {size: number for number, size in enumerate(measured.forward)}
    sizes = np.array([order[one.path[-1].size] for one in observations], int)
    return sizes, np.array([one.path[-1].epochs for one in observations], float)


def _mode(problem: _Problem) -> tuple[Array, Array]:
    """The most likely vector [P] and, given it, the standard deviations [2] of both kinds."""
    theta, noises = np.zeros(problem.parameters), np.full(2, PRIOR_NOISE)
    for _ in range(ROUNDS):
        scale = noises[problem.kinds]

        def weighed(theta: Array, scale: Array = scale) -> Array:
            return np.concatenate([problem.misses(theta[None])[0] / scale, theta])

        theta = np.asarray(least_squares(weighed, theta).x)
        squares, count = _squares(problem, problem.misses(theta[None]))
        noises = np.sqrt(squares[0] / count)
    return theta, noises


def _covariance(jacobian: Array, scale: Array) -> Array:
    """Of the normal approximation around the mode, by Gauss-Newton: the penalty keeps it positive definite."""
    weighed = jacobian / scale[:, None]
    found = np.linalg.inv(weighed.T @ weighed + np.eye(weighed.shape[1]))
    return np.asarray((found + found.T) / 2)


def _squares(problem: _Problem, misses: Array) -> tuple[Array, Array]:
    """Sums [D, 2] of the squares of both kinds' residuals, and their numbers [2], the prior's included."""
    kinds = np.eye(2)[problem.kinds]
    return PRIOR_COUNT * PRIOR_NOISE**2 + misses**2 @ kinds, PRIOR_COUNT + kinds.sum(axis=0)


def _draw_noise(problem: _Problem, misses: Array, random: np.random.Generator) -> Array:
    """Standard deviations [D, 2] of both kinds given their residuals: scaled inverse chi-squared."""
    squares, count = _squares(problem, misses)
    return np.asarray(np.sqrt(squares / random.chisquare(count, squares.shape)))
