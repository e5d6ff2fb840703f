"""A candidate's trials, one seed after the other, in a process of the cluster's."""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from ray_compt.chain.folder import RunFolder
from ray_compt.chain.ledger import StageEntry
from ray_compt.chain.lock import HeldElsewhere
from ray_compt.chain.run import train_chain
from ray_compt.chain.watch import Watch
from ray_compt.config.schema import Chain, StageConfig
from ray_compt.errors import StorageError, UserError
from ray_compt.report.board import Event
from ray_compt.storage import Place, open_place
from ray_compt.storage.copying import copy_folder
from ray_compt.sweep.record import ENDED, TrialRecord, TrialState
from ray_compt.sweep.running.share import fair_share
from ray_compt.sweep.running.size import GIGA, costs_so_far
from ray_compt.sweep.running.state import read_trial, write_trial
from ray_compt.sweep.running.stop import Pruned, StopLight, Stopped, ask_board, count_running

LOG = "log.txt"
# Names of what a trial reports to Ray Tune; the cost in 10^9 MACs.
COST, SCORE = "gmacs", "score"
# Longest time that a run folder's lease outlives its holder's node (`chain/lease.py`), and some more.
HELD_S = 180.0
LOOK_AGAIN_S = 1.0

Report = Callable[[dict[str, float]], None]


@dataclass(frozen=True)
class TrialJob:
    """One trial.

    Attributes:
        chain: resolved, with the trial's seed.
        folder: its run folder, an absolute path or a URL that every node sees.
        planned: of each stage of the chain the optimizer steps and the MACs of its training, teachers included.
    """

    chain: Chain
    folder: str
    planned: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class CandidateJob:
    """A candidate's trials.

    Attributes:
        candidate: its number.
        trials: one a seed.
        store: folder or URL of the sweep's stage store.
        metric: what the scheduler compares at the ends of stages.
        within_stage: compare the task loss within stages instead.
        retries: times that a trial that failed is tried again.
        on_this_machine: the driver has started Ray.
        verbose: let Ray's and DeepSpeed's own output through.
        index: folder or URL of the sweep's tables of shards, with which a trial begins; None: each walks its own.
    """

    candidate: int
    trials: tuple[TrialJob, ...]
    store: str
    metric: str
    within_stage: bool
    retries: int
    on_this_machine: bool
    verbose: bool
    index: str | None = None


Train = Callable[[CandidateJob, TrialJob, Watch, Console], None]
MostWorkers = Callable[[StageConfig], int | None]


def train_candidate(config: dict[str, Any], board: Any) -> None:
    """Ray Tune's trainable: train what of `config["job"]` has not ended yet.

    Args:
        board: the actor of a `StopBoard`.

    Raises:
        TrainingError: a trial's state cannot be stored. A trial that fails raises nothing: its trial.json says why,
            and the others go on.
    """
    from ray import tune

    job: CandidateJob = config["job"]
    light = StopLight(lambda: ask_board(board, job.candidate))
    run_candidate(job, light, tune.report, most_workers=lambda stage: _share(board, job, stage))


def run_candidate(
    job: CandidateJob,
    light: StopLight,
    report: Report,
    train: Train | None = None,
    most_workers: MostWorkers = lambda stage: None,
) -> None:
    """Train a candidate's trials, of which those that have ended stay as they are.

    Trials of further seeds repeat the first: what is reported, and compared, is the candidate, once; and where one
    trial is pruned, all are.

    Args:
        train: trains a trial's chain; None: `train_chain` does.
        most_workers: how many workers a stage may have at the moment.
    """
    for number, trial in enumerate(job.trials):
        state = read_trial(open_place(trial.folder)).state
        if state not in ENDED:
            watch = TrialWatch(job, trial, light, report if number == 0 else _to_nobody, most_workers)
            state = run_trial(job, trial, light, watch, train or _train)
        if state == "pruned":
            _prune_rest(job.trials[number + 1 :])
        if state in ("pruned", "pending"):
            return


def run_trial(job: CandidateJob, trial: TrialJob, light: StopLight, watch: Watch, train: Train) -> TrialState:
    """Train one trial to its end, again where it fails and may, or until it is asked to end.

    Returns:
        "done", "pruned", "failed", or "pending" where it goes on with the sweep's next start.
    """
    place = open_place(trial.folder)
    write_trial(place, "running")
    _share_index(job, RunFolder(place))
    error = None
    for _ in range(1 + job.retries):
        error = _try(job, trial, watch, place, train)
        # What goes wrong while a stage ends as asked fails nothing.
        if error is None or light.raised is not None:
            break
    state: TrialState = "done" if error is None else "failed"
    if light.raised is not None:
        state, error = ("pruned" if light.raised == "prune" else "pending"), None
    write_trial(place, state, error)
    return state


def _share_index(job: CandidateJob, run: RunFolder) -> None:
    """Give a trial the tables of shards that the sweep has, so that it walks none."""
    if job.index is not None and not run.index.is_folder():
        # Without them it only walks the shards itself.
        with suppress(OSError, StorageError):
            copy_folder(open_place(job.index), run.index)


