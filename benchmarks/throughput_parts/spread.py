"""Several runs as one number with its spread."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Spread:
    """Least, middle and largest of some runs, and the runs themselves in their order."""

    min: float
    median: float
    max: float
    runs: tuple[float, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"runs": list(self.runs)}

    def __str__(self) -> str:
        return f"{self.median:.3g} ({self.min:.3g} to {self.max:.3g}, {len(self.runs)} runs)"


def spread(values: Sequence[float]) -> Spread:
    """Raises statistics.StatisticsError where there are none."""
    return Spread(min(values), statistics.median(values), max(values), tuple(values))


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """Of runs that took turns: each of ours over the one of theirs beside it."""
    return spread([a / b for a, b in zip(ours, theirs, strict=True)])
