"""Positional embeddings for another image size."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def resize_grid(embedding: Tensor, source: tuple[int, int], target: tuple[int, int]) -> Tensor:
    """Interpolate a ViT's positional embedding, the class token's row kept.

    Args:
        embedding: [1 + rows * columns, D] for the source's grid, class token first.
        source: rows and columns of patches.
        target: those of the result.

    Returns:
        [1 + rows * columns, D] for the target's grid: bicubic with antialiasing, as open_clip does when it
        loads a checkpoint at another image size. The network's function changes.
    """
    if source == target:
        return embedding
    token, grid = embedding[:1], embedding[1:]
    picture = grid.reshape(1, *source, -1).permute(0, 3, 1, 2)
    resized = F.interpolate(picture, size=target, mode="bicubic", antialias=True, align_corners=False)
    return torch.cat([token, resized.permute(0, 2, 3, 1).reshape(target[0] * target[1], -1)])
