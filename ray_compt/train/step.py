"""One optimizer step of a stage: features, both losses over the global batch, backward, update."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ray_compt.data import Batch, normalise
from ray_compt.data.sample_digest import PARTS, Words, to_parts
from ray_compt.models.short_text import Captions, without_padding
from ray_compt.train.accumulate import backward_batch
from ray_compt.train.distilling import Answer, distillation_share
from ray_compt.train.finite import update_if_finite
from ray_compt.train.job import StageJob
from ray_compt.train.loss import clip_loss, gather, world_size
from ray_compt.train.requests import Request
from ray_compt.train.schedule import learning_rate
from ray_compt.train.state import clamp_parameter
from ray_compt.train.student import LARGEST_LOGIT_SCALE, Features

STATS = ("loss", "task_loss", "distill_loss", "valid", "request", "skipped", "grad_norm")
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class StepResult:
    """One step's numbers over the global batch.

    Attributes:
        stats: `STATS` in order, float64 [7] on the device, so that reading it may wait; "skipped" is 1 where
            the loss or the gradient was not finite and the weights stayed as they were, "grad_norm" is the
            gradient's before clipping.
        digest: parts of the digest of the batch's samples (`data/sample_digest.py`), float64 [4], likewise.
        lr: learning rate of the update.
        distill_weight: weight of the distillation loss.
    """

    stats: Tensor
    digest: Tensor
    lr: float
    distill_weight: float


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
    valid = batch.valid.to(device)

    def embed(rows: slice) -> Features:
        return Features.of(engine(*inputs(job, batch, rows, device, engine.module.clip)))

    def losses(features: Features) -> tuple[Tensor, Tensor]:
        return _losses(job, features, answers, valid, weight, batch.digest, request)

    numbers = backward_batch(engine, embed, losses, len(valid), micro_batch)
    update = torch.stack(update_if_finite(engine, numbers[0], job.train.precision))
    clamp_parameter(engine, engine.module.clip.logit_scale, LARGEST_LOGIT_SCALE)
    return StepResult(torch.cat([numbers[:-PARTS], update]), numbers[-PARTS:], lr, weight)


def inputs(
    job: StageJob, batch: Batch, rows: slice, device: torch.device, model: nn.Module
) -> tuple[Tensor, Tensor | Captions]:
    """Rows of a batch as the student takes them: pixels [n, 3, H, W] in its precision, and n K captions."""
    text = without_padding(model, batch.text[rows].flatten(0, 1)).to(device)
    image = batch.image[rows].to(device, non_blocking=True)
    pixels = normalise(image, job.preprocess.mean, job.preprocess.std)
    return pixels.to(DTYPES[job.train.precision]), text


def _losses(
    job: StageJob,
    features: Features,
    answers: Sequence[Answer] | None,
    valid: Tensor,
    weight: float,
    digest: Words,
    request: Request,
) -> tuple[Tensor, Tensor]:
    """This worker's share of the loss, and the global batch's `STATS` but the last two, and digest: float64 [9]."""
    batch = gather(features.image, features.text, valid)
    task = clip_loss(features.image, features.text, features.scale, batch)
    distill = torch.zeros_like(task)
    if answers is not None:
        placed = [(image.to(valid.device), text.to(valid.device)) for image, text in answers]
        distill = distillation_share(job, features, batch, placed, gather)
    loss = task + weight * distill
    asked = torch.full_like(task, float(request))
    numbers = torch.stack([loss.detach(), task.detach(), distill.detach(), valid.sum().float(), asked])
    parts = torch.tensor(to_parts(digest), dtype=torch.float64).to(valid.device, non_blocking=True)
    # One collective for all; the digest's parts need doubles to add up exactly.
    shares = torch.cat([numbers.double(), parts])
    if world_size() > 1:
        dist.all_reduce(shares)
    return loss, shares
