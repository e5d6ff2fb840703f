"""What a step of a stage computes and sends, from its settings and its model."""

from __future__ import annotations

from typing import Any

from ray_compt.config.schema import StageConfig
from ray_compt.models import count_macs
from ray_compt.plan.cluster.layout import Layout
from ray_compt.plan.cluster.memory import Footprint, activation_bytes, loss_bytes, state_bytes
from ray_compt.plan.cluster.step import Work
from ray_compt.plan.cost import FORWARDS_PER_TRAINED_SAMPLE

FLOPS_PER_MAC = 2


def make_work(
    stage: StageConfig,
    config: dict[str, Any],
    captions: int,
    parameters: int,
    *,
    forwards: int = FORWARDS_PER_TRAINED_SAMPLE,
    teacher_macs: float = 0.0,
) -> Work:
    """A step's work.

    Args:
        stage: its settings.
        config: open_clip's, of its model.
        captions: a picture.
        parameters: of the model.
        forwards: cost of training on a sample, in forward passes of the model.
        teacher_macs: of one forward pass of all its teachers on one sample.
    """
    zero = stage.train.deepspeed.get("zero_optimization", {})
    return Work(
        batch=stage.train.global_batch,
        captions=captions,
        embed_dim=config["embed_dim"],
        parameters=parameters,
        student=FLOPS_PER_MAC * forwards * float(count_macs(config).forward(captions)),
        teacher=FLOPS_PER_MAC * float(teacher_macs),
        precision=stage.train.precision,
        teacher_precision=stage.teacher.precision,
        zero_stage=stage.train.zero_stage,
        overlap=bool(isinstance(zero, dict) and zero.get("overlap_comm")),
    )


def forward_passes(
    stage: StageConfig, config: dict[str, Any], captions: int, parameters: int, layout: Layout
) -> tuple[int, tuple[str, ...]]:
    """Cost of training on a sample in forward passes, and what does not fit a worker's memory, a sentence each.

    Gradient caching, where the micro-batch is smaller than a worker's share, and activation checkpointing cost another
    pass each.
    """
    train, workers = stage.train, layout.workers
    share = train.global_batch // workers
    footprint = Footprint(
        state_bytes(parameters, train.precision, train.zero_stage, workers),
        activation_bytes(config, captions, train.precision, checkpointed=train.activation_checkpointing),
        loss_bytes(train.global_batch, workers, captions),
    )
    fits = footprint.samples_at_once(layout.place.device.memory * layout.place.amount)
    asked = min(train.micro_batch, share) if isinstance(train.micro_batch, int) else share
    cached = asked < share or (fits is not None and fits < asked)
    passes = FORWARDS_PER_TRAINED_SAMPLE + int(cached) + int(train.activation_checkpointing)
    return passes, _too_large(fits, asked, automatic=train.micro_batch == "auto")


def _too_large(fits: int | None, asked: int, *, automatic: bool) -> tuple[str, ...]:
    if fits is None or fits >= asked:
        return ()
    if fits == 0:
        return ("not even one sample fits a worker's memory: take more workers, or larger devices",)
    if automatic:
        return ()
    return (f"some {fits:,} of {asked:,} samples fit a worker's memory at once: set train.micro_batch: auto",)
