"""Feature space: three ways to say how far a stage's embeddings are from a frozen teacher's.

Each gives every sample of this worker a term for its image and one for its captions; `worker_share` turns them
into the worker's share of the loss, such that the shares of all workers sum to the loss of the global batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Added to the logits of candidates that could not be read. Finite: two of -inf would make nan.
FLOOR = -1e9


class FeatureMaps(nn.Module):
    """Learnt linear maps from the student's embedding to a teacher's of another width.

    They are trained with the student and never exported. Where the widths agree, or only similarities are
    compared, there is nothing to learn and the stage has no such module.

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


@dataclass(frozen=True)
class Side:
    """The features of one model, the student or a teacher, as one of W workers sees them.

    Attributes:
        image, text: unit vectors of this worker's n samples, float32 [n, E] and [n, K, E].
        all_image, all_text: of the global batch of N = W n samples, [N, E] and [N, K, E].
        scale: exp(logit_scale), a number, a scalar or [1].
    """

    image: Tensor
    text: Tensor
    all_image: Tensor
    all_text: Tensor
    scale: Tensor | float


Terms = tuple[Tensor, Tensor]


def embedding_terms(image: Tensor, text: Tensor, teacher_image: Tensor, teacher_text: Tensor) -> Terms:
    """The paper's loss: image_i = 1 - cos(image_i), text_i = 1/K sum_k [1 - cos(text_ik)], each to the teacher's.

    For unit vectors of width E, the paper's alpha * (element-mean squared error) equals
    2 (alpha / E) (1 - cos), so its alpha = 500 at E = 512 is the weight 1.95 of `DistillConfig`. (CoM-PT,
    arXiv 2604.12391.)

    Args:
        image, teacher_image: unit vectors, float32 [n, E], the student's in the teacher's space.
        text, teacher_text: likewise, [n, K, E].

    Returns:
        Both terms, float32 [n].
    """
    return 1 - (image * teacher_image).sum(-1), (1 - (text * teacher_text).sum(-1)).mean(-1)


def relational_terms(student: Side, teacher: Side, valid: Tensor) -> Terms:
    """Affinity mimicking: the student's similarities within the global batch against the teacher's.

    With S_k = scale * image . text_k^T of the student, T_k of the teacher, each at its own scale, and softmax over
    the valid samples,

        image_i = 1/(2K) sum_k KL(softmax(T_k[i, :]) || softmax(S_k[i, :]))
        text_i  = 1/(2K) sum_k KL(softmax(T_k[:, i]) || softmax(S_k[:, i]))

    TinyCLIP (arXiv 2309.12314, "affinity mimicking") takes the cross-entropy, CLIP-KD (arXiv 2307.12732,
    "contrastive relational distillation") the divergence; they differ by the teacher's entropy, a constant, and
    the divergence is 0 where the student agrees. Widths may differ: only similarities within a model are compared.

    Args:
        valid: bool [N]; the others are no candidates.

    Returns:
        Both terms, float32 [n].
    """
    captions = student.text.shape[1]
    image, text = (student.image.new_zeros(len(student.image)) for _ in range(2))
    for k in range(captions):
        to_text, to_image = _affinities(student, k, valid)
        taught_text, taught_image = _affinities(teacher, k, valid)
        image = image + _divergence(taught_text, to_text)
        text = text + _divergence(taught_image, to_image)
    return image / (2 * captions), text / (2 * captions)


def contrastive_terms(
    image: Tensor, text: Tensor, scale: Tensor, teacher: Side, valid: Tensor, offset: int
) -> Terms:
    """Interactive contrastive learning: CLIP's loss with the teacher's features as candidates.

        image_i = 1/(2K) sum_k CE(scale * image_i . teacher_text_k^T, i)
        text_i  = 1/(2K) sum_k CE(scale * text_ik . teacher_image^T, i)

    over the valid samples of the global batch (CLIP-KD, arXiv 2307.12732, "interactive contrastive learning").

    Args:
        image, text: the student's unit vectors in the teacher's space, float32 [n, E_t] and [n, K, E_t].
        scale: the student's exp(logit_scale), scalar or [1].
        valid: bool [N]; the others are no candidates.
        offset: row of the global batch at which this worker's n samples begin.

    Returns:
        Both terms, float32 [n].
    """
    captions, targets = text.shape[1], torch.arange(len(image), device=image.device) + offset
    image_term, text_term = (image.new_zeros(len(image)) for _ in range(2))
    for k in range(captions):
        to_text = _logits(image, teacher.all_text[:, k], scale, valid)
        to_image = _logits(text[:, k], teacher.all_image, scale, valid)
        image_term = image_term + F.cross_entropy(to_text, targets, reduction="none")
        text_term = text_term + F.cross_entropy(to_image, targets, reduction="none")
    return image_term / (2 * captions), text_term / (2 * captions)


def worker_share(terms: Terms, towers: str, valid: Tensor, total: Tensor) -> Tensor:
    """This worker's share of mean_i (image_i + text_i), or of the chosen tower's term alone.

    Args:
        terms: of this worker's samples, float32 [n] each.
        towers: "both", "image" or "text".
        valid: bool [n]; the others cost nothing.
        total: number of valid samples in the global batch, scalar.

    Returns:
        float32 scalar; the sum over workers is the mean over the global batch.
    """
    image, text = terms
    chosen = {"both": image + text, "image": image, "text": text}[towers]
    return chosen.masked_fill(~valid, 0.0).sum() / total.clamp(min=1)


def _affinities(side: Side, k: int, valid: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probabilities [n, N] of the k-th captions for each own image, and of the images for each k-th caption."""
    to_text = _logits(side.image, side.all_text[:, k], side.scale, valid)
    to_image = _logits(side.text[:, k], side.all_image, side.scale, valid)
    return to_text.log_softmax(-1), to_image.log_softmax(-1)


def _logits(rows: Tensor, candidates: Tensor, scale: Tensor | float, valid: Tensor) -> Tensor:
    return scale * rows @ candidates.T + FLOOR * ~valid


def _divergence(target: Tensor, found: Tensor) -> Tensor:
    """KL(target || found) of each row of log-probabilities."""
    return F.kl_div(found, target, reduction="none", log_target=True).sum(-1)
