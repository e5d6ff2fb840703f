"""Curves of any length made short enough to be looked at, in one pass and in bounded memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ray_compt.report.html.facts import Curves

POINTS = 1000


@dataclass
class _Bin:
    """Sums over a run of steps; `counts` because not every step has every number."""

    last: int
    sums: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, total: float, count: int = 1) -> None:
        self.sums[name] = self.sums.get(name, 0.0) + total
        self.counts[name] = self.counts.get(name, 0) + count

    def take_in(self, other: _Bin) -> None:
        self.last = max(self.last, other.last)
        for name, total in other.sums.items():
            self.add(name, total, other.counts[name])

    def mean(self, name: str) -> float | None:
        return self.sums[name] / self.counts[name] if name in self.sums else None


class Thinner:
    """Means over runs of steps, whose length doubles each time that there would be more than `most` of them."""

    def __init__(self, most: int = POINTS):
        self._most, self._width = most, 1
        self._bins: dict[int, _Bin] = {}

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Take in step `step` (from 1)."""
        place = (step - 1) // self._width
        bin_ = self._bins.setdefault(place, _Bin(step))
        bin_.last = max(bin_.last, step)
        for name, value in values.items():
            bin_.add(name, value)
        if len(self._bins) > self._most:
            self._widen()

    def curves(self) -> Curves:
        bins = [self._bins[place] for place in sorted(self._bins)]
        names = dict.fromkeys(name for bin_ in bins for name in bin_.sums)
        return Curves(
            tuple(bin_.last for bin_ in bins),
            {name: tuple(bin_.mean(name) for bin_ in bins) for name in names},
        )

    def _widen(self) -> None:
        narrow, self._bins = self._bins, {}
        self._width *= 2
        for place, bin_ in narrow.items():
            self._bins.setdefault(place // 2, _Bin(bin_.last)).take_in(bin_)
