"""Axes for values of any kind: where on a line from 0 to 1 each lies, and what is written there."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ray_compt.report.card_metadata import metric_value

# From this ratio of largest to smallest on, positive numbers lie by their logarithm.
DECADE = 10.0


@dataclass(frozen=True)
class Axis:
    """One axis.

    Attributes:
        name: written below it.
        places: one a candidate, 0 to 1; None where it has no value.
        ticks: (place, text).
    """

    name: str
    places: tuple[float | None, ...]
    ticks: tuple[tuple[float, str], ...]


def axis(name: str, values: Sequence[Any], shown: Callable[[float], str] | None = None) -> Axis:
    """An axis for numbers, or for choices where not all values are numbers.

    Args:
        name: of the key.
        values: one a candidate, None where it has none.
        shown: how a number reads; by default with four digits.
    """
    given = [value for value in values if value is not None]
    if given and all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in given):
        return _numbers(name, values, given, shown or (lambda value: f"{value:.4g}"))
    return _choices(name, values)


def is_share(metric: str) -> bool:
    return metric_value(metric, 0.5).endswith("%")


def metric_text(metric: str, value: float) -> str:
    """A metric as the page shows it: a share as a percentage with one digit, else four digits."""
    return f"{value:.1%}" if is_share(metric) else f"{value:.4g}"


def tick_format(metric: str) -> str:
    """plotly's format of an axis of the metric."""
    return ".0%" if is_share(metric) else ""


def _numbers(
    name: str, values: Sequence[float | None], given: Sequence[float], shown: Callable[[float], str]
) -> Axis:
    least, most = min(given), max(given)
    scale: Callable[[float], float] = math.log10 if least > 0 and most >= DECADE * least else float
    low, high = scale(least), scale(most)
    if low == high:
        return Axis(name, tuple(None if value is None else 0.5 for value in values), ((0.5, shown(least)),))
    places = tuple(None if value is None else (scale(value) - low) / (high - low) for value in values)
    middle = 10 ** ((low + high) / 2) if scale is math.log10 else (low + high) / 2
    return Axis(name, places, ((0.0, shown(least)), (0.5, shown(middle)), (1.0, shown(most))))


def _choices(name: str, values: Sequence[Any]) -> Axis:
    texts = [
        None if value is None else value if isinstance(value, str) else json.dumps(value) for value in values
    ]
    known = list(dict.fromkeys(text for text in texts if text is not None))
    last = max(1, len(known) - 1)
    place = {text: (number / last if len(known) > 1 else 0.5) for number, text in enumerate(known)}
    return Axis(
        name,
        tuple(None if text is None else place[text] for text in texts),
        tuple((at, text) for text, at in place.items()),
    )
