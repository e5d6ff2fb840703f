"""Running one stage on Ray Train, from the driver: the teacher, the trainer, and what is heard from them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig
from ray.train.v2.api.config import LoggingConfig

from ray_compt.data import legal_world_sizes
from ray_compt.distill.teacher import start_teacher
from ray_compt.errors import TrainingError
from ray_compt.report.board import Event, start_board
from ray_compt.train.checkpoint import Progress, find_latest
from ray_compt.train.job import StageJob
from ray_compt.train.ray_internals import StageTrainer, user_error
from ray_compt.train.worker import train_worker

CHECKPOINTS = "checkpoints"
POLL_S = 0.25


@dataclass(frozen=True)
class Trained:
    """A stage that has taken its last step.

    Attributes:
        checkpoint: folder of its final checkpoint.
        progress: its counts.
    """

    checkpoint: Path
    progress: Progress


def train_stage(job: StageJob, *, teacher_actor: bool, listen: Callable[[Event], None]) -> Trained:
    """Train a stage to its end, going on from its last checkpoint where there is one.

    Args:
        job: the stage.
        teacher_actor: serve the teacher from one shared actor; otherwise each worker holds it.
        listen: called in this thread with each event of the stage.

    Raises:
        UserError: something that the user must mend; what was trained stays in the stage's folder.
    """
    finished = find_latest(job.path / CHECKPOINTS, job.digest)
    if finished is None or finished[1].step < job.steps:
        _fit(job, teacher_actor, listen)
        finished = find_latest(job.path / CHECKPOINTS, job.digest)
    if finished is None or finished[1].step < job.steps:
        raise TrainingError(
            "training ended without its final checkpoint",
            where=f"stage {job.name}",
            mend="run the command again",
        )
    return Trained(*finished)


def _fit(job: StageJob, teacher_actor: bool, listen: Callable[[Event], None]) -> None:
    board = start_board()
    with _teacher(job, teacher_actor) as teacher:
        trainer = _trainer(job, {"job": job, "board": board, "teacher": teacher})
        failures: list[BaseException] = []
        # Ray's fit() owns the thread it runs in; ours stays free for the terminal and for Ctrl-C.
        thread = threading.Thread(target=_run, args=(trainer, failures), daemon=True)
        thread.start()
        while thread.is_alive():
            thread.join(POLL_S)
            _relay(board, listen)
        _relay(board, listen)
    if failures:
        raise _readable(failures[0], job)


def _run(trainer: StageTrainer, failures: list[BaseException]) -> None:
    try:
        trainer.fit()
    except BaseException as error:
        failures.append(error)


def _relay(board: Any, listen: Callable[[Event], None]) -> None:
    try:
        events = ray.get(board.collect.remote(), timeout=10)
    except (ray.exceptions.GetTimeoutError, ray.exceptions.RayActorError):
        # A late or lost board costs a few lines on the terminal, never the stage.
        return
    for event in events:
        listen(event)


def _trainer(job: StageJob, loop_config: dict[str, Any]) -> StageTrainer:
    workers = job.workers
    legal = [n for n in legal_world_sizes(job.order.global_batch, job.order.lanes) if n <= workers.most]
    # Only workers that fit this machine are asked for: an elastic group would wait for the others for ever.
    count: int | tuple[int, int] = workers.min
    if workers.most > workers.min:
        count = (workers.min, workers.most)
    resources = {"CPU": workers.cpus} | ({"GPU": workers.gpus} if workers.gpus else {})
    return StageTrainer(
        train_worker,
        train_loop_config=loop_config,
        legal_workers=legal,
        torch_config=TorchConfig(timeout_s=int(workers.timeout_s)),
        scaling_config=ScalingConfig(
            num_workers=count, use_gpu=workers.gpus > 0, resources_per_worker=resources
        ),
        run_config=RunConfig(
            name=CHECKPOINTS,
            storage_path=str(job.path),
            checkpoint_config=CheckpointConfig(num_to_keep=2),
            failure_config=FailureConfig(max_failures=workers.max_failures, controller_failure_limit=3),
            logging_config=LoggingConfig(log_level="INFO" if job.verbose else "CRITICAL"),
        ),
    )


@contextmanager
def _teacher(job: StageJob, as_actor: bool) -> Iterator[Any]:
    if job.teacher is None or not as_actor:
        yield None
        return
    config = job.teacher_config
    actor = start_teacher(job.teacher, cpus=config.cpus, gpus=config.gpus)
    try:
        yield actor
    finally:
        ray.kill(actor)


def _readable(error: BaseException, job: StageJob) -> BaseException:
    mended = user_error(error)
    if mended is not None:
        return mended
    last = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
    failed = TrainingError(
        f"the workers failed more than workers.max_failures {job.workers.max_failures} times; the last error: {last}",
        where=f"stage {job.name}",
        mend="run the command again with -v to see each worker's traceback; it goes on from the last checkpoint",
    )
    failed.__cause__ = error
    return failed
