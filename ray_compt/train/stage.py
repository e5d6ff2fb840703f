"""Running one stage on Ray Train, from the driver: the teacher, the trainer, and what is heard from them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ray
from ray import cloudpickle
from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig
from ray.train.v2.api.config import LoggingConfig

from ray_compt.data import legal_world_sizes
from ray_compt.errors import TrainingError
from ray_compt.report.board import Event, start_board
from ray_compt.storage import Place
from ray_compt.storage.deadline import Background
from ray_compt.train.checkpoint import KEPT, DamagedCheckpoint, Progress, find_newest, tidy
from ray_compt.train.entry import train_worker
from ray_compt.train.job import StageJob
from ray_compt.train.ray_internals import StageTrainer, user_error
from ray_compt.train.scaling import READING_TASKS, ScalingRules
from ray_compt.train.teachers import held_teachers, teacher_cpus

POLL_S = 0.25
# Shortest time between two looks at how many workers the stage may have.
LIMIT_EVERY_S = 1.0
# Longest time that a stop waits for the checkpoint.
STOP_S = 120.0


class StageInterrupt(BaseException):
    """Ends a stage from its listener as Ctrl-C does: after a checkpoint, with nothing lost."""


@dataclass(frozen=True)
class Trained:
    """A stage that has taken its last step.

    Attributes:
        checkpoint: folder of its final checkpoint.
        progress: its counts.
    """

    checkpoint: Place
    progress: Progress


def train_stage(
    job: StageJob,
    *,
    served: bool,
    listen: Callable[[Event], None],
    most_workers: Callable[[], int | None] = lambda: None,
) -> Trained:
    """Train a stage to its end, going on from its last checkpoint where there is one.

    An exception that a signal raises here (KeyboardInterrupt, SystemExit), or a `StageInterrupt` of the listener's,
    lets the workers write a checkpoint before it goes on its way; a second one does not wait.

    Args:
        job: the stage.
        served: the teachers are services of the cluster's; otherwise each worker holds them.
        listen: called in this thread with each event of the stage.
        most_workers: asked about once a second how many workers the stage may have; None: as many as `job` says.

    Raises:
        UserError: something that the user must mend; what was trained stays in the stage's folder.
    """

    def passed_over(error: DamagedCheckpoint) -> None:
        listen(Event("note", {"text": error.notice}))

    finished = find_newest(job.checkpoints, job.digest, passed_over)
    if finished is None or finished[1].step < job.steps:
        tidy(job.checkpoints, finished[0] if finished else None)
        _fit(job, served, listen, most_workers)
        finished = find_newest(job.checkpoints, job.digest, passed_over)
        tidy(job.checkpoints, finished[0] if finished else None)
    if finished is None or finished[1].step < job.steps:
        raise TrainingError(
            "training ended without its final checkpoint",
            where=f"stage {job.name}",
            mend="run the command again",
        )
    return Trained(*finished)


def _fit(
    job: StageJob,
    served: bool,
    listen: Callable[[Event], None],
    most_workers: Callable[[], int | None],
) -> None:
    board = start_board()
    limit = _Limit(board, most_workers)
    limit.pass_on()
    with held_teachers(job, served, listen) as teachers:
        # In a thread, so that this one stays free for the terminal and for signals.
        fit = Background(_trainer(job, board, teachers).fit, name="fit")
        try:
            _wait(fit, board, listen, limit)
        except (KeyboardInterrupt, SystemExit, StageInterrupt) as stop:
            if not isinstance(stop, StageInterrupt):
                text = "stopping after a checkpoint; a second Ctrl-C does not wait for it"
                listen(Event("note", {"text": text}))
            board.ask.remote("stop", final=True)
            _wait(fit, board, listen, limit, limit_s=STOP_S)
            raise
    if fit.failure is not None:
        raise _readable(fit.failure, job)


def _wait(
    fit: Background[Any],
    board: Any,
    listen: Callable[[Event], None],
    limit: _Limit,
    limit_s: float = float("inf"),
) -> None:
    """Pass events on until the training or the time ends."""
    end = time.monotonic() + limit_s
    while not fit.ended.wait(POLL_S) and time.monotonic() < end:
        _relay(board, listen)
        limit.pass_on()
    _relay(board, listen)


class _Limit:
    """Tells the board, and with it the scaling policy, how many workers the stage may have."""

    def __init__(self, board: Any, most_workers: Callable[[], int | None]):
        self._board, self._most_workers = board, most_workers
        self._told: int | None = None
        self._asked = float("-inf")

    def pass_on(self) -> None:
        if time.monotonic() - self._asked < LIMIT_EVERY_S:
            return
        self._asked = time.monotonic()
        most = self._most_workers()
        if most != self._told:
            self._told = most
            self._board.limit.remote(most)


def _relay(board: Any, listen: Callable[[Event], None]) -> None:
    try:
        events = ray.get(board.collect.remote(), timeout=10)
    except (ray.exceptions.GetTimeoutError, ray.exceptions.RayActorError):
        # A late or lost board costs a few lines on the terminal, never the stage.
        return
    for event in events:
        listen(event)


def scaling_rules(job: StageJob, *, served: bool) -> ScalingRules:
    """What decides the number of the stage's workers."""
    workers = job.workers
    counts = legal_world_sizes(job.order.global_batch, job.order.lanes)
    return ScalingRules(
        legal=tuple(n for n in counts if workers.min <= n <= workers.most),
        per_worker={"CPU": workers.cpus} | ({"GPU": workers.gpus} if workers.gpus else {}),
        reading_cpus=READING_TASKS * job.reader_cpus,
        other_cpus=teacher_cpus(job) if served else 0.0,
        look_every_s=workers.resize_s,
        wait_s=workers.wait_s,
        pause_s=workers.timeout_s,
    )


def _trainer(job: StageJob, board: Any, teachers: list[str]) -> StageTrainer:
    workers = job.workers
    rules = scaling_rules(job, served=bool(teachers))
    storage_path, filesystem = job.path.for_ray()
    return StageTrainer(
        train_worker,
        train_loop_config={"job": cloudpickle.dumps(job), "board": board, "teachers": teachers},
        rules=rules,
        board=board,
        stage=job.name,
        hang_s=workers.timeout_s,
        torch_config=TorchConfig(timeout_s=int(workers.timeout_s)),
        scaling_config=ScalingConfig(
            num_workers=(rules.fewest, rules.most),
            use_gpu=workers.gpus > 0,
            resources_per_worker=dict(rules.per_worker),
            # Without GPUs there is no fast link to stay close to, and each node has CPUs for its workers' readers.
            placement_strategy="PACK" if workers.gpus else "SPREAD",
        ),
        run_config=RunConfig(
            name=job.checkpoints.name,
            storage_path=storage_path,
            storage_filesystem=filesystem,
            checkpoint_config=CheckpointConfig(num_to_keep=KEPT),
            failure_config=FailureConfig(max_failures=workers.max_failures),
            logging_config=LoggingConfig(log_level="INFO" if job.verbose else "CRITICAL"),
        ),
    )


def _readable(error: BaseException, job: StageJob) -> BaseException:
    mended = user_error(error)
    if mended is not None:
        return mended
    last = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
    failed = TrainingError(
        f"the workers failed more than {job.workers.max_failures} times without a new checkpoint in between "
        f"(workers.max_failures); the last error: {last}",
        where=f"stage {job.name}",
        mend="run the command again with -v to see each worker's traceback; it goes on from the last checkpoint",
    )
    failed.__cause__ = error
    return failed
