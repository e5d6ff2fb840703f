"""Curves of any length become short ones with the same means."""

from __future__ import annotations

import pytest

from ray_compt.report.html.thinning import Thinner


@pytest.mark.parametrize("steps", [1, 7, 8, 9, 1000, 1024])
def test_a_thinned_curve_is_short_and_has_the_means_of_its_parts(steps: int) -> None:
    thinner = Thinner(most=8)
    for step in range(1, steps + 1):
        thinner.add(step, {"loss": float(step)})
    curves = thinner.curves()
    assert 0 < len(curves.steps) <= 8
    assert curves.steps[-1] == steps
    for first, last, mean in zip((0, *curves.steps), curves.steps, curves.values["loss"]):
        assert mean == (first + 1 + last) / 2


def test_numbers_that_only_some_steps_have_are_averaged_over_those() -> None:
    thinner = Thinner(most=1)
    thinner.add(1, {"loss": 1.0})
    thinner.add(2, {"loss": 3.0, "step_ms": 5.0})
    thinner.add(3, {})
    assert thinner.curves().values == {"loss": (2.0,), "step_ms": (5.0,)}


def test_a_number_that_a_part_lacks_is_a_gap() -> None:
    thinner = Thinner(most=4)
    thinner.add(1, {"loss": 1.0})
    thinner.add(2, {"lr": 1.0})
    assert thinner.curves().values == {"loss": (1.0, None), "lr": (None, 1.0)}


def test_steps_that_come_late_find_their_place() -> None:
    thinner = Thinner(most=2)
    for step in (5, 1, 6, 2):
        thinner.add(step, {"loss": float(step)})
    curves = thinner.curves()
    assert list(curves.steps) == [2, 6]
    assert curves.values["loss"] == (1.5, 5.5)


def test_no_step_is_no_curve() -> None:
    assert Thinner().curves().steps == ()
