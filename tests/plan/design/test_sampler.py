"""The sampler draws from the density that it is given, even where its reference is another."""

from __future__ import annotations

import numpy as np
import pytest

from ray_compt.plan.design.sampler import WIDER, Reference, slice_step


def test_draws_follow_the_density_and_not_the_reference():
    reference = Reference(np.zeros(2), np.eye(2) / WIDER**2)
    mean, scale = np.array([0.8, -0.5]), np.array([0.4, 0.7])

    def weight(points, rows):
        wanted = -(((reference.at(points) - mean) / scale) ** 2).sum(axis=1) / 2
        return wanted + (points**2).sum(axis=1) / 2

    random = np.random.default_rng(0)
    points = random.standard_normal((4000, 2))
    for _ in range(25):
        points = slice_step(points, weight, random)
    found = reference.at(points)
    assert found.mean(axis=0) == pytest.approx(mean, abs=0.04)
    assert found.std(axis=0) == pytest.approx(scale, abs=0.04)


def test_the_reference_has_the_covariance_that_it_is_given():
    covariance = np.array([[2.0, 0.6], [0.6, 1.0]])
    points = np.random.default_rng(0).standard_normal((20000, 2))
    found = Reference(np.array([3.0, -1.0]), covariance).at(points)
    assert found.mean(axis=0) == pytest.approx([3, -1], abs=0.05)
    assert np.cov(found.T) / WIDER**2 == pytest.approx(covariance, abs=0.07)
