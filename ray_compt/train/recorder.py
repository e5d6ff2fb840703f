"""A worker's bookkeeping: counts, metrics, events, and the limit on unreadable samples."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from ray_compt.data.sample_digest import PARTS, from_parts, to_text
from ray_compt.errors import TrainingError
from ray_compt.teacher.lessons import Lesson
from ray_compt.train.bad_steps import BadSteps, GoBack
from ray_compt.train.checkpoint import Progress
from ray_compt.train.job import StageJob
from ray_compt.train.metrics import MetricsWriter
from ray_compt.train.start_up import StartUp
from ray_compt.train.step import StepResult, stat_names

EVENT_INTERVAL_S = 0.5
# Runs of skipped steps that the terminal hears of; metrics.jsonl counts them all.
NOTES = 5


@dataclass(frozen=True)
class Timing:
    """How long a step took on this worker, seconds.

    Attributes:
        wait: of it, waiting for data and teachers.
        teacher: of that, for features once the batch was there.
        step: since the step before; None for the first one after a start.
    """

    wait: float
    teacher: float
    step: float | None

    @property
    def milliseconds(self) -> dict[str, float | None]:
        parts = {"wait_ms": self.wait, "teacher_wait_ms": self.teacher, "step_ms": self.step}
        return {name: None if part is None else round(1000 * part, 2) for name, part in parts.items()}


class Recorder:
    """Counts on every worker, writes metrics and reports progress on rank 0.

    Numbers stay on the device until they are flushed, so that recording a step does not wait for it.
    """

    def __init__(
        self, job: StageJob, board: Any, progress: Progress, start: StartUp, *, rank: int, world: int
    ):
        self._job, self._board, self._rank, self._world = job, board, rank, world
        self._names = stat_names(job.objective)
        self._start: StartUp | None = start
        self.progress = progress
        self._pending: list[tuple[int, StepResult, Timing]] = []
        self._bad_here = 0
        self._last_step_end = time.monotonic()
        self._last_event = 0.0
        self._wait = self._teacher_wait = 0.0
        self._writer = MetricsWriter(job.path, progress.step) if rank == 0 else None
        self._bad_steps = BadSteps(job) if rank == 0 else None
        self._notes = 0
        self._post("started", {"workers": world, "step": progress.step})

    def loaded(self, lesson: Lesson) -> None:
        """A batch has arrived; the time since the last step was spent waiting for data and teacher."""
        self._wait = time.monotonic() - self._last_step_end
        self._teacher_wait = lesson.wait_s
        if self._start is not None:
            self._start.lap("data")
        for bad in lesson.batch.bad:
            self._board.post.remote("bad_sample", asdict(bad))

    def stepped(self, result: StepResult) -> Progress:
        """A step has been taken; returns the progress, whose sample counts are exact after `flush`."""
        now = time.monotonic()
        # The first step after a start waits for the pipeline to fill; that is start-up, not training.
        seconds = 0.0 if self._start is not None else now - self._last_step_end
        self._last_step_end = now
        timing = Timing(self._wait, self._teacher_wait, None if self._start is not None else seconds)
        self.progress = replace(
            self.progress, step=self.progress.step + 1, seconds=self.progress.seconds + seconds
        )
        self._pending.append((self.progress.step, result, timing))
        self._report_start()
        if now - self._last_event > EVENT_INTERVAL_S:
            self.flush()
        return self.progress

    def flush(self) -> None:
        """Bring the pending numbers in, write them, and stop the stage where too much data is unreadable."""
        if not self._pending:
            return
        rows = [torch.cat([result.stats, result.digest]) for _, result, _ in self._pending]
        table = torch.stack(rows).cpu().tolist()
        for (step, result, timing), row in zip(self._pending, table):
            digest = to_text(from_parts(row[-PARTS:]))
            last = self._record(step, result, timing, dict(zip(self._names, row)), digest)
        self._pending = []
        self._last_event = time.monotonic()
        self._post(
            "progress",
            {
                "step": self.progress.step,
                "steps": self._job.steps,
                "loss": last["loss"],
                "seconds": self.progress.seconds,
                "samples": self.progress.samples,
                "scalars": last,
            },
        )
        self._check_bad_share()

    def saving(self) -> None:
        """A checkpoint is about to be taken: the lines of its steps are stored first, so that none is ever lost."""
        self.flush()
        if self._writer is not None:
            self._writer.flush()

    def saved(self) -> None:
        if self._bad_steps is not None and not self.progress.skipped_in_a_row:
            self._bad_steps.saved(self.progress.step)
        self._post("checkpoint", {"step": self.progress.step})
        # Saving is not training.
        self.resumed()

    def resumed(self) -> None:
        """A pause has ended that was no training."""
        self._last_step_end = time.monotonic()

    def close(self) -> None:
        self.flush()
        if self._writer is not None:
            self._writer.close()

    def _report_start(self) -> None:
        if self._start is None:
            return
        self._start.lap("step")
        values = {"workers": self._world, "step": self.progress.step, "seconds": self._start.seconds}
        self._post("running", values)
        self._start = None

    def _record(
        self, step: int, result: StepResult, timing: Timing, stats: dict[str, float], digest: str
    ) -> dict[str, Any]:
        """Count and write a step; returns its scalars."""
        stats.pop("request")
        valid, skipped = round(stats.pop("valid")), round(stats.pop("skipped"))
        unreadable = self._job.order.global_batch - valid
        self.progress = replace(
            self.progress,
            samples=self.progress.samples + valid,
            bad_samples=self.progress.bad_samples + unreadable,
            skipped_steps=self.progress.skipped_steps + skipped,
            skipped_in_a_row=self.progress.skipped_in_a_row + 1 if skipped else 0,
        )
        values = {**stats, "lr": result.lr, "distill_weight": result.distill_weight}
        counts = {"samples": self.progress.samples, "unreadable": unreadable, "skipped": skipped}
        counts["skipped_steps"] = self.progress.skipped_steps
        scalars = {**values, **counts, **timing.milliseconds}
        if self._writer is not None:
            self._writer.write(step, {**scalars, "digest": digest})
        if skipped:
            self._skipped(step)
        return scalars

    def _skipped(self, step: int) -> None:
        in_a_row = self.progress.skipped_in_a_row
        if in_a_row == 1 and self._notes < NOTES:
            self._notes += 1
            self._note(f"step {step} is skipped: its loss or gradient is not finite")
        if self._bad_steps is None:
            return
        try:
            self._bad_steps.saw(step, in_a_row)
        except GoBack as error:
            self._note(f"{error}: back to the last checkpoint, once")
            raise

    def _note(self, text: str) -> None:
        self._post("note", {"text": text})

    def _check_bad_share(self) -> None:
        """Counts are the same on every worker; the first to look stops the stage, Ray Train ends the others."""
        epoch = self._job.order.batches_per_epoch * self._job.order.global_batch
        seen = self.progress.step * self._job.order.global_batch
        allowed = self._job.max_bad_share * max(seen, epoch)
        if self.progress.bad_samples > allowed:
            raise TrainingError(
                f"{self.progress.bad_samples} of {seen} samples could not be read, more than "
                f"data.max_bad_share {self._job.max_bad_share:g} allows",
                where=f"stage {self._job.name}, step {self.progress.step}",
                mend=f"see {self._job.path / 'bad_samples.jsonl'}; repair the shards or raise data.max_bad_share",
            )

    def _post(self, kind: str, values: dict[str, Any]) -> None:
        if self._rank == 0:
            self._board.post.remote(kind, values)
