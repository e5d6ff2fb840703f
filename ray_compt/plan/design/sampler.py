"""Draws from a density over vectors, many at once, without anything to tune: elliptical slice sampling.

Murray, Adams and MacKay, "Elliptical slice sampling", 2010: a step stays on the ellipse through the present point and
a draw of a normal reference, and every step is accepted. Here the reference is the normal approximation around the
density's mode, slightly widened, so that few steps suffice.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
# Widening: a reference narrower than the density reaches its tails slowly.
WIDER = 1.2

# Logarithm [m] of density over reference at points [m, P] that belong to the chains `rows` [m].
Weight = Callable[[Array, NDArray[np.intp]], Array]


class Reference:
    """The normal distribution whose standard coordinates the sampler moves in.

    Args:
        mean: [P].
        covariance: [P, P], positive definite.
    """

    def __init__(self, mean: Array, covariance: Array):
        self._mean, self._factor = mean, WIDER * np.linalg.cholesky(covariance)

    def at(self, points: Array) -> Array:
        """Vectors [D, P] of standard coordinates [D, P]."""
        return np.asarray(self._mean + points @ self._factor.T)


def slice_step(points: Array, weight: Weight, random: np.random.Generator) -> Array:
    """Move each of D independent chains once.

    Args:
        points: standard coordinates [D, P].
        weight: of the density against the reference, which is standard normal in these coordinates.
        random: all randomness.
    """
    moved, other = points.copy(), random.standard_normal(points.shape)
    open_rows = np.arange(len(points))
    least = weight(points, open_rows) + np.log(random.random(len(points)))
    angle = random.uniform(0, 2 * np.pi, len(points))
    low, high = angle - 2 * np.pi, angle.copy()
    while len(open_rows):
        turn = angle[open_rows, None]
        tried = points[open_rows] * np.cos(turn) + other[open_rows] * np.sin(turn)
        taken = weight(tried, open_rows) >= least[open_rows]
        moved[open_rows[taken]] = tried[taken]
        open_rows = open_rows[~taken]
        # The bracket shrinks towards the present point, which is above `least`: this ends.
        below = angle[open_rows] < 0
        low[open_rows[below]] = angle[open_rows[below]]
        high[open_rows[~below]] = angle[open_rows[~below]]
        angle[open_rows] = random.uniform(low[open_rows], high[open_rows])
    return moved
