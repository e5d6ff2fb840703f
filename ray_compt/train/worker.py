"""What every worker of a stage does: the function that Ray Train runs, from the first step or a checkpoint."""

from __future__ import annotations

import logging
import os
import tempfile
import warnings
from pathlib import Path
from typing import Any

import ray
import ray.train
import ray.train.torch
import torch
from ray.train import Checkpoint
from ray.train.v2.api.report_config import CheckpointConsistencyMode

from ray_compt.config.schema import WorkersConfig
from ray_compt.data import worker_batches
from ray_compt.distill.teacher import ActorTeacher, InlineTeacher, TeacherClient, with_features
from ray_compt.train.checkpoint import Progress, read_checkpoint, write_checkpoint
from ray_compt.train.deepspeed_setup import import_deepspeed
from ray_compt.train.engine import build_engine
from ray_compt.train.job import StageJob
from ray_compt.train.recorder import Recorder
from ray_compt.train.state import EngineState, gather_state
from ray_compt.train.step import train_step


def train_worker(config: dict[str, Any]) -> None:
    """Train a stage from where its last checkpoint stands to its end.

    Args:
        config: "job" (StageJob), "board" (actor handle) and "teacher" (actor handle or None).

    Raises:
        UserError: the checkpoint belongs to another stage, or too many samples cannot be read.
    """
    job: StageJob = config["job"]
    _quieten(job.verbose)
    context = ray.train.get_context()
    rank, world = context.get_world_rank(), context.get_world_size()
    device = ray.train.torch.get_device()
    state, progress = _resume(job)
    deepspeed = import_deepspeed(cpu=device.type == "cpu", verbose=job.verbose)
    engine = build_engine(deepspeed, job, world, device, state)
    del state
    recorder = Recorder(job, config["board"], progress, rank=rank, world=world)
    batches = worker_batches(
        job.index,
        job.order,
        job.preprocess,
        rank=rank,
        world=world,
        first_step=progress.step,
        last_step=job.steps,
        reader_cpus=job.reader_cpus,
        readers=_readers(job.workers, world),
    )
    client = _teacher_client(job, config["teacher"], device)
    for batch, features in with_features(batches, client, job.distill.last_step(job.steps)):
        recorder.loaded(batch)
        result = train_step(engine, job, batch, features, device)
        progress = recorder.stepped(result)
        if progress.step % job.train.checkpoint_every == 0 or progress.step == job.steps:
            recorder.saving()
            _save(engine, job, recorder.progress, rank)
            recorder.saved()
    recorder.close()
    # A report is not a commit: the controller must have taken in the last checkpoint before we leave.
    ray.train.get_all_reported_checkpoints(
        consistency_mode=CheckpointConsistencyMode.COMMITTED, timeout_s=job.workers.timeout_s
    )


def _resume(job: StageJob) -> tuple[EngineState | None, Progress]:
    checkpoint = ray.train.get_checkpoint()
    if checkpoint is None:
        return None, Progress()
    with checkpoint.as_directory() as folder:
        return read_checkpoint(Path(folder), job.digest)


def _save(engine: Any, job: StageJob, progress: Progress, rank: int) -> None:
    state = gather_state(engine)
    with tempfile.TemporaryDirectory(prefix="ray_compt_") as folder:
        checkpoint = None
        if rank == 0:
            assert state is not None
            write_checkpoint(Path(folder), state, progress, job.digest)
            checkpoint = Checkpoint.from_directory(folder)
        ray.train.report({"step": progress.step}, checkpoint=checkpoint)


def _readers(workers: WorkersConfig, world: int) -> int:
    """Decoding tasks for one of `world` workers: its share of the cores that training leaves free."""
    cores = sum(node["Alive"] for node in ray.nodes()) * (os.cpu_count() or 1)
    own = 1 if workers.gpus else workers.cpus
    return max(1, int(cores / world - own))


def _teacher_client(job: StageJob, actor: Any, device: torch.device) -> TeacherClient | None:
    if job.teacher is None:
        return None
    if actor is not None:
        return ActorTeacher(actor, job.teacher_config.timeout_s)
    return InlineTeacher(job.teacher, str(device))


def _quieten(verbose: bool) -> None:
    if not verbose:
        logging.getLogger().setLevel(logging.ERROR)
        warnings.filterwarnings("ignore")
