"""Distributions are read as they are written, and written as they are read."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from ray_compt.config.distributions import (
    MEANINGS,
    Choice,
    Distribution,
    Fixed,
    Integer,
    Real,
    parse_distribution,
    plain,
)

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)
positive = st.floats(1e-9, 1e9)


def ranges(numbers: st.SearchStrategy[Any], kind: Any) -> st.SearchStrategy[Distribution]:
    return st.tuples(numbers, numbers).filter(lambda ends: ends[0] < ends[1]).map(lambda ends: kind(*ends))


distributions: st.SearchStrategy[Distribution] = st.one_of(
    st.builds(Fixed, values),
    st.lists(scalars, min_size=1, max_size=4, unique_by=lambda value: (type(value), value)).map(
        lambda choices: Choice(tuple(choices))
    ),
    ranges(st.integers(), Integer),
    ranges(st.floats(-1e9, 1e9), Real),
    ranges(positive, lambda low, high: Real(low, high, log=True)),
)


@given(distributions)
def test_what_is_written_is_read_again(distribution: Distribution):
    assert parse_distribution(plain(distribution)) == distribution


@pytest.mark.parametrize(
    "written, distribution",
    [
        (3, Fixed(3)),
        ([0.9, 0.98], Fixed([0.9, 0.98])),
        ({"fixed": {"scale": [0.5, 1.0]}}, Fixed({"scale": [0.5, 1.0]})),
        ({"choice": [1, True, "a"]}, Choice((1, True, "a"))),
        ({"uniform": [0, 1]}, Real(0.0, 1.0)),
        ({"loguniform": [1e-4, 1e-2]}, Real(1e-4, 1e-2, log=True)),
        ({"randint": [1, 4]}, Integer(1, 4)),
    ],
)
def test_each_kind(written: Any, distribution: Distribution):
    assert parse_distribution(written) == distribution


def test_every_kind_has_a_meaning():
    for kind, content in {"choice": [1], "uniform": [0, 1], "loguniform": [1, 2], "randint": [1, 2]}.items():
        assert not isinstance(parse_distribution({kind: content}), Fixed)
        assert MEANINGS[kind]
    assert set(MEANINGS) == {"choice", "uniform", "loguniform", "randint", "fixed"}


@pytest.mark.parametrize("written", [{}, {"uniform": [0, 1], "choice": [1]}, {"uniform": [float("inf"), 1]}])
def test_no_distribution(written: Any):
    with pytest.raises(PydanticCustomError):
        parse_distribution(written)