def _try(job: CandidateJob, trial: TrialJob, watch: Watch, place: Place, train: Train) -> str | None:
    """Train a trial once; why it failed, None where it did not, or was asked to end."""
    try:
        with _log(place) as console:
            train(job, trial, watch, console)
    except (Pruned, Stopped):
        return None
    except UserError as failure:
        return str(failure)
    except Exception as failure:
        return f"{brief(failure)}; the traceback is in {LOG}"
    return None


def brief(error: BaseException) -> str:
    """An exception in one line; those of Ray hold whole tracebacks, of which the last line says what happened."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[-1].strip()}" if lines else type(error).__name__


def _prune_rest(trials: Sequence[TrialJob]) -> None:
    for trial in trials:
        place = open_place(trial.folder)
        if read_trial(place).state not in ENDED:
            write_trial(place, "pruned")


class TrialWatch(Watch):
    """Reports a trial to the scheduler, and looks at the board."""

    def __init__(
        self,
        job: CandidateJob,
        trial: TrialJob,
        light: StopLight,
        report: Report,
        most_workers: MostWorkers = lambda stage: None,
    ):
        self._job, self._trial, self._light, self._report = job, trial, light, report
        self._most_workers = most_workers
        self._names = [stage.name for stage in trial.chain.stages]

    def event(self, entry: StageEntry, event: Event) -> None:
        if event.kind == "progress" and self._job.within_stage:
            self._report_loss(entry, event)
        self._light.look()

    def stage_done(self, entry: StageEntry) -> None:
        number = self._names.index(entry.name)
        spent = costs_so_far(self._trial.planned)[number]
        found = _at_stage_end(spent, entry.metrics, self._job.metric)
        if found is not None and not self._job.within_stage:
            self._report(found)
        # A chain that is complete has nothing left to prune.
        if number + 1 < len(self._names):
            self._light.look(now=True)

    def most_workers(self, entry: StageEntry) -> int | None:
        self._light.look()
        return self._most_workers(self._trial.chain.stages[self._names.index(entry.name)])

    def waiting(self) -> None:
        self._light.look()

    def _report_loss(self, entry: StageEntry, event: Event) -> None:
        number = self._names.index(entry.name)
        steps, macs = self._trial.planned[number]
        before = sum(macs for _, macs in self._trial.planned[:number])
        spent = before + macs * event.values["step"] / steps
        loss = event.values["scalars"].get("task_loss")
        if loss is not None and math.isfinite(loss):
            self._report({COST: spent / GIGA, SCORE: loss})


def reports(trial: TrialRecord, stages: Sequence[tuple[int, int]], metric: str) -> list[dict[str, float]]:
    """What a trial on record had reported at the ends of its stages, as `TrialWatch` does.

    Args:
        trial: the record.
        stages: as `TrialJob.planned`.
        metric: the objective's.
    """
    ends = [
        _at_stage_end(spent, stage.metrics, metric)
        for stage, spent in zip(trial.stages, costs_so_far(stages))
        if stage.state == "done"
    ]
    return [found for found in ends if found is not None]


def _at_stage_end(spent: float, metrics: Mapping[str, float], metric: str) -> dict[str, float] | None:
    """What is reported there; None where the metric is not to be had."""
    reached = metrics.get(metric, math.nan)
    return {COST: spent, SCORE: reached} if math.isfinite(reached) else None


def _share(board: Any, job: CandidateJob, stage: StageConfig) -> int | None:
    """The stage's share of the cluster, of which all candidates that run have the same."""
    import ray

    running = count_running(board)
    if running < 2:
        return None
    reader_cpus = job.trials[0].chain.data.reader_cpus
    return fair_share(ray.cluster_resources(), stage.workers, reader_cpus, running)


def _train(job: CandidateJob, trial: TrialJob, watch: Watch, console: Console) -> None:
    """Train the trial's chain; first wait for a process that had the trial before and is not known to be lost yet."""
    end = time.monotonic() + HELD_S
    while True:
        try:
            train_chain(
                trial.chain,
                trial.folder,
                address=None if job.on_this_machine else "auto",
                console=console,
                verbose=job.verbose,
                watch=watch,
                store=job.store,
            )
            return
        except HeldElsewhere:
            if time.monotonic() > end:
                raise
            watch.waiting()
            time.sleep(LOOK_AGAIN_S)


@contextmanager
def _log(place: Place) -> Iterator[Console]:
    """A console that writes to the trial's log.txt, where a traceback goes too."""
    copy = place.working_copy(LOG)
    with (copy.path / LOG).open("a", encoding="utf-8") as file:
        try:
            yield Console(file=file, width=120, highlight=False)
        except Exception:
            traceback.print_exc(file=file)
            raise
        finally:
            file.flush()
            # A trial is what it is without its log, too.
            with suppress(StorageError):
                copy.push()


def _to_nobody(_: dict[str, float]) -> None:
    pass
