"""One optimizer step of a stage: outputs, the loss over the global batch, backward, update."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from ray_compt.data import Batch
from ray_compt.data.sample_digest import PARTS, Words, to_parts
from ray_compt.train.accumulate import backward_batch
from ray_compt.train.finite import update_if_finite
from ray_compt.train.job import StageJob
from ray_compt.train.loss import world_size
from ray_compt.train.objective import WORKERS, Answer, Objective, Outputs, Targets
from ray_compt.train.requests import Request
from ray_compt.train.schedule import learning_rate


@dataclass(frozen=True)
class StepResult:
    """One step's numbers over the global batch.

    Attributes:
        stats: those of `stat_names` in order, float64 on the device, so that reading it may wait; "skipped" is 1 where
            the loss or the gradient was not finite and the weights stayed as they were, "grad_norm" is the gradient's
            before clipping.
        digest: parts of the digest of the batch's samples (`data/sample_digest.py`), float64 [4], likewise.
        lr: learning rate of the update.
        distill_weight: weight of the distillation loss.
    """

    stats: Tensor
    digest: Tensor
    lr: float
    distill_weight: float


def stat_names(objective: Objective) -> tuple[str, ...]:
    """What a step's numbers are called."""
    return ("loss", *objective.numbers, "valid", "request", "skipped", "grad_norm")


def train_step(
    engine: Any,
    job: StageJob,
    batch: Batch,
    answers: Sequence[Answer] | None,
    device: torch.device,
    *,
    request: Request = Request.NONE,
    micro_batch: int | None = None,
) -> StepResult:
    """Take optimizer step `batch.step`; every worker calls it with its share of the global batch.

    Args:
        answers: each teacher's features of this worker's samples; None: this step does not distil.
        request: rank 0's; every worker finds it in the stats.
        micro_batch: most samples that run at once on this worker; None: its whole share.
    """
    lr = learning_rate(batch.step, job.steps, job.train)
    for group in engine.optimizer.param_groups:
        group["lr"] = lr
    weight = job.distill.at(batch.step, job.steps) if answers is not None else 0.0
    targets = Targets(batch.valid.to(device), batch.labels, answers, weight)
    objective = job.objective

    def embed(rows: slice) -> Outputs:
        return objective.outputs(engine(*objective.inputs(job, engine.module, batch, rows, device)))

    def losses(outputs: Outputs) -> tuple[Tensor, Tensor]:
        loss, numbers = objective.loss(job, outputs, targets, WORKERS)
        return loss, _global_numbers(loss, numbers, targets.valid, batch.digest, request)

    numbers = backward_batch(engine, embed, losses, len(targets.valid), micro_batch)
    update = torch.stack(update_if_finite(engine, numbers[0], job.train.precision))
    objective.updated(engine)
    return StepResult(torch.cat([numbers[:-PARTS], update]), numbers[-PARTS:], lr, weight)


def _global_numbers(
    loss: Tensor, numbers: Sequence[Tensor], valid: Tensor, digest: Words, request: Request
) -> Tensor:
    """The global batch's `stat_names` but the last two, and its digest, float64; collective."""
    asked = torch.full_like(loss, float(request))
    own = torch.stack([loss.detach(), *numbers, valid.sum().float(), asked])
    parts = torch.tensor(to_parts(digest), dtype=torch.float64).to(valid.device, non_blocking=True)
    # One collective for all; the digest's parts need doubles to add up exactly.
    shares = torch.cat([own.double(), parts])
    if world_size() > 1:
        dist.all_reduce(shares)
    return shares
