"""Logistic regression against scikit-learn's; the search for its regularisation; few shots."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from ray_compt.evaluate.logistic import choose_l2, few_shot_rows, fit_logistic, held_out


def _clusters(pictures: int, classes: int, spread: float, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Unit features around a centre for each class, all on one side of the origin, as a model's are."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(classes, 8, generator=generator)
    labels = torch.arange(pictures) % classes
    noise = spread * torch.randn(pictures, 8, generator=generator)
    return normalize(centres[labels] + noise + 2), labels


def _loss(classifier, features: Tensor, labels: Tensor, l2: float) -> float:
    fit = cross_entropy(classifier(features), labels, reduction="sum").item()
    return fit + l2 / 2 * classifier.weight.square().sum().item()


@pytest.mark.parametrize("l2", [1e-2, 1.0, 30.0])
def test_it_is_scikit_learns(l2):
    features, labels = _clusters(90, 3, 1.0)
    found = fit_logistic(features, labels, 3, l2)
    theirs = LogisticRegression(C=1 / l2, max_iter=5000, tol=1e-8).fit(features.double(), labels)
    torch.testing.assert_close(
        found.weight, torch.from_numpy(theirs.coef_), atol=0.01 * np.abs(theirs.coef_).max(), rtol=0
    )
    assert (found(features).argmax(dim=1).numpy() == theirs.predict(features.double())).mean() > 0.98


def test_where_it_begins_does_not_matter_and_the_loss_is_the_least():
    features, labels = _clusters(90, 3, 1.0)
    cold = fit_logistic(features, labels, 3, 0.5)
    warm = fit_logistic(features, labels, 3, 0.5, fit_logistic(features, labels, 3, 20.0))
    assert _loss(warm, features, labels, 0.5) == pytest.approx(_loss(cold, features, labels, 0.5), rel=1e-5)
    for seed in range(5):
        weight = cold.weight + 0.05 * torch.randn(
            cold.weight.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
        )
        moved = type(cold)(weight, cold.bias)
        assert _loss(moved, features, labels, 0.5) > _loss(cold, features, labels, 0.5)


def test_noise_is_regularised_more_than_clear_classes():
    noisy = choose_l2(*_clusters(200, 4, 4.0), 4, seed=0)
    clear = choose_l2(*_clusters(200, 4, 0.1), 4, seed=0)
    assert clear.held_out_top1 == 1.0
    assert noisy.held_out_top1 is not None and 0.25 < noisy.held_out_top1 < 0.9
    assert 1e-6 <= noisy.l2 <= 1e6


def test_a_fifth_of_each_class_is_held_out_and_no_class_as_a_whole():
    labels = torch.tensor([0] * 50 + [1] * 10 + [2] * 2 + [3])
    held = held_out(labels, seed=1)
    assert torch.bincount(labels[held], minlength=4).tolist() == [10, 2, 0, 0]
    assert torch.equal(held, held_out(labels, seed=1))
    assert not torch.equal(held, held_out(labels, seed=2))


def test_where_nothing_can_be_held_out_there_is_no_search():
    choice = choose_l2(torch.eye(3), torch.arange(3), 3, seed=0)
    assert (choice.l2, choice.held_out_top1) == (1.0, None)


def test_few_shots_are_nested_and_no_more_than_there_are():
    labels = torch.tensor([0] * 20 + [1] * 20 + [2] * 3)
    one, four = (few_shot_rows(labels, shots, seed=0, draw=0) for shots in (1, 4))
    assert torch.bincount(labels[four]).tolist() == [4, 4, 3]
    assert torch.bincount(labels[one]).tolist() == [1, 1, 1]
    assert set(one.tolist()) <= set(four.tolist())
    assert set(four.tolist()) != set(few_shot_rows(labels, 4, seed=0, draw=1).tolist())
