"""Curves from what was measured: one penalised least-squares fit over all sizes, and draws around it.

Two or three budgets a size do not determine three parameters, so sizes share what they can. With z the logarithm of a
size's forward MACs, centred, and independent standard normal numbers t,

    logit a   = logit(best measured) + 0.7 + 0.8 t + (0.15 + 0.15 t) z + 0.25 t_size    asymptote
    logit r/a = 1 + t + (0.2 + 0.2 t) z + 0.5 t_size                                    metric at the unit of epochs
    log c     = log 0.5 + 0.4 t + 0.15 t_size                                           exponent
    logit k   = 2.2 + t                                 a stage keeps 90 % of its head start (77 to 96 %)
    log w     = 0.7 t                                   a pass of a stage is worth 1 pass alone (0.5 to 2)

t without an index is one number for the family. The t are fitted with their own squares as penalty (the mode of the
posterior), drawn from its Laplace approximation, and the residuals' standard deviations, one of models alone and one of
stages, from scaled inverse chi-squared with the prior weight of `PRIOR_COUNT` residuals of `PRIOR_NOISE`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares
from scipy.special import expit, logit

from ray_compt.plan.design.curves import Array, Curves
from ray_compt.plan.design.observations import Measured, Observation

DRAWS = 500
PRIOR_NOISE = 0.01
PRIOR_COUNT = 4
# Times the longest training that was measured: how far a curve may be inverted.
BEYOND = 4.0
# Logits of metrics of 0 and 1 are held finite.
EDGE = 0.02
ROUNDS = 4
# Numbers of the whole family: two of a, two of r, one of c, k and w.
SHARED = 7


@dataclass(frozen=True)
class Fit:
    """A family as far as it is known.

    Attributes:
        sizes: names, ascending.
        mode: the best parameters, one draw.
        curves: `DRAWS` draws.
        noise: standard deviations [D] of one training alone around its curve.
        stage_noise: the same [D] of one stage, given what its predecessor reached.
    """

    sizes: tuple[str, ...]
    mode: Curves
    curves: Curves
    noise: Array
    stage_noise: Array

    def index(self, size: str) -> int:
        return self.sizes.index(size)


def fit(measured: Measured, *, draws: int = DRAWS, seed: int = 0) -> Fit:
    """Fit a family's curves, and what its stages keep, to everything that was measured at once.

    Args:
        measured: at least one observation.
        draws: how many samples of the parameters.
        seed: of the draws.
    """
    problem = _Problem(measured)
    theta, noises = np.zeros(problem.parameters), np.full(2, PRIOR_NOISE)
    for _ in range(ROUNDS):
        theta = _minimise(problem, theta, noises)
        jacobian = problem.jacobian(theta)
        covariance = _covariance(jacobian, noises[problem.kinds])
        squares, freedom = _spread(problem, theta, jacobian, covariance, noises)
        noises = np.sqrt(squares / freedom)
    random = np.random.default_rng(seed)
    sampled = random.multivariate_normal(theta, covariance, draws, method="cholesky")
    spread = np.sqrt(squares / random.chisquare(freedom, (draws, 2)))
    return Fit(
        sizes=tuple(measured.forward),
        mode=problem.curves(theta[None]),
        curves=problem.curves(sampled),
        noise=spread[:, 0],
        stage_noise=spread[:, 1],
    )


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
        """Predicted less measured metric [n] of one vector [P], models alone first."""
        curves = self.curves(theta[None])
        alone = curves.alone(*self._alone)[0]
        stages = curves.stage(self._stages[0], self._before, self._stages[1])[0]
        return np.asarray(np.concatenate([alone, stages]) - self._measured)

    def jacobian(self, theta: Array, step: float = 1e-5) -> Array:
        """Derivatives [n, P] of `misses`, by central differences."""
        moves = step * np.eye(self.parameters)
        columns = [(self.misses(theta + move) - self.misses(theta - move)) / (2 * step) for move in moves]
        return np.stack(columns, axis=1)


def _columns(measured: Measured, observations: Sequence[Observation]) -> tuple[np.ndarray, Array]:
    """Indices of the sizes, and epochs."""
    order = {size: number for number, size in enumerate(measured.forward)}
    sizes = np.array([order[one.path[-1].size] for one in observations], int)
    return sizes, np.array([one.path[-1].epochs for one in observations], float)


def _minimise(problem: _Problem, start: Array, noises: Array) -> Array:
    scale = noises[problem.kinds]

    def weighed(theta: Array) -> Array:
        return np.concatenate([problem.misses(theta) / scale, theta])

    return np.asarray(least_squares(weighed, start).x)


def _covariance(jacobian: Array, scale: Array) -> Array:
    """Of the Laplace approximation, by Gauss-Newton: the penalty keeps it positive definite."""
    weighed = jacobian / scale[:, None]
    found = np.linalg.inv(weighed.T @ weighed + np.eye(weighed.shape[1]))
    return np.asarray((found + found.T) / 2)


def _spread(
    problem: _Problem, theta: Array, jacobian: Array, covariance: Array, noises: Array
) -> tuple[Array, Array]:
    """Sums of squares [2] and degrees of freedom [2] of both kinds, the prior's included.

    An observation that determines parameters leaves less to see of the noise: each counts as one less its leverage.
    """
    squares = np.full(2, PRIOR_COUNT * PRIOR_NOISE**2)
    freedom = np.full(2, float(PRIOR_COUNT))
    leverage = np.einsum("np,pq,nq->n", jacobian, covariance, jacobian) / noises[problem.kinds] ** 2
    np.add.at(squares, problem.kinds, problem.misses(theta) ** 2)
    np.add.at(freedom, problem.kinds, 1 - leverage)
    return squares, freedom
