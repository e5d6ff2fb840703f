"""Feature space: how far a stage's embeddings are from its frozen predecessor's."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class FeatureMaps(nn.Module):
    """Learnt linear maps from the student's embedding to a teacher's of another width.

    They are trained with the student and never exported. Where the widths agree there is nothing to learn
    and the stage has no such module.

    Args:
        student_width: E.
        teacher_width: E_t.
        seed: of the initial weights, drawn from N(0, 1/E).
    """

    def __init__(self, student_width: int, teacher_width: int, seed: int):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        shape = (teacher_width, student_width)
        self.image = nn.Parameter(torch.randn(shape, generator=generator) / student_width**0.5)
        self.text = nn.Parameter(torch.randn(shape, generator=generator) / student_width**0.5)

    def forward(self, image: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
        """Map [..., E] to [..., E_t], in the precision of the weights."""
        return image.to(self.image.dtype) @ self.image.T, text.to(self.text.dtype) @ self.text.T


def distillation_loss(
    image: Tensor, text: Tensor, teacher_image: Tensor, teacher_text: Tensor, valid: Tensor, total: Tensor
) -> Tensor:
    """This worker's share of mean_i [(1 - cos_image,i) + mean_k (1 - cos_text,i,k)].

    For unit vectors of width E, the paper's alpha * (element-mean squared error) equals
    2 (alpha / E) (1 - cos), so its alpha = 500 at E = 512 is the weight 1.95 of `DistillConfig`.

    Args:
        image, teacher_image: unit vectors, float32 [n, E].
        text, teacher_text: unit vectors, float32 [n, K, E].
        valid: bool [n].
        total: number of valid samples in the global batch, scalar.

    Returns:
        float32 scalar; the sum over workers is the mean over the global batch.
    """
    image_term = 1 - (image * teacher_image).sum(-1)
    text_term = (1 - (text * teacher_text).sum(-1)).mean(-1)
    return (image_term + text_term).masked_fill(~valid, 0.0).sum() / total.clamp(min=1)
