from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_compt.data.sample_digest import PARTS, from_parts, sample_words, to_parts, to_text, total

SAMPLES = st.lists(st.tuples(st.integers(0, 5), st.text(max_size=3)), max_size=40, unique=True)


def digest(samples):
    words = [sample_words(shard, key) for shard, key in samples]
    return total(*(np.array([pair[i] for pair in words], dtype=np.uint64) for i in range(2)))


@given(SAMPLES, st.data())
def test_neither_order_nor_the_number_of_workers_matters(samples, data):
    shuffled = data.draw(st.permutations(samples))
    world = data.draw(st.integers(1, 5))
    shares = [to_parts(digest(shuffled[rank::world])) for rank in range(world)]
    # As the workers' all-reduce adds them: in doubles.
    summed = np.array(shares, dtype=np.float64).sum(axis=0)
    assert len(summed) == PARTS
    assert from_parts(summed.tolist()) == digest(samples)


def test_two_million_workers_add_up_exactly():
    largest = to_parts((2**64 - 1, 2**64 - 1))
    workers = 2**21
    summed = np.full(PARTS, largest, dtype=np.float64) * workers
    assert from_parts(summed.tolist()) == ((2**64 - workers),) * 2


@pytest.mark.parametrize(
    "other",
    [
        [(0, "a"), (0, "c")],
        [(0, "a"), (1, "b")],
        [(0, "a")],
        [(0, "a"), (0, "b"), (0, "b")],
        [(0, "a"), (0, "a")],
        [(1, "a"), (0, "b")],
    ],
)
def test_another_set_has_another_digest_in_both_words(other):
    one, two = digest([(0, "a"), (0, "b")]), digest(other)
    assert one[0] != two[0] and one[1] != two[1]


def test_the_words_never_change():
    """They stand in the metrics of runs that are to be verified by later versions."""
    assert to_text(sample_words(3, "000030007")) == "b0f9a1b4a50a787a2858201dd879f912"
