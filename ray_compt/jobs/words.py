"""The words of `compt status`: a headline, a table, and who trains. Pure."""

from __future__ import annotations

import time

from ray_compt.chain.lock import Driver
from ray_compt.jobs.read import SweepStatus
from ray_compt.jobs.status import RunStatus, StageStatus
from ray_compt.report.terminal import plural
from ray_compt.sweep.live import duration, summary

COLUMNS = ("stage", "state", "step", "workers", "samples/s", "time", "left")
GOES_ON = {
    "stopped": "nobody trains it; the same command goes on",
    "failed": "the same command tries again",
    "pending": "nothing is trained yet",
}


def headline(status: RunStatus) -> str:
    """Where a run is, in one line."""
    words = f"chain {status.chain}: {status.state}"
    if status.current is not None and status.state != "pending":
        stage = status.stages[status.current]
        words += f", stage {status.current + 1}/{len(status.stages)} {stage.name}, step {_steps(stage)}"
        if stage.workers is not None:
            words += f", {plural(stage.workers, 'worker')}"
    if status.state in GOES_ON:
        return f"{words}: {GOES_ON[status.state]}"
    if status.state == "running":
        left = status.seconds_left
        words += ", time left not known yet" if left is None else f", about {duration(left)} left"
    return words


def rows(status: RunStatus) -> list[tuple[str, ...]]:
    """Cells in the order of `COLUMNS`."""
    return [
        (
            stage.folder,
            f"{stage.state}, from the store" if stage.reused else stage.state,
            _steps(stage),
            "-" if stage.workers is None else str(stage.workers),
            f"{stage.samples_per_second:.0f}" if stage.samples_per_second else "-",
            duration(stage.seconds) if stage.seconds else "-",
            "-" if not stage.seconds_left else duration(stage.seconds_left),
        )
        for stage in status.stages
    ]


def notes(status: RunStatus) -> list[str]:
    """What the table does not hold: who trains, when it was last heard of, why a stage failed."""
    found = [f"failed: {stage.folder}: {stage.error}" for stage in status.stages if stage.error]
    if status.driver is not None:
        found.append(driver_words(status.driver))
    if status.heard_s is not None:
        found.append(f"last written {duration(status.heard_s)} ago: {status.run}")
    return found


def sweep_lines(status: SweepStatus) -> list[str]:
    """A sweep: how far it is, and where each trial is that runs."""
    record = status.record
    state = "done" if record.ended else "stopped: nobody runs it; the same command goes on"
    if status.driver is not None and status.driver.alive is not False:
        state = "running"
    lines = [f"sweep {record.name}: {state}", summary(record, record.planned)]
    lines += [f"trial {number}: {headline(trial)}" for number, trial in sorted(status.running.items())]
    if status.driver is not None and state == "running":
        lines.append(driver_words(status.driver))
    return [*lines, f"folder {status.run}"]


def driver_words(driver: Driver) -> str:
    """Who trains, and since when."""
    job = f", Ray job {driver.job}" if driver.job else ""
    since = duration(max(0.0, time.time() - driver.started))
    return f"driver: host {driver.host}, pid {driver.pid}{job}, for {since}"


def _steps(stage: StageStatus) -> str:
    return f"{stage.step}/{'?' if stage.steps is None else stage.steps}"
