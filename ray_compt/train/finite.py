"""Leaving out the steps whose loss or gradient is not finite, the same on every worker.

- Loss: the global batch's loss is known to every worker before the backward pass. Where it is not finite, its
  gradient is made nan everywhere, so that the rule for gradients decides alone.
- ZeRO 1 to 3, and fp16: DeepSpeed 0.19 takes the norm of the reduced gradient over all workers and skips its
  update where that is not finite (`overflow` in zero/stage_1_and_2.py, zero/stage3.py). It waits for the norm
  at every step anyway (`gradient_norm.py` makes it cheaper).
- ZeRO 0 in float32: DeepSpeed does not look. The gradient has been averaged over workers, so each of them sees
  the same; torch's fused AdamW skips an update by itself, weights, moments and step count, where its
  `found_inf` is 1. Costs one pass over the gradient and no waiting.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ray_compt.train.gradient_norm import norms


def gradient_factor(loss: Tensor) -> Tensor:
    """What a worker's part of the loss is multiplied with before its backward pass.

    The workers' parts sum to the loss, and DeepSpeed averages gradients over workers, hence their number; nan
    where the loss of the global batch is not finite.

    Args:
        loss: of the global batch, scalar.

    Returns:
        float32 scalar.
    """
    workers = dist.get_world_size() if dist.is_initialized() else 1
    return torch.where(loss.isfinite(), float(workers), torch.nan).float()


def update_if_finite(engine: Any, loss: Tensor, precision: str) -> tuple[Tensor, Tensor]:
    """Take the optimizer's step, unless the gradient is not finite.

    Args:
        engine: DeepSpeed's, after its backward passes.
        loss: of the global batch, scalar.
        precision: `train.precision`. An overflow of fp16 is the business of its loss scaler, which skips
            steps while it searches a scale, and no bad step.

    Returns:
        Two float64 scalars on the device: 1 where the step was bad, else 0; and the gradient's norm before
        clipping, not finite where the gradient is not.
    """
    if precision == "fp16":
        engine.step()
        return (~loss.isfinite()).double(), _deepspeeds_norm(engine, loss)
    if engine.zero_optimization_stage() == 0:
        norm = _norm(engine.module.parameters())
        # DeepSpeed's own rule for the other stages.
        engine.optimizer.found_inf = (~norm.isfinite()).float()
        engine.step()
        return engine.optimizer.found_inf.double(), norm.double()
    engine.step()
    skipped = torch.full_like(loss, float(engine.optimizer.overflow), dtype=torch.float64)
    return skipped, _deepspeeds_norm(engine, loss)


def _norm(parameters: Iterable[nn.Parameter]) -> Tensor:
    """Of all gradients together, float32 scalar."""
    return torch.linalg.vector_norm(norms([p.grad for p in parameters if p.grad is not None]))


def _deepspeeds_norm(engine: Any, loss: Tensor) -> Tensor:
    """The norm that DeepSpeed's step has taken anyway, as a float64 scalar on the loss's device."""
    norm = engine.get_global_grad_norm()
    return torch.as_tensor(torch.nan if norm is None else norm, dtype=torch.float64).to(loss.device)
