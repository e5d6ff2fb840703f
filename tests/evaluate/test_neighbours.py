"""Weighted nearest neighbours against sorting by hand."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import normalize

from ray_compt.evaluate.neighbours import TEMPERATURE, knn_votes


@settings(deadline=None, max_examples=40)
@given(
    st.integers(1, 12), st.integers(1, 30), st.integers(1, 40), st.integers(0, 2**31 - 1), st.integers(1, 50)
)
def test_votes_are_sums_over_the_sorted_neighbours(queries, bank, k, seed, chunk):
    generator = torch.Generator().manual_seed(seed)
    asked = normalize(torch.randn(queries, 4, generator=generator))
    known = normalize(torch.randn(bank, 4, generator=generator))
    labels = torch.randint(3, (bank,), generator=generator)
    votes = knn_votes(asked, known, labels, 3, k, chunk_elements=chunk)
    for query, row in zip(asked, votes):
        cosine = (known @ query).tolist()
        nearest = sorted(range(bank), key=lambda item: -cosine[item])[:k]
        weights = [0.0] * 3
        for item in nearest:
            weights[int(labels[item])] += math.exp(cosine[item] / TEMPERATURE)
        share = [weight / sum(weights) for weight in weights]
        assert (row / row.sum()).tolist() == pytest.approx(share, abs=1e-4)


def test_one_near_neighbour_outweighs_two_far_ones():
    bank = normalize(torch.tensor([[1.0, 0.0], [1.0, 1.0], [1.0, 1.0]]))
    votes = knn_votes(torch.tensor([[1.0, 0.0]]), bank, torch.tensor([0, 1, 1]), 2, k=3)
    assert votes.argmax() == 0
