"""Retrieval recall from features: pure functions of tensors.

Every metric here is a statement about ranks, so `ranks` is the one place where ties and several right
answers are decided. To add a metric that reads ranks, add a function; nothing here knows models or data.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ray_compt.errors import UserError

RECALL_AT = (1, 5, 10)

# Similarities held at a time; 2^24 float32 are 64 MiB.
_CHUNK_ELEMENTS = 1 << 24


def ranks(
    queries: Tensor, gallery: Tensor, pairs: Tensor, *, chunk_elements: int = _CHUNK_ELEMENTS
) -> Tensor:
    """For every query, the number of wrong gallery items ahead of its best right one.

    A query with several right answers is found at k as soon as one of them is among its k nearest, which
    is the same as "fewer than k wrong items are ahead of its best right one". Ties are decided
    pessimistically: a wrong item that is exactly as similar counts as ahead, so that a collapsed model,
    whose features are all alike, scores 0 and not 1.

    Args:
        queries: [Q, E] float features of unit length.
        gallery: [G, E] float features of unit length, on the same device.
        pairs: [P, 2] int64, the right answers as (query, gallery item), in any order.
        chunk_elements: largest number of similarities held at a time.

    Returns:
        [Q] int64, 0 where the nearest item is a right one.

    Raises:
        UserError: the features hold NaN or infinity.
        ValueError: a query has no right answer.
    """
    require_finite(queries)
    require_finite(gallery)
    pairs = pairs.to(queries.device)
    pairs = pairs[torch.argsort(pairs[:, 0])]
    answers = torch.bincount(pairs[:, 0], minlength=len(queries))
    if bool((answers == 0).any()):
        raise ValueError(f"{int((answers == 0).sum())} queries have no right answer")
    rows = max(1, chunk_elements // max(1, len(gallery)))
    ends = answers.cumsum(0)
    found = [queries.new_empty(0, dtype=torch.int64)]
    for low in range(0, len(queries), rows):
        high = min(low + rows, len(queries))
        first = int(ends[low - 1]) if low else 0
        row, item = pairs[first : int(ends[high - 1])].unbind(1)
        similarity = queries[low:high] @ gallery.T
        right = torch.zeros_like(similarity, dtype=torch.bool)
        right[row - low, item] = True
        best = similarity.masked_fill(~right, -torch.inf).amax(dim=1, keepdim=True)
        found.append(((similarity >= best) & ~right).sum(dim=1))
    return torch.cat(found)


def image_to_text(
    images: Tensor, texts: Tensor, pairs: Tensor, at: Sequence[int] = RECALL_AT
) -> dict[int, float]:
    """Recall@k of pictures that look for their captions: the share of pictures with one of theirs in the k nearest.

    Args:
        images: [N, E] unit features.
        texts: [U, E] unit features of the *distinct* captions: a caption that several pictures share
            stands here once and is right for all of them. With copies in the gallery the copies of a
            wrong caption would fill the k places, and counting only a picture's own copy as right would
            make the score a draw of lots.
        pairs: [M, 2] int64 (picture, caption).
        at: the values of k.

    Returns:
        k -> fraction in [0, 1].
    """
    return recall(ranks(images, texts, pairs), at)


def text_to_image(
    images: Tensor, texts: Tensor, pairs: Tensor, at: Sequence[int] = RECALL_AT
) -> dict[int, float]:
    """Recall@k of captions that look for their pictures.

    Every (picture, caption) pair asks once, so a caption that m pictures share has the weight m and is
    found by any of the m. Without shared captions this is the usual index-against-index recall.

    Args, Returns: as `image_to_text`.
    """
    return recall(caption_ranks(images, texts, pairs), at)


def caption_ranks(images: Tensor, texts: Tensor, pairs: Tensor) -> Tensor:
    """[M] int64: for every (picture, caption) pair, the `ranks` of its caption that looks for its pictures."""
    found = ranks(texts, images, pairs.flip(1))
    return found[pairs[:, 1].to(found.device)]


def require_finite(features: Tensor) -> None:
    """Refuse features that hold NaN or infinity: comparisons with NaN are false, so they would score high."""
    broken = int((~torch.isfinite(features)).any(dim=-1).sum())
    if broken:
        raise UserError(
            f"the model gives NaN or infinite features for {broken} of {len(features)} inputs",
            mend="its training has diverged: train it again with a lower lr, a longer warm-up or grad_clip",
        )


def recall(found: Tensor, at: Sequence[int]) -> dict[int, float]:
    """Share of the ranks [Q] below each k."""
    return {k: (found < k).double().mean().item() for k in at}
