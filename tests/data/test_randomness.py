from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_compt.data.randomness import permutation, seed_63, stream_key


def test_streams_are_the_same_for_ever():
    # A change here changes the batches of every run that is resumed.
    assert permutation(8, 1, "a").tolist() == [2, 4, 5, 7, 6, 1, 0, 3]
    assert seed_63(0, 3, "000000123", "augment") == 8248421293287669428


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 200), st.integers(0, 5), st.text(max_size=5))
def test_a_permutation_holds_every_number_once(n, seed, purpose):
    drawn = permutation(n, seed, purpose)
    assert sorted(drawn.tolist()) == list(range(n))
    assert np.array_equal(drawn, permutation(n, seed, purpose))


def test_every_part_counts():
    keys = {stream_key(*parts) for parts in [(1, 2), (12,), ("1", 2), (1, "2"), (2, 1), (1, 2, ""), ("12",)]}
    assert len(keys) == 7


def test_all_places_are_equally_likely():
    first = [int(permutation(4, seed, "x")[0]) for seed in range(4000)]
    assert np.all(np.abs(np.bincount(first, minlength=4) - 1000) < 150)
