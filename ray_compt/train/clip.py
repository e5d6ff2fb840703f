"""CLIP's objective: contrast captions and pictures over the global batch, and stay near the teachers' features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, cast

import torch
from torch import Tensor, nn

from ray_compt.data import Batch, normalise
from ray_compt.models.short_text import Captions, without_padding
from ray_compt.train.compiling import compile_towers
from ray_compt.train.distilling import distillation_share
from ray_compt.train.loss import clip_loss
from ray_compt.train.objective import DTYPES, Exchange, Targets
from ray_compt.train.state import clamp_parameter
from ray_compt.train.student import LARGEST_LOGIT_SCALE, Features, Student, load_initial

if TYPE_CHECKING:
    from ray_compt.train.job import StageJob


@dataclass(frozen=True)
class ClipObjective:
    """The contrastive loss, and where the job has teachers the distillation loss by its weight."""

    numbers: ClassVar[tuple[str, ...]] = ("task_loss", "distill_loss")

    @property
    def identity(self) -> dict[str, Any]:
        return {}

    def build(self, job: StageJob) -> Student:
        return Student(job.model, job.map_widths, job.seed, checkpointing=job.train.activation_checkpointing)

    def load(self, module: nn.Module, weights: dict[str, Tensor]) -> None:
        load_initial(cast(Student, module), weights)

    def compile(self, module: nn.Module) -> None:
        compile_towers(module.clip)

    def inputs(
        self, job: StageJob, module: nn.Module, batch: Batch, rows: slice, device: torch.device
    ) -> tuple[Tensor, Tensor | Captions]:
        """Pixels [n, 3, H, W] in the student's precision, and n K captions."""
        text = without_padding(cast(nn.Module, module.clip), batch.text[rows].flatten(0, 1)).to(device)
        return pixels(job, batch, rows, device), text

    def outputs(self, tensors: Sequence[Tensor]) -> Features:
        return Features.of(tensors)

    def loss(
        self, job: StageJob, outputs: Features, targets: Targets, exchange: Exchange
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        valid = targets.valid
        batch = exchange.gather(outputs.image, outputs.text, valid)
        task = clip_loss(outputs.image, outputs.text, outputs.scale, batch)
        distill = torch.zeros_like(task)
        if targets.answers is not None:
            placed = [(image.to(valid.device), text.to(valid.device)) for image, text in targets.answers]
            distill = distillation_share(job, outputs, batch, placed, exchange.gather)
        loss = task + targets.distill_weight * distill
        return loss, (task.detach(), distill.detach())

    def updated(self, engine: Any) -> None:
        clamp_parameter(engine, engine.module.clip.logit_scale, LARGEST_LOGIT_SCALE)


def pixels(job: StageJob, batch: Batch, rows: slice, device: torch.device) -> Tensor:
    """Rows of a batch's pictures, normalised, [n, 3, H, W] in the job's precision."""
    image = batch.image[rows].to(device, non_blocking=True)
    return normalise(image, job.preprocess.mean, job.preprocess.std).to(DTYPES[job.train.precision])
