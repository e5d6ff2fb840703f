"""`benchmarks.scaling` judges growth rightly, and each of its steps still runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.scaling import Point, Row, exponent
from benchmarks.scaling_cases import CASES, Case


def _row(power: float, *, most: float = 1.15, unit: float = 1e-6) -> Row:
    points = tuple(Point(10**n, unit * 10 ** (n * power), 0) for n in range(3, 7))
    return Row("step", "things", most, exponent(points), points)


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0, 1.3, 2.0])
def test_the_exponent_is_that_of_the_power_law(power: float) -> None:
    row = _row(power, unit=1.0)
    assert row.exponent == pytest.approx(power)
    assert row.well == (power <= 1.15)
    assert _row(power, most=0.3, unit=1.0).well == (power <= 0.3)


def test_times_too_short_to_tell_are_left_out() -> None:
    constant = 0.004
    points = [Point(10**n, constant + 1e-7 * 10**n, 0) for n in range(3, 7)]
    assert exponent(points[:2]) is None
    assert exponent(points[2:]) == pytest.approx(0.87, abs=0.02)
    assert Row("step", "things", 0.3, None, tuple(points)).well


@pytest.mark.parametrize("case", CASES, ids=[f"{case.step}, {case.axis}" for case in CASES])
def test_every_step_runs_at_its_smallest_size_and_again(case: Case, tmp_path: Path) -> None:
    assert case.sizes == tuple(sorted(case.sizes)) and case.quick in case.sizes
    step = case.make(case.sizes[0], tmp_path)
    first, again = step(), step()
    assert not isinstance(first, int) or first == again > 0
