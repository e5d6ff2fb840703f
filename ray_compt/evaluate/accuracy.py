"""How well a classifier does, from its scores: accuracy, accuracy per class, calibration. Pure functions of tensors.

`judge` is the one place where scores of classes are compared. A further metric is a function of `Judged` and a line in
`classification`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

# Scores held at a time; 2^24 float32 are 64 MiB.
_CHUNK_ELEMENTS = 1 << 24
CALIBRATION_BINS = 15


@dataclass(frozen=True)
class Judged:
    """What a classifier says of N pictures, on the CPU.

    Attributes:
        ranks: [N] int64, classes ahead of the right one; `classes` where the classifier does not know that one.
        confidence: [N] float32, the softmax of the scores at the class in front.
        labels: [N] int64, the right classes.
        classes: how many the classifier knows, C.
    """

    ranks: Tensor
    confidence: Tensor
    labels: Tensor
    classes: int

    @property
    def right(self) -> Tensor:
        """[N] bool: the right class is in front."""
        return self.ranks == 0


def judge(
    scores: Callable[[Tensor], Tensor],
    features: Tensor,
    labels: Tensor,
    classes: int,
    *,
    chunk_elements: int = _CHUNK_ELEMENTS,
) -> Judged:
    """Rank the right class of every picture among all.

    Of classes with equal scores the one with the lower number is ahead, as `argmax` has it: two classes of one name
    share their pictures' answers, and a collapsed model names the first class for every picture.

    Args:
        scores: features [n, E] -> scores [n, C], larger for likelier classes.
        features: [N, E].
        labels: [N] int64; numbers from C on stand for classes that the classifier does not know.
        classes: C.
        chunk_elements: largest number of scores held at a time.
    """
    rows = max(1, chunk_elements // max(1, classes))
    numbers = torch.arange(classes, device=features.device)
    found, confidences = [], []
    for part, right in zip(features.split(rows), labels.to(features.device).split(rows)):
        found_scores = scores(part)
        known = right < classes
        own = found_scores.gather(1, right.clamp(max=classes - 1).unsqueeze(1))
        ahead = (found_scores > own) | ((found_scores == own) & (numbers < right.unsqueeze(1)))
        found.append(torch.where(known, ahead.sum(dim=1), classes).cpu())
        confidences.append(found_scores.float().softmax(dim=1).amax(dim=1).cpu())
    return Judged(torch.cat(found), torch.cat(confidences), labels.cpu(), classes)


def classification(judged: Judged, *, calibrated: bool) -> dict[str, float]:
    """`top1`, `top5` (from 5 classes on), `mean_per_class`, and `ece` where the scores are logits."""
    metrics = {"top1": top_k(judged, 1)}
    if judged.classes >= 5:
        metrics["top5"] = top_k(judged, 5)
    metrics["mean_per_class"] = mean_per_class(judged)
    if calibrated:
        metrics["ece"] = calibration_error(judged.confidence, judged.right)
    return metrics


def top_k(judged: Judged, k: int) -> float:
    """Share of pictures whose class is among the k in front."""
    return (judged.ranks < k).double().mean().item()


def mean_per_class(judged: Judged) -> float:
    """Mean over the classes that occur of the share of their pictures that are right (balanced accuracy)."""
    counts = torch.bincount(judged.labels)
    right = torch.bincount(judged.labels, weights=judged.right.double())
    return (right[counts > 0] / counts[counts > 0]).mean().item()


def calibration_error(confidence: Tensor, right: Tensor, bins: int = CALIBRATION_BINS) -> float:
    """Expected calibration error: the mean distance of confidence and accuracy, in bins of equal width.

    Guo et al., arXiv 1706.04599, equation 3: sum over bins of (share of pictures in it) * |accuracy - confidence|;
    bin b holds confidences in (b / bins, (b + 1) / bins].

    Args:
        confidence: [N] in [0, 1].
        right: [N] bool.
        bins: B.
    """
    edges = torch.linspace(0, 1, bins + 1, dtype=confidence.dtype)
    place = (torch.bucketize(confidence, edges) - 1).clamp(0, bins - 1)
    gap = torch.zeros(bins, dtype=torch.float64)
    gap.index_add_(0, place, right.double() - confidence.double())
    return gap.abs().sum().item() / len(confidence)
