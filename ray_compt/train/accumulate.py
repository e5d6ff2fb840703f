"""Gradients of the global batch on devices that cannot hold their share of it at once.

The contrastive loss couples every sample with every other, so plain accumulation over micro-batches would
train on smaller batches. GradCache (arXiv 2101.06983) is exact: embed every micro-batch without a graph, take
the loss's gradient of the features over the whole batch, then embed each micro-batch again with a graph and
backward the inner product of its features with their gradients. It costs a second forward pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from ray_compt.train.finite import gradient_factor
from ray_compt.train.objective import Outputs

Embed = Callable[[slice], Outputs]
Losses = Callable[[Any], tuple[Tensor, Tensor]]


class Engine(Protocol):
    """The part of DeepSpeed's engine that gradients need."""

    def backward(self, loss: Tensor, *, scale_wrt_gas: bool) -> object: ...

    def set_gradient_accumulation_boundary(self, is_boundary: bool) -> None: ...


def backward_batch(
    engine: Engine, embed: Embed, losses: Losses, share: int, micro_batch: int | None
) -> Tensor:
    """Bring the gradient of the global batch's loss into the engine; every worker calls it with its share.

    Args:
        engine: whose parameters receive the gradient.
        embed: outputs of the given rows of this worker's share.
        losses: from the outputs of the whole share to this worker's part of the loss, whose sum over workers
            is the loss, and to the global batch's numbers, of which the first is the loss.
        share: this worker's rows of the global batch.
        micro_batch: most rows that run at once; the last part may be smaller. None: the share.

    Returns:
        The global batch's numbers.
    """
    parts = split(share, micro_batch)
    if len(parts) == 1:
        loss, numbers = losses(embed(parts[0]))
        engine.backward(loss * gradient_factor(numbers[0]), scale_wrt_gas=False)
        return numbers
    with torch.no_grad():
        outputs = _joined([embed(part) for part in parts])
    gradients, numbers = output_gradients(outputs, losses)
    factor = gradient_factor(numbers[0])
    for part in parts:
        # DeepSpeed only adds up until the last part, which it may reduce over workers.
        engine.set_gradient_accumulation_boundary(part is parts[-1])
        loss = inner_product(embed(part), gradients, part, len(parts))
        engine.backward(loss * factor, scale_wrt_gas=False)
    return numbers


def split(share: int, micro_batch: int | None) -> list[slice]:
    """Rows [0, share) in consecutive parts of at most `micro_batch` rows."""
    size = micro_batch or share
    return [slice(start, min(start + size, share)) for start in range(0, share, size)]


def output_gradients(outputs: Outputs, losses: Losses) -> tuple[list[Tensor | None], Tensor]:
    """The loss's gradient of each tensor of `Outputs`, None where the loss does not use it; and its numbers."""
    leaves = [tensor.detach().requires_grad_() for tensor in outputs.tensors]
    loss, numbers = losses(outputs.of(leaves))
    return list(torch.autograd.grad(loss, leaves, allow_unused=True)), numbers


def inner_product(outputs: Outputs, gradients: Sequence[Tensor | None], rows: slice, parts: int) -> Tensor:
    """Sum of the outputs of `rows` times their gradients: a scalar with the loss's gradient of the weights.

    Every part computes the same shared tensors, so each takes one of `parts` equal shares of their gradient.
    """
    total = outputs.tensors[-1].new_zeros(())
    for place, (tensor, gradient) in enumerate(zip(outputs.tensors, gradients)):
        if gradient is not None:
            mine = gradient / parts if place < outputs.shared else gradient[rows]
            total = total + (tensor * mine).sum()
    return total


def _joined(parts: list[Outputs]) -> Outputs:
    first, shared = parts[0], parts[0].shared
    rowwise = zip(*(part.tensors[shared:] for part in parts))
    return first.of([*first.tensors[:shared], *map(torch.cat, rowwise)])
