"""Bootstrap intervals against a plain bootstrap that draws pictures one by one, and against theory."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ray_compt.evaluate.intervals import bootstrap_interval


def _plain(hits: np.ndarray, asked: np.ndarray, resamples: int = 4000) -> tuple[float, float]:
    generator = np.random.default_rng(1)
    rows = generator.integers(len(hits), size=(resamples, len(hits)))
    shares = hits[rows].sum(axis=1) / asked[rows].sum(axis=1)
    return tuple(np.quantile(shares, [0.025, 0.975]))


def test_it_is_the_plain_bootstrap():
    generator = np.random.default_rng(0)
    asked = generator.integers(1, 6, size=200)
    hits = generator.binomial(asked, 0.6)
    found = bootstrap_interval(torch.from_numpy(hits), torch.from_numpy(asked), seed=0)
    assert found == pytest.approx(_plain(hits, asked), abs=0.006)


def test_of_single_answers_it_is_the_normal_interval():
    hits = torch.arange(1000) < 300
    low, high = bootstrap_interval(hits, seed=0)
    half = 1.96 * (0.3 * 0.7 / 1000) ** 0.5
    assert (low, high) == (pytest.approx(0.3 - half, abs=0.002), pytest.approx(0.3 + half, abs=0.002))


def test_captions_of_one_picture_are_drawn_together():
    """Five captions that are found or lost together say as much as one: the interval must not shrink."""
    once = torch.arange(100) < 50
    alone = bootstrap_interval(once, seed=0)
    assert bootstrap_interval(5 * once.long(), torch.full((100,), 5), seed=0) == alone


def test_the_seed_decides_and_certainty_has_no_width():
    hits = torch.arange(50) < 20
    assert bootstrap_interval(hits, seed=3) == bootstrap_interval(hits, seed=3)
    assert bootstrap_interval(torch.ones(9), seed=0) == (1.0, 1.0)
