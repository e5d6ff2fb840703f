"""How many workers a stage may have: pure arithmetic on what nodes have and what is free."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_compt.train.scaling import (
    ScalingRules,
    affordable,
    describe_room,
    limited,
    next_fewer,
    patience,
    places,
    without,
)

RULES = ScalingRules(
    legal=(1, 2, 4, 8),
    per_worker={"CPU": 1.0},
    reading_cpus=0.5,
    other_cpus=0.0,
    look_every_s=1,
    wait_s=1,
    pause_s=1,
)


@pytest.mark.parametrize(
    ("nodes", "count"),
    [([2], 1), ([3], 2), ([2, 2], 2), ([2, 2, 2], 4), ([2, 1], 2), ([1], 0), ([64], 8), ([], 0)],
)
def test_workers_and_their_readers_fit_together(nodes: list[float], count: int) -> None:
    whole = {str(i): {"CPU": float(cpus)} for i, cpus in enumerate(nodes)}
    assert affordable(whole, whole, RULES) == count


def test_what_others_hold_is_not_ours() -> None:
    whole = {"a": {"CPU": 4.0}, "b": {"CPU": 4.0}}
    assert affordable({"a": {"CPU": 4.0}, "b": {"CPU": 0.5}}, whole, RULES) == 4
    assert affordable({"a": {"CPU": 1.0}, "b": {"CPU": 0.5}}, whole, RULES) == 1


def test_the_teacher_takes_its_part() -> None:
    whole = {"a": {"CPU": 4.0}}
    assert affordable(whole, whole, RULES) == 2
    assert affordable(whole, whole, replace(RULES, other_cpus=1.5)) == 1


def test_every_kind_of_resource_counts_and_workers_are_not_split_over_nodes() -> None:
    per_worker = {"CPU": 8.0, "GPU": 1.0}
    assert places({"a": {"CPU": 64.0, "GPU": 4.0}, "b": {"CPU": 12.0, "GPU": 8.0}}, per_worker) == 5
    assert places({"head": {"CPU": 64.0}}, per_worker) == 0


def test_fractions_of_a_cpu_do_not_lose_a_worker_to_rounding() -> None:
    assert places({"a": {"CPU": 0.1 + 0.2}}, {"CPU": 0.3}) == 1


def test_the_next_fewer_never_falls_below_the_fewest() -> None:
    assert [next_fewer(n, RULES) for n in (8, 4, 3, 2, 1)] == [4, 2, 2, 1, 1]


def test_the_message_says_what_there_is() -> None:
    assert describe_room({"a": {"CPU": 1.5}}, RULES) == "room for 1 workers of 1 CPU each"


@given(st.dictionaries(st.text(min_size=1), st.floats(0, 100), max_size=5))
def test_the_count_is_legal_and_grows_with_the_nodes(cpus: dict[str, float]) -> None:
    whole = {node: {"CPU": amount} for node, amount in cpus.items()}
    count = affordable(whole, whole, RULES)
    assert count in (0, *RULES.legal)
    for node in whole:
        rest = without(whole, [node])
        assert node not in rest
        assert affordable(rest, rest, RULES) <= count


def test_a_node_that_ends_soon_is_not_waited_for_beyond_half_its_time() -> None:
    """Asked again and again with the time that is left, the wait ends halfway."""
    assert patience(60, [], now=100.0) == 60
    assert patience(60, [500.0], now=100.0) == 60
    asked, deadline = 100.0, 130.0
    given_up = next(now for now in range(100, 131) if now - asked >= patience(60, [deadline], now))
    assert given_up == 115


def test_workers_that_may_have_lost_their_readers_are_waited_for_less_long() -> None:
    assert patience(60, [], now=100.0, starving=True) == 12
    assert patience(60, [105.0], now=100.0, starving=True) == 5


@given(st.integers(0, 20), st.none() | st.integers(0, 20))
def test_a_limit_takes_the_largest_legal_number_below_it(count: int, most: int | None) -> None:
    found = limited(count, most, RULES)
    if most is None or count <= most:
        assert found == count
    else:
        assert found == max((n for n in RULES.legal if n <= most), default=1)
