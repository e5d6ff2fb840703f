"""The gradient's norm under ZeRO 1 and 2, in one pass and few kernels.

DeepSpeed 0.19 looks at every gradient three times at every step: for its largest and its smallest element, to find
what is not finite, and then, as a copy in float64, for its norm, which finds the same once more. Each look is several
kernels for each of some hundred parameters; a GPU stands still while they are started.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

# What DeepSpeed takes for a norm that is not finite.
NOT_FINITE = -1.0


def quicken_norm(optimizer: Any) -> None:
    """Let a ZeRO optimizer find what is not finite by the norm alone, and the norm by `sum_of_squares`.

    Args:
        optimizer: DeepSpeed's `DeepSpeedZeroOptimizer`; one that keeps its states on the host stays as it is.
    """
    if optimizer.cpu_offload or not optimizer.compute_grad_norm:
        return

    def norm(gradients: Iterable[Tensor], params: object, norm_type: float = 2) -> Tensor:
        total = sum_of_squares(gradients, optimizer.device)
        dist.all_reduce(total, group=optimizer.dp_process_group)
        return torch.where(total.isfinite(), total.sqrt(), NOT_FINITE).float()

    optimizer.get_grad_norm_direct = norm
    optimizer.check_overflow = lambda *_, **__: None


def sum_of_squares(gradients: Iterable[Tensor], device: torch.device | str) -> Tensor:
    """Of all elements: float64 scalar, each gradient's own sum in float32.

    Args:
        gradients: tensors of any shapes; DeepSpeed's padding among them is zero.
        device: of the result.
    """
    found = list(gradients)
    if not found:
        return torch.zeros((), dtype=torch.float64, device=device)
    return norms(found).double().square().sum()


def norms(gradients: list[Tensor]) -> Tensor:
    """Of each gradient: float32 [n], n at least 1; one that is not finite has such a norm."""
    return torch.stack(torch._foreach_norm(gradients, 2, torch.float32))
