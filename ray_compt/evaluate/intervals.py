"""How much of a score is luck in the choice of pictures: bootstrap confidence intervals. Pure."""

from __future__ import annotations

import numpy as np
from torch import Tensor

LEVEL = 0.95
RESAMPLES = 10_000


def bootstrap_interval(
    hits: Tensor, asked: Tensor | None = None, *, seed: int, level: float = LEVEL, resamples: int = RESAMPLES
) -> tuple[float, float]:
    """Percentile bootstrap over pictures (Efron and Tibshirani 1993, chapter 13) of a share sum(hits) / sum(asked).

    Drawing N pictures with replacement draws numbers of pictures of each *kind*, those with equal hits and asked, from
    a multinomial distribution; there are few kinds, so a resample costs a handful of numbers and not N.

    Args:
        hits: [N], right answers of each picture.
        asked: [N], questions of each picture, for example its captions; None: one each.
        seed: of the resamples.
        level: of confidence.
        resamples: how many.

    Returns:
        The lower and the upper end, in [0, 1].
    """
    right = hits.cpu().numpy().astype(np.int64)
    questions = np.ones_like(right) if asked is None else asked.cpu().numpy().astype(np.int64)
    kinds, counts = np.unique(np.stack([right, questions]), axis=1, return_counts=True)
    drawn = np.random.default_rng(seed).multinomial(len(right), counts / len(right), size=resamples)
    shares = (drawn @ kinds[0]) / (drawn @ kinds[1])
    low, high = np.quantile(shares, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
