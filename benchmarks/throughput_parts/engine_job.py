"""The stage that our step is timed on: one model, one worker, no teacher, no Ray."""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from typing import Any

import torch.distributed as dist

from benchmarks.throughput_parts.setting import Setting
from ray_compt.distill.settings import NO_TEACHER
from ray_compt.train.job import StageJob
from tests.train.tiny import make_job

STEPS = 10_000


def one_worker_job(setting: Setting, stage: int, precision: str, backend: str, **train: Any) -> StageJob:
    """A stage of `setting.model` at a ZeRO stage; this process becomes its only worker, talking by `backend`."""
    folder = tempfile.mkdtemp()
    if not dist.is_initialized():
        os.environ.update(RANK="0", LOCAL_RANK="0", WORLD_SIZE="1")
        dist.init_process_group(backend, init_method=f"file://{folder}/rendezvous", rank=0, world_size=1)
    plain = {"global_batch": setting.batch, "grad_clip": None, "activation_checkpointing": False}
    job = make_job(stage, precision, folder, **plain, **train)
    return replace(job, model=setting.model, teachers=(), distill=NO_TEACHER, steps=STEPS)
