"""The number of replicas follows the queue, and never leaves its bounds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ray_compt.teacher.autoscale import LOOKS_DOWN, LOOKS_UP, Autoscaler, Bounds

LOOKS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1000)), max_size=60)


@given(LOOKS, st.integers(1, 3), st.integers(0, 3))
def test_the_bounds_hold(looks: list[tuple[float, int]], least: int, more: int) -> None:
    scaler, running = Autoscaler(Bounds(least, least + more)), least
    for busy, waiting in looks:
        before, running = running, scaler.wanted(running, busy, waiting, rows=32)
        assert least <= running <= least + more
        assert abs(running - before) <= 1


def test_a_crowd_adds_one_after_some_looks_and_idleness_takes_it_back() -> None:
    scaler = Autoscaler(Bounds(1, 3))
    assert [scaler.wanted(1, 1.0, 100, 32) for _ in range(LOOKS_UP)] == [1] * (LOOKS_UP - 1) + [2]
    assert [scaler.wanted(2, 0.1, 0, 32) for _ in range(LOOKS_DOWN)] == [2] * (LOOKS_DOWN - 1) + [1]


def test_a_pause_between_two_bursts_changes_nothing() -> None:
    scaler = Autoscaler(Bounds(1, 3))
    for _ in range(10):
        assert scaler.wanted(1, 1.0, 100, 32) == 1
        assert scaler.wanted(1, 1.0, 0, 32) == 1


def test_busy_replicas_without_a_queue_are_enough() -> None:
    scaler = Autoscaler(Bounds(1, 3))
    assert {scaler.wanted(1, 1.0, 32, 32) for _ in range(20)} == {1}
