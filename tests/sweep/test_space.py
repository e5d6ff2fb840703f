"""Grids hold every combination once, and draws stay within their distributions and repeat with their seed."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_compt.config.distributions import Choice, Distribution, Fixed, Integer, Real
from ray_compt.sweep.space import Parameter, grid, grid_size, sample

small = st.one_of(
    st.lists(st.integers(), min_size=1, max_size=4, unique=True).map(lambda values: Choice(tuple(values))),
    st.tuples(st.integers(-5, 5), st.integers(1, 4)).map(lambda pair: Integer(pair[0], pair[0] + pair[1])),
    st.builds(Fixed, st.integers()),
)


def named(distributions: list[Distribution]) -> list[Parameter]:
    return [Parameter(f"k.{number}", distribution) for number, distribution in enumerate(distributions)]


@given(st.lists(small, max_size=4).map(named))
def test_a_grid_holds_every_combination_once(parameters: list[Parameter]):
    points = [tuple(point.values()) for point in grid(parameters)]
    assert len(points) == len(set(points)) == grid_size(parameters)
    assert set(points) == set(itertools.product(*(parameter.values() for parameter in parameters)))


@given(st.floats(1e-6, 1e3), st.floats(1.01, 1e6), st.booleans(), st.integers(0, 2**32 - 1))
def test_a_number_stays_within_its_range(low: float, factor: float, log: bool, seed: int):
    parameter = Parameter("k", Real(low, low * factor, log))
    drawn = parameter.draw(np.random.default_rng(seed))
    assert type(drawn) is float
    assert low <= drawn <= low * factor


def test_a_logarithmic_range_is_even_in_its_logarithm():
    parameter, random = Parameter("k", Real(1e-4, 1e-2, log=True)), np.random.default_rng(0)
    drawn = [math.log10(parameter.draw(random)) for _ in range(2000)]
    assert np.mean(drawn) == pytest.approx(-3, abs=0.05)
    assert np.std(drawn) == pytest.approx(2 / math.sqrt(12), abs=0.03)


@pytest.mark.parametrize("distribution", [Integer(1, 3), Choice((1, 2, 3))])
def test_whole_numbers_and_choices_are_equally_likely(distribution: Distribution):
    parameter, random = Parameter("k", distribution), np.random.default_rng(0)
    counts = np.bincount([parameter.draw(random) for _ in range(3000)], minlength=4)
    assert counts[0] == 0
    assert counts[1:] == pytest.approx([1000] * 3, abs=120)


def test_a_draw_is_a_value_as_yaml_has_it():
    choice = Choice((True, None, "a", [1, 2], 0.5))
    drawn = {repr(Parameter("k", choice).draw(np.random.default_rng(seed))) for seed in range(100)}
    assert drawn == {"True", "None", "'a'", "[1, 2]", "0.5"}
    assert type(Parameter("k", Integer(1, 9)).draw(np.random.default_rng(0))) is int


@given(st.integers(0, 2**32 - 1))
def test_a_point_is_a_function_of_the_seed(seed: int):
    parameters = named([Real(0, 1), Fixed(3), Integer(0, 10**9), Choice((1, 2))])
    points = [
        [sample(parameters, random) for _ in range(3)]
        for random in (np.random.default_rng(seed), np.random.default_rng(seed))
    ]
    assert points[0] == points[1]
    assert points[0][0] != points[0][1]


@pytest.mark.parametrize(
    "distribution, varied, size, extremes",
    [
        (Fixed([1, 2]), False, 1, [[1, 2]]),
        (Choice(("a",)), False, 1, ["a"]),
        (Choice((1, 2, 3)), True, 3, [1, 2, 3]),
        (Integer(2, 9), True, 8, [2, 9]),
        (Real(0.5, 1.5), True, None, [0.5, 1.5]),
    ],
)
def test_what_a_parameter_knows_of_itself(distribution, varied, size, extremes):
    parameter = Parameter("k", distribution)
    assert (parameter.varied, parameter.size, list(parameter.extremes())) == (varied, size, extremes)


def test_a_range_has_no_grid():
    parameters = named([Fixed(1), Real(0, 1)])
    assert grid_size(parameters) is None
    with pytest.raises(ValueError, match=r"k\.1 is continuous"):
        list(grid(parameters))
