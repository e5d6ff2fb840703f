"""The curves' own rules: more epochs reach more, a stage begins near its predecessor, inverses are inverses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_compt.plan.design.curves import Curves

fractions = st.floats(0.05, 0.95)
epochs = st.floats(1, 400)


@st.composite
def curves(draw: st.DrawFn) -> Curves:
    """One draw of one size."""
    asymptote = draw(fractions)
    return Curves(
        asymptote=np.array([[asymptote]]),
        level=np.array([[asymptote * draw(fractions)]]),
        exponent=np.array([[draw(st.floats(0.2, 1.5))]]),
        kept=np.array([draw(fractions)]),
        worth=np.array([draw(st.floats(0.2, 3))]),
        unit=50.0,
        longest=400.0,
    )


@given(curves(), epochs)
def test_epochs_to_a_metric_are_those_that_reach_it(family: Curves, count: float):
    reached = family.alone(0, count)
    if reached[0, 0] > 0:
        assert family.epochs_to(0, reached)[0, 0] == pytest.approx(count, rel=1e-4)


@given(curves(), epochs, epochs, fractions)
def test_more_epochs_and_a_better_predecessor_never_reach_less(
    family: Curves, one: float, other: float, before: float
):
    few, many = sorted((one, other))
    assert family.alone(0, few) <= family.alone(0, many) + 1e-12
    assert family.stage(0, np.array([before]), few) <= family.stage(0, np.array([before]), many) + 1e-12
    better = np.array([min(1.0, before + 0.03)])
    assert family.stage(0, np.array([before]), few) <= family.stage(0, better, few) + 1e-9


@given(curves(), fractions)
def test_a_stage_of_no_length_is_never_better_than_its_predecessor(family: Curves, before: float):
    assert family.stage(0, np.array([before]), 0.0)[0, 0] <= before + 1e-9


def test_what_lies_above_the_curve_is_carried_over():
    family = Curves(
        *(np.array([[value]]) for value in (0.6, 0.5, 0.5)), np.array([0.9]), np.array([1.0]), 50, 400
    )
    top = family.alone(0, 400.0)[0, 0]
    inside, outside = (family.stage(0, np.array([before]), 5.0)[0, 0] for before in (top, 0.7))
    # Beyond the asymptote there are no epochs that reach 0.7: the stage is as if at the top, and keeps the rest.
    assert outside - inside == pytest.approx(0.7 - top)


def test_the_law_by_hand():
    family = Curves(
        *(np.array([[value]]) for value in (0.8, 0.6, 1.0)), np.array([0.5]), np.array([2.0]), 10, 400
    )
    assert family.alone(0, 20.0)[0, 0] == pytest.approx(0.8 - 0.2 / 2)
    assert family.epochs_to(0, np.array([0.7]))[0, 0] == pytest.approx(20)
    # Half of 20 epochs and 2 for each of 15: 40 epochs.
    assert family.stage(0, np.array([0.7]), 15.0)[0, 0] == pytest.approx(0.8 - 0.2 / 4)
