"""The learning rate against its definition."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_compt.config.schema import TrainConfig
from ray_compt.train.schedule import learning_rate


@given(
    steps=st.integers(1, 2000),
    warmup=st.integers(0, 500),
    schedule=st.sampled_from(["cosine", "wsd"]),
    share=st.floats(0.01, 1.0),
)
def test_it_stays_between_its_bounds_and_peaks_once_warm(
    steps: int, warmup: int, schedule: str, share: float
) -> None:
    config = TrainConfig(lr=1e-3, final_lr=1e-5, warmup_steps=warmup, schedule=schedule, decay_share=share)
    rates = [learning_rate(step, steps, config) for step in range(steps)]
    assert all(0 < rate <= config.lr * (1 + 1e-12) for rate in rates)
    warm = min(warmup, steps)
    assert rates[:warm] == sorted(rates[:warm])
    assert rates[warm:] == sorted(rates[warm:], reverse=True)
    if warmup and steps >= warmup:
        assert rates[warm - 1] == pytest.approx(config.lr)


def test_cosine_is_half_way_down_in_the_middle() -> None:
    config = TrainConfig(lr=1.0, final_lr=0.2, warmup_steps=10)
    assert learning_rate(10, 110, config) == pytest.approx(1.0)
    assert learning_rate(60, 110, config) == pytest.approx(0.6)
    assert learning_rate(35, 110, config) == pytest.approx(0.2 + 0.8 * 0.5 * (1 + math.cos(math.pi / 4)))


def test_wsd_is_flat_until_its_decay_begins() -> None:
    config = TrainConfig(lr=1.0, final_lr=0.0, warmup_steps=10, schedule="wsd", decay_share=0.2)
    assert {learning_rate(step, 100, config) for step in range(10, 81)} == {1.0}
    assert learning_rate(90, 100, config) == pytest.approx(0.5)
