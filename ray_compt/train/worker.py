"""What every worker of a stage does, from the first step or a checkpoint."""

from __future__ import annotations

import logging
import os
import time
import warnings
from typing import Any

import ray
import ray.train
import ray.train.torch
import torch
import torch.distributed as dist
from ray.train import Checkpoint
from ray.train.v2.api.report_config import CheckpointConsistencyMode

from ray_compt.config.schema import WorkersConfig
from ray_compt.data import worker_batches
from ray_compt.forkserver import use_assigned_threads
from ray_compt.storage import Place, Scratch
from ray_compt.teacher.lessons import lessons
from ray_compt.train.checkpoint import (
    STATE,
    DamagedCheckpoint,
    Progress,
    read_checkpoint,
    read_newest,
    write_checkpoint,
)
from ray_compt.train.compiling import compiling_explained
from ray_compt.train.deepspeed_setup import import_deepspeed
from ray_compt.train.disk import explained
from ray_compt.train.engine import build_engine
from ray_compt.train.features import keep_features, with_caches
from ray_compt.train.job import StageJob
from ray_compt.train.mailbox import Mailbox
from ray_compt.train.micro_batch import agree_micro_batch, out_of_memory_explained
from ray_compt.train.recorder import Recorder
from ray_compt.train.requests import OneStepLate, Request
from ray_compt.train.start_up import StartUp
from ray_compt.train.state import EngineState, gather_state
from ray_compt.train.step import stat_names, train_step
from ray_compt.train.teachers import teacher_clients
from ray_compt.train.upload import ending_with

# Longest time that paused workers wait to be replaced before they go on.
PAUSED_S = 60.0


def train(job: StageJob, board: Any, teachers: list[str], start: StartUp) -> None:
    """`entry.train_worker`, when everything is imported.

    Args:
        teachers: names of their services; none: they are in this process, if there are any.
        start: measures this worker's start.
    """
    start.lap("imports")
    _quieten(job.verbose)
    use_assigned_threads()
    with explained(job.folder):
        _train(job, board, teachers, start)


def _train(job: StageJob, board: Any, teachers: list[str], start: StartUp) -> None:
    context = ray.train.get_context()
    rank, world = context.get_world_rank(), context.get_world_size()
    device = ray.train.torch.get_device()
    state, progress = _resume(job, board, device)
    start.lap("checkpoint")
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
    micro_batch = agree_micro_batch(job, device)
    deepspeed = import_deepspeed(cpu=device.type == "cpu", verbose=job.verbose)
    engine = build_engine(deepspeed, job, world, device, state)
    del state
    start.lap("engine")
    recorder = Recorder(job, board, progress, start, rank=rank, world=world)
    place = stat_names(job.objective).index("request")
    mailbox, asked = Mailbox(board, rank=rank), OneStepLate()
    creates = teacher_clients(job, teachers, device, rank, board)
    clients = with_caches(job, creates, board, rank=rank, world=world)
    last_taught = job.distill.last_step(job.steps)
    for lesson in lessons(batches, clients, last_taught, job.teacher_config.ahead):
        recorder.loaded(lesson)
        with compiling_explained(job), out_of_memory_explained(job, micro_batch, device):
            result = train_step(
                engine,
                job,
                lesson.batch,
                lesson.features,
                device,
                request=mailbox.look(),
                micro_batch=micro_batch,
            )
        progress = recorder.stepped(result)
        request = Request(int(asked.push(result.stats[place])))
        last = progress.step == job.steps
        if request:
            mailbox.begin()
        if request or last or progress.step % job.train.checkpoint_every == 0:
            recorder.saving()
            # Amid skipped steps, the checkpoint to go back to is the one before them.
            if request or last or not recorder.progress.skipped_in_a_row:
                _save(engine, job, recorder.progress, rank)
                recorder.saved()
        if request and not last:
            keep_features(clients)
            _commit(job)
            mailbox.answer()
            if request is Request.STOP:
                break
            if request is Request.PAUSE:
                _wait_to_be_replaced(recorder)
    keep_features(clients)
    recorder.close()
    _commit(job)


def _resume(job: StageJob, board: Any, device: torch.device) -> tuple[EngineState | None, Progress]:
    """The newest whole checkpoint. Rank 0 chooses it, or a disk's hiccup could let workers choose differently."""

    def passed_over(error: DamagedCheckpoint) -> None:
        board.post.remote("note", {"text": error.notice})

    newest = read_newest(job.checkpoints, job.digest, passed_over) if dist.get_rank() == 0 else None
    chosen: list[Place | None] = [newest[0] if newest else None]
    dist.broadcast_object_list(chosen, device=device)
    if newest is not None:
        return newest[1]
    return read_checkpoint(chosen[0], job.digest) if chosen[0] else (None, Progress())


def _save(engine: Any, job: StageJob, progress: Progress, rank: int) -> None:
    state = gather_state(engine)
    metrics = {"step": progress.step}
    if rank != 0:
        ray.train.report(metrics)
        return
    assert state is not None
    with Scratch() as folder:
        write_checkpoint(folder, state, progress, job.digest)
        checkpoint = Checkpoint.from_directory(folder)
        ray.train.report(metrics, checkpoint=checkpoint, checkpoint_upload_fn=ending_with(STATE))


def _commit(job: StageJob) -> None:
    """Wait until the controller has taken in the last checkpoint: a report alone is not a commit."""
    ray.train.get_all_reported_checkpoints(
        consistency_mode=CheckpointConsistencyMode.COMMITTED, timeout_s=job.workers.timeout_s
    )


def _wait_to_be_replaced(recorder: Recorder) -> None:
    """Take no step that would have to be repeated; Ray Train ends this process meanwhile."""
    time.sleep(PAUSED_S)
    recorder.resumed()


def _readers(workers: WorkersConfig, world: int) -> int:
    """Decoding tasks for one of `world` workers: its share of the cores that training leaves free."""
    cores = sum(node["Alive"] for node in ray.nodes()) * (os.cpu_count() or 1)
    own = 1 if workers.gpus else workers.cpus
    return max(1, int(cores / world - own))


def _quieten(verbose: bool) -> None:
    if not verbose:
        logging.getLogger().setLevel(logging.ERROR)
        warnings.filterwarnings("ignore")
