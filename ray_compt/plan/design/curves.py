"""Learning curves of a family, and what a stage makes of its predecessor, as functions of sampled parameters.

A size alone, after its whole schedule of e passes over the data, reaches

    f(e) = a - (a - r) (e / u)^-c

a saturating power law with asymptote a, metric r at the family's unit u of epochs, and exponent c: 0 < r < a < 1.
It is one of the usual forms of learning curves (Viering and Loog, "The Shape of Learning Curves", 2022, pow3).

A stage of the same size, e passes long and grown from a model that reaches p, goes on from the point of the
size's own curve where p is reached, less what a new schedule costs:

    g(p, e) = f(k f^-1(p) + w e)

with a head start kept to the share k in (0, 1), and w > 0 passes alone that a pass of a stage is worth. The curve is
not believed beyond its `longest` epochs; what a predecessor has above it is carried over as it is.

Every function takes D draws of the parameters at once. Arrays are float64.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Curves:
    """D draws of the parameters of a family of L sizes.

    Attributes:
        asymptote: a [D, L].
        level: r [D, L].
        exponent: c [D, L].
        kept: k [D].
        worth: w [D].
        unit: u, epochs.
        longest: epochs up to which a curve is inverted.
    """

    asymptote: Array
    level: Array
    exponent: Array
    kept: Array
    worth: Array
    unit: float
    longest: float

    @property
    def draws(self) -> int:
        return len(self.kept)

    def first(self, count: int) -> Curves:
        """The first `count` draws."""
        return Curves(
            self.asymptote[:count],
            self.level[:count],
            self.exponent[:count],
            self.kept[:count],
            self.worth[:count],
            self.unit,
            self.longest,
        )

    def alone(self, size: NDArray[np.intp] | int, epochs: Array | float) -> Array:
        """f: the metric [D, n] of sizes (indices [n] or one) after epochs [n], [D, n] or one number."""
        top, level, exponent = self._of(size)
        return np.asarray(top - (top - level) * (np.asarray(epochs) / self.unit) ** -exponent)

    def epochs_to(self, size: NDArray[np.intp] | int, metric: Array | float) -> Array:
        """f^-1: epochs [D, n] at which sizes alone reach a metric [n] or [D, n], at most `longest`."""
        top, level, exponent = self._of(size)
        within = np.clip(metric, 0.0, self.alone(size, self.longest))
        return np.asarray(self.unit * ((top - within) / (top - level)) ** (-1 / exponent))

    def stage(self, size: NDArray[np.intp] | int, before: Array | float, epochs: Array | float) -> Array:
        """g: the metric [D, n] of stages from predecessors with metric `before`, [n] or [D, n]."""
        head_start = self.epochs_to(size, before)
        beyond = np.maximum(0.0, before - self.alone(size, self.longest))
        effective = self.kept[:, None] * head_start + self.worth[:, None] * np.asarray(epochs)
        return self.alone(size, effective) + beyond

    def _of(self, size: NDArray[np.intp] | int) -> tuple[Array, Array, Array]:
        """a, r and c as [D, n]."""
        chosen = np.atleast_1d(size)
        return self.asymptote[:, chosen], self.level[:, chosen], self.exponent[:, chosen]
