"""Values that a sweep tries for a key: distributions as people write them, `{loguniform: [1.0e-4, 3.0e-3]}`.

To add one, add a row to `MEANINGS`, a branch to `parse_distribution` and `plain`, and draw from it in
`ray_compt/sweep/space.py`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ray_compt.config.describe import describe_value, suggest
from ray_compt.config.section import broken_rule

# How each is written, and what it means.
MEANINGS = {
    "choice": ("[a, b, c]", "One of these values, all equally likely."),
    "uniform": ("[low, high]", "A number between the two."),
    "loguniform": ("[low, high]", "A number between the two whose logarithm is uniform; both above 0."),
    "randint": ("[low, high]", "A whole number, both ends included."),
    "fixed": ("value", "This value, always: for mappings, which are otherwise read as distributions."),
}
_EXAMPLE = "write for example {choice: [1, 2]} or {loguniform: [1.0e-4, 3.0e-3]}"


@dataclass(frozen=True)
class Choice:
    """One of some values, of any kind that YAML has."""

    values: tuple[Any, ...]


@dataclass(frozen=True)
class Real:
    """A number in [low, high], uniform itself or, where `log`, in its logarithm."""

    low: float
    high: float
    log: bool = False


@dataclass(frozen=True)
class Integer:
    """A whole number, uniform from low to high, both included."""

    low: int
    high: int


@dataclass(frozen=True)
class Fixed:
    """One value, always."""

    value: Any


Distribution = Choice | Real | Integer | Fixed


def parse_distribution(value: Any) -> Distribution:
    """A distribution from its plain form; a value that is no mapping fixes the key.

    Raises:
        PydanticCustomError: a broken rule, with the path of the key to blame below the distribution's.
    """
    if not isinstance(value, dict):
        return Fixed(value)
    if len(value) != 1:
        raise broken_rule(f"{describe_value(value)} is no distribution", _EXAMPLE)
    ((kind, content),) = value.items()
    if kind not in MEANINGS:
        mend = f"{suggest(kind, MEANINGS)} A mapping that is a value itself is written {{fixed: ...}}"
        raise broken_rule("unknown distribution", mend, kind)
    if kind == "fixed":
        return Fixed(content)
    return _choice(content) if kind == "choice" else _range(kind, content)


def plain(distribution: Distribution) -> Any:
    """The form that `parse_distribution` reads."""
    if isinstance(distribution, Choice):
        return {"choice": list(distribution.values)}
    if isinstance(distribution, Real):
        name = "loguniform" if distribution.log else "uniform"
        return {name: [distribution.low, distribution.high]}
    if isinstance(distribution, Integer):
        return {"randint": [distribution.low, distribution.high]}
    return {"fixed": distribution.value} if isinstance(distribution.value, dict) else distribution.value


def _choice(content: Any) -> Choice:
    if not isinstance(content, list) or not content:
        raise broken_rule(
            f"a list of values is expected, found {describe_value(content)}",
            "write for example {choice: [lossless, embed]}",
            "choice",
        )
    for number, value in enumerate(content):
        # 1 and true are equal to Python, not to a reader.
        if any(value == other and type(value) is type(other) for other in content[:number]):
            raise broken_rule(f"{describe_value(value)} is named twice", "keep one", "choice", number)
    return Choice(tuple(content))


def _range(kind: str, content: Any) -> Real | Integer:
    numbers, word = ((int,), "whole numbers") if kind == "randint" else ((int, float), "numbers")
    if (
        not isinstance(content, list)
        or len(content) != 2
        or not all(type(end) in numbers and math.isfinite(end) for end in content)
    ):
        mend = (
            f"write the lowest and the highest: {{{kind}: [{'1, 4' if kind == 'randint' else '0.1, 0.5'}]}}"
        )
        message = f"a list of 2 {word} is expected, found {describe_value(content)}"
        raise broken_rule(message, mend, kind)
    low, high = content
    if low >= high:
        mend = "write the lower number first, or a plain value to fix the key"
        raise broken_rule(f"nothing lies between {low:g} and {high:g}", mend, kind)
    if kind == "randint":
        return Integer(low, high)
    if kind == "loguniform" and low <= 0:
        mend = "begin above 0, or write uniform"
        raise broken_rule(f"{low:g} has no logarithm", mend, kind, 0)
    return Real(float(low), float(high), log=kind == "loguniform")
