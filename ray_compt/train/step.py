"""One optimizer step of a stage: forward, both losses over the global batch, backward, update."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from ray_compt.data import Batch, normalise
from ray_compt.data.sample_digest import PARTS, Words, to_parts
from ray_compt.distill.loss import distillation_loss
from ray_compt.train.job import StageJob
from ray_compt.train.loss import clip_loss, gather, world_size
from ray_compt.train.requests import Request
from ray_compt.train.schedule import learning_rate
from ray_compt.train.state import clamp_parameter
from ray_compt.train.student import LARGEST_LOGIT_SCALE, Features

STATS = ("loss", "task_loss", "distill_loss", "valid", "request")


@dataclass(frozen=True)
class StepResult:
    """One step's numbers over the global batch.

    Attributes:
        stats: `STATS` in order, float64 [5] on the device, so that reading it may wait.
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
    teacher: tuple[Tensor, Tensor] | None,
    device: torch.device,
    *,
    request: Request = Request.NONE,
) -> StepResult:
    """Take optimizer step `batch.step`; every worker calls it with its share of the global batch.

    `request` is rank 0's; every worker finds it in the stats.
    """
    lr = learning_rate(batch.step, job.steps, job.train)
    for group in engine.optimizer.param_groups:
        group["lr"] = lr
    features = Features(*engine(*_inputs(job, batch, device)))
    weight = job.distill.at(batch.step, job.steps) if teacher is not None else 0.0
    loss, numbers = _losses(features, teacher, batch.valid.to(device), weight, batch.digest, request)
    # The workers' losses sum to the global one, and DeepSpeed averages gradients over workers.
    engine.backward(loss * world_size(), scale_wrt_gas=False)
    engine.step()
    clamp_parameter(engine, engine.module.clip.logit_scale, LARGEST_LOGIT_SCALE)
    return StepResult(numbers[:-PARTS], numbers[-PARTS:], lr, weight)


def _inputs(job: StageJob, batch: Batch, device: torch.device) -> tuple[Tensor, Tensor]:
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[job.train.precision]
    pixels = normalise(batch.image.to(device, non_blocking=True), job.preprocess.mean, job.preprocess.std)
    return pixels.to(dtype), batch.text.to(device, non_blocking=True)


def _losses(
    features: Features,
    teacher: tuple[Tensor, Tensor] | None,
    valid: Tensor,
    weight: float,
    digest: Words,
    request: Request,
) -> tuple[Tensor, Tensor]:
    """This worker's share of the loss, and the global batch's `STATS` and digest, float64 [9]."""
    batch = gather(features.image, features.text, valid)
    total = batch.valid.sum()
    task = clip_loss(features.image, features.text, features.scale, batch)
    distill = torch.zeros_like(task)
    if teacher is not None:
        image, text = (part.to(valid.device) for part in teacher)
        distill = distillation_loss(features.mapped_image, features.mapped_text, image, text, valid, total)
    loss = task + weight * distill
    asked = torch.full_like(task, float(request))
    numbers = torch.stack([loss.detach(), task.detach(), distill.detach(), valid.sum().float(), asked])
    parts = torch.tensor(to_parts(digest), dtype=torch.float64).to(valid.device, non_blocking=True)
    # One collective for all; the digest's parts need doubles to add up exactly.
    shares = torch.cat([numbers.double(), parts])
    if world_size() > 1:
        dist.all_reduce(shares)
    return loss, shares
