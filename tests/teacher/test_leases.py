"""Leases: a service is idle exactly when nobody's time is left."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_compt.teacher.leases import Leases

HOLDERS = st.sampled_from("abc")
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["take", "give back", "expire"]), HOLDERS, st.integers(1, 9), st.integers(0, 5)
    ),
    max_size=40,
)


@given(STEPS)
def test_held_are_those_whose_time_is_left(steps: list[tuple[str, str, int, int]]) -> None:
    leases, now, model = Leases(idle_since=0.0), 0.0, {}
    for what, holder, ttl, passed in steps:
        now += passed
        if what == "take":
            leases.take(holder, ttl, now)
            model[holder] = max(now + ttl, model.get(holder, 0))
        elif what == "give back":
            leases.give_back(holder, now)
            model.pop(holder, None)
        else:
            over = [name for name, until in model.items() if until <= now]
            assert sorted(leases.expire(now)) == sorted(over)
            model = {name: until for name, until in model.items() if until > now}
        assert leases.left(now) == {name: until - now for name, until in model.items()}
        assert (leases.idle_since is None) == bool(model)


def test_idle_since_is_when_the_last_one_ended() -> None:
    leases = Leases(idle_since=1.0)
    leases.take("a", 5, now=2.0)
    leases.take("b", 9, now=2.0)
    assert leases.expire(now=8.0) == ["a"]
    assert leases.idle_since is None
    leases.give_back("b", now=9.0)
    assert leases.idle_since == pytest.approx(9.0)
    leases.give_back("b", now=12.0)
    assert leases.idle_since == pytest.approx(9.0)
