from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_compt.plan.cluster.preemption import NONE, Preemptions

RATES, SHARES, SECONDS = st.floats(0, 20), st.floats(0, 1), st.floats(0, 3600)
FAST = settings(deadline=None, max_examples=200)


def test_without_preemptions_nothing_is_lost():
    assert NONE.slowdown == 1
    assert Preemptions(0, 0.5, 240, 600).slowdown == 1


def test_announced_losses_cost_the_restart_alone():
    # One an hour of 360 s each: a tenth more.
    assert Preemptions(1, 1, 360, 600).slowdown == pytest.approx(1.1)


def test_sudden_losses_cost_half_an_interval_and_the_restart():
    # Rare ones: the rate times (restart + half an interval).
    found = Preemptions(0.01, 0, 240, 600).slowdown
    assert found - 1 == pytest.approx(0.01 / 3600 * (240 + 300), rel=0.01)


def test_a_run_that_never_reaches_a_checkpoint():
    assert math.isinf(Preemptions(3600 * 10, 0, 10, 100).slowdown)


@FAST
@given(RATES, RATES, SHARES, SECONDS, SECONDS)
def test_more_losses_take_no_less_time(rate, more, noticed, restart, interval):
    few = Preemptions(rate, noticed, restart, interval).slowdown
    many = Preemptions(rate + more, noticed, restart, interval).slowdown
    assert few * (1 + 1e-9) >= 1 and few <= many * (1 + 1e-9)


@FAST
@given(RATES, SHARES, SECONDS, SECONDS, SECONDS, SECONDS)
def test_longer_restarts_and_intervals_take_no_less_time(rate, noticed, restart, more, interval, longer):
    short = Preemptions(rate, noticed, restart, interval).slowdown
    assert short <= Preemptions(rate, noticed, restart + more, interval).slowdown * (1 + 1e-9)
    assert short <= Preemptions(rate, noticed, restart, interval + longer).slowdown * (1 + 1e-9)


def test_the_formula_is_that_of_a_simulation():
    draw, rate, restart, interval = random.Random(0), 2 / 3600, 240.0, 900.0
    segments, spent = 20_000, 0.0
    for _ in range(segments):
        while (until := draw.expovariate(rate)) < interval:
            spent += until + restart
        spent += interval
    expected = Preemptions(2, 0, restart, interval).slowdown
    assert spent / (segments * interval) == pytest.approx(expected, rel=0.02)
