from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_compt.plan.cluster import MeasuredStep, fit_rate

IDEALS = st.lists(st.floats(1e-4, 10), min_size=2, max_size=9, unique=True)


@settings(deadline=None, max_examples=100)
@given(IDEALS, st.floats(0.01, 1), st.floats(0, 1))
def test_a_rate_is_found_again(ideals, share, overhead):
    found = fit_rate([MeasuredStep(one, overhead + one / share) for one in ideals], "here")
    for one in ideals:
        assert found.seconds(one) == pytest.approx(overhead + one / share, rel=1e-3)


def test_one_step_gives_a_share_alone():
    found = fit_rate([MeasuredStep(0.2, 0.8)], "here")
    assert (found.share, found.overhead_s, found.source) == (0.25, 0.0, "here")


def test_steps_that_do_not_grow_with_their_work_give_a_share_alone():
    found = fit_rate([MeasuredStep(0.1, 1.0), MeasuredStep(0.2, 0.5)], "here")
    assert found.overhead_s == 0 and 0 < found.share < 1


def test_an_overhead_is_never_negative():
    found = fit_rate([MeasuredStep(0.1, 0.1), MeasuredStep(0.2, 0.4)], "here")
    assert found.overhead_s == 0 and found.share > 0


@pytest.mark.parametrize("steps", [[], [MeasuredStep(0.0, 1.0)], [MeasuredStep(1.0, 0.0)]])
def test_there_is_no_rate_of_nothing(steps):
    with pytest.raises(ValueError, match="positive times"):
        fit_rate(steps, "here")
