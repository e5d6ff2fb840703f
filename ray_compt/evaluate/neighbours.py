"""Weighted nearest neighbours on frozen features, as DINO's protocol has it. Pure functions of tensors.

Caron et al., arXiv 2104.14294, section 4.1, after Wu et al., arXiv 1805.01978, section 3.4: the k training pictures of
the largest cosine vote for their class, each with the weight exp(cosine / 0.07).
"""

from __future__ import annotations

from torch import Tensor

TEMPERATURE = 0.07
_CHUNK_ELEMENTS = 1 << 24


def knn_votes(
    queries: Tensor,
    bank: Tensor,
    labels: Tensor,
    classes: int,
    k: int,
    *,
    chunk_elements: int = _CHUNK_ELEMENTS,
) -> Tensor:
    """Votes [n, C] of the nearest training pictures.

    Args:
        queries: [n, E] unit features.
        bank: [N, E] unit features of the training pictures.
        labels: [N] int64, their classes in [0, classes).
        classes: C.
        k: neighbours; all training pictures where there are fewer.
        chunk_elements: largest number of similarities held at a time.
    """
    rows = max(1, chunk_elements // max(1, len(bank)))
    votes = queries.new_zeros(len(queries), classes)
    for part, out in zip(queries.split(rows), votes.split(rows)):
        nearest, index = (part @ bank.T).topk(min(k, len(bank)), dim=1)
        # Only quotients of votes matter; less the largest cosine, none overflows.
        weights = ((nearest - nearest[:, :1]) / TEMPERATURE).exp()
        out.scatter_add_(1, labels[index], weights)
    return votes
