"""The search space: keys with distributions; all of its points, or random ones. Pure."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ray_compt.config.distributions import Choice, Distribution, Fixed, Integer, Real

Values = dict[str, Any]


@dataclass(frozen=True)
class Parameter:
    """A key of the chain file, as the sweep file writes it, and what it may be."""

    key: str
    distribution: Distribution

    @property
    def varied(self) -> bool:
        """Whether it has more than one value."""
        return not (
            isinstance(self.distribution, Fixed)
            or (isinstance(self.distribution, Choice) and len(self.distribution.values) == 1)
        )

    @property
    def size(self) -> int | None:
        """Number of values; None where there is no end of them."""
        match self.distribution:
            case Choice(values):
                return len(values)
            case Integer(low, high):
                return high - low + 1
            case Fixed():
                return 1
        return None

    def values(self) -> Sequence[Any]:
        """All values of one that is not continuous, in order."""
        match self.distribution:
            case Choice(values):
                return values
            case Integer(low, high):
                return range(low, high + 1)
            case Fixed(value):
                return (value,)
        raise ValueError(f"{self.key} is continuous")

    def extremes(self) -> Sequence[Any]:
        """Values that stand for all where only kind and limits matter: every choice, the ends of a range."""
        match self.distribution:
            case Real(low, high) | Integer(low, high):
                return (low, high)
        return self.values()

    def draw(self, random: np.random.Generator) -> Any:
        """A plain value of Python's."""
        match self.distribution:
            case Real(low, high, True):
                drawn = math.exp(random.uniform(math.log(low), math.log(high)))
                return min(max(drawn, low), high)  # exp(log(x)) may miss x by a rounding
            case Real(low, high):
                return float(random.uniform(low, high))
        choices = self.values()
        return choices[int(random.integers(len(choices)))]


def grid_size(parameters: Sequence[Parameter]) -> int | None:
    """Number of points of a grid; None where a parameter is continuous."""
    sizes = [parameter.size for parameter in parameters]
    return None if None in sizes else math.prod(size for size in sizes if size is not None)


def grid(parameters: Sequence[Parameter]) -> Iterator[Values]:
    """Every point of the grid, the last parameter varying fastest."""
    keys = [parameter.key for parameter in parameters]
    for point in itertools.product(*(parameter.values() for parameter in parameters)):
        yield dict(zip(keys, point))


def sample(parameters: Sequence[Parameter], random: np.random.Generator) -> Values:
    """A random point; one draw of the generator for each parameter that is not fixed, in their order."""
    return {
        parameter.key: parameter.draw(random) if parameter.varied else parameter.extremes()[0]
        for parameter in parameters
    }
