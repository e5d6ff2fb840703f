"""Accuracy and calibration against scikit-learn, torchmetrics and brute force."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, top_k_accuracy_score
from torch import Tensor
from torchmetrics.functional.classification import multiclass_calibration_error

from ray_compt.evaluate.accuracy import calibration_error, classification, judge

QUICK = settings(deadline=None, max_examples=40)


def _problem(pictures: int, classes: int, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    scores = 3 * torch.randn(pictures, classes, generator=generator)
    return scores, torch.randint(classes, (pictures,), generator=generator)


@pytest.mark.filterwarnings("ignore")
@QUICK
@given(st.integers(2, 60), st.integers(5, 9), st.integers(0, 2**31 - 1), st.integers(1, 100))
def test_it_is_what_scikit_learn_says(pictures, classes, seed, chunk):
    scores, labels = _problem(pictures, classes, seed)
    found = classification(
        judge(lambda part: part, scores, labels, classes, chunk_elements=chunk), calibrated=False
    )
    everything = list(range(classes))
    for k in (1, 5):
        assert found[f"top{k}"] == pytest.approx(top_k_accuracy_score(labels, scores, k=k, labels=everything))
    assert found["mean_per_class"] == pytest.approx(balanced_accuracy_score(labels, scores.argmax(dim=1)))
    assert "ece" not in found


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", range(5))
def test_calibration_is_what_torchmetrics_says(seed):
    scores, labels = _problem(200, 6, seed)
    found = classification(judge(lambda part: part, scores, labels, 6), calibrated=True)["ece"]
    expected = multiclass_calibration_error(scores, labels, num_classes=6, n_bins=15, norm="l1")
    assert found == pytest.approx(expected.item(), abs=1e-5)


def test_calibration_by_hand():
    confidence = torch.tensor([0.9, 0.9, 0.9, 0.5])
    right = torch.tensor([True, True, False, True])
    # Bin of the three: accuracy 2/3, confidence 0.9; of the one: accuracy 1, confidence 0.5.
    assert calibration_error(confidence, right) == pytest.approx(3 / 4 * (0.9 - 2 / 3) + 1 / 4 * 0.5)
    assert calibration_error(torch.tensor([1.0, 0.0]), torch.tensor([True, False])) == 0


def test_equal_scores_fall_to_the_lower_class():
    labels = torch.tensor([0, 1, 2, 2])
    found = judge(lambda part: torch.zeros(len(part), 3), torch.zeros(4, 1), labels, 3)
    assert found.ranks.tolist() == [0, 1, 2, 2]


def test_a_class_that_the_classifier_does_not_know_is_wrong_at_any_k():
    scores, labels = torch.eye(6)[:3], torch.tensor([0, 1, 6])
    found = classification(judge(lambda part: part, scores, labels, 6), calibrated=False)
    assert found["top1"] == found["top5"] == found["mean_per_class"] == pytest.approx(2 / 3)


def test_below_five_classes_there_is_no_top_5():
    assert "top5" not in classification(judge(lambda part: part, *_problem(9, 4, 0), 4), calibrated=True)
