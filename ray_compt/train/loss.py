"""The losses over the global batch, the same for every number of workers.

Each worker computes its own rows against everybody's features, such that the workers' losses *sum* to the
loss of the global batch; gradients flow back through the gather. Nothing here knows DeepSpeed or Ray.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Gathered:
    """Features of the global batch of N = W n samples, as seen by one of W workers.

    Attributes:
        image: unit vectors, float32 [N, E].
        text: unit vectors, float32 [N, K, E].
        valid: bool [N]; False marks samples that could not be read.
        offset: row at which this worker's n samples begin.
    """

    image: Tensor
    text: Tensor
    valid: Tensor
    offset: int


class _AllGather(torch.autograd.Function):
    """Concatenate every worker's tensor in rank order; the backward sums over workers and takes its own part.

    torch's differentiable gathers are deprecated or private in 2.15, and need collectives that gloo lacks.
    """

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        ctx.rows = len(tensor)
        parts = [torch.empty_like(tensor) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, tensor.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        gradient = gradient.contiguous()
        dist.all_reduce(gradient)
        return gradient.narrow(0, dist.get_rank() * ctx.rows, ctx.rows)


def world_size() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


def gather(image: Tensor, text: Tensor, valid: Tensor) -> Gathered:
    """Concatenate every worker's features in rank order; the backward sums the workers' gradients.

    Args:
        image: [n, E].
        text: [n, K, E].
        valid: bool [n].
    """
    if world_size() == 1:
        return Gathered(image, text, valid, 0)
    flags = [torch.empty_like(valid) for _ in range(world_size())]
    dist.all_gather(flags, valid)
    return Gathered(
        _AllGather.apply(image),
        _AllGather.apply(text),
        torch.cat(flags),
        dist.get_rank() * len(image),
    )


def total_over_workers(number: Tensor) -> Tensor:
    """The sum over workers of a number without a gradient."""
    total = number.detach().clone()
    if world_size() > 1:
        dist.all_reduce(total)
    return total


def classification_share(logits: Tensor, classes: Tensor, total: Tensor, label_smoothing: float) -> Tensor:
    """This worker's share of the cross-entropy, averaged over the V samples of the global batch that have a class.

    Args:
        logits: of this worker's samples, float32 [n, C].
        classes: int64 [n]; -1 marks samples that take no part.
        total: V, a number.
        label_smoothing: e of the target (1 - e) one-hot + e / C (arXiv 1512.00567, section 7).

    Returns:
        float32 scalar; the sum over workers is the loss, 0 where V is.
    """
    losses = F.cross_entropy(
        logits, classes, ignore_index=-1, reduction="sum", label_smoothing=label_smoothing
    )
    return losses / total.clamp(min=1)


def clip_loss(image: Tensor, text: Tensor, scale: Tensor, batch: Gathered) -> Tensor:
    """This worker's share of CLIP's symmetric cross-entropy, averaged over K captions.

    With S_k = scale * image . text_k^T over the global batch and V valid samples,
    L = 1/(2 V K) sum_k sum_i [CE(S_k[i, :], i) + CE(S_k[:, i], i)]; this function returns the terms of its
    own i. Invalid samples are neither rows nor candidates. (CLIP, arXiv 2103.00020, fig. 3; averaging over
    captions as in CoM-PT, arXiv 2604.12391.)

    Args:
        image: this worker's unit vectors, float32 [n, E].
        text: this worker's unit vectors, float32 [n, K, E].
        scale: exp(logit_scale), scalar or [1].
        batch: the gathered features.

    Returns:
        float32 scalar; the sum over workers is L.
    """
    n, captions, _ = text.shape
    rows = torch.arange(n, device=image.device)
    targets = rows + batch.offset
    mine = batch.valid[batch.offset : batch.offset + n]
    # A finite floor instead of -inf: an invalid row's own target is masked too, and inf - inf is nan.
    floor = torch.zeros(len(batch.valid), device=image.device).masked_fill(~batch.valid, -1e9)
    total = image.new_zeros(())
    for k in range(captions):
        to_text = scale * image @ batch.text[:, k].T + floor
        to_image = scale * text[:, k] @ batch.image.T + floor
        for logits in (to_text, to_image):
            losses = F.cross_entropy(logits, targets, reduction="none")
            total = total + losses.masked_fill(~mine, 0.0).sum()
    return total / (2 * captions * batch.valid.sum().clamp(min=1))


def unit(features: Tensor) -> Tensor:
    """Normalise the last axis in float32, whatever the precision the towers ran in."""
    return F.normalize(features.float(), dim=-1)
