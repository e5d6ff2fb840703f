"""A candidate's trials, one seed after the other, in a process of the cluster's."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from ray_compt.chain.ledger import StageEntry
from ray_compt.chain.run import train_chain
from ray_compt.chain.watch import Watch
from ray_compt.config.schema import Chain
from ray_compt.errors import UserError
from ray_compt.report.board import Event
from ray_compt.storage import Place, open_place
from ray_compt.sweep.record import ENDED
from ray_compt.sweep.running.share import fair_share
from ray_compt.sweep.running.state import read_trial, write_trial
from ray_compt.sweep.running.stop import Pruned, StopLight, Stopped

LOG = "log.txt"
# Names of what a trial reports to Ray Tune.
COST, SCORE = "gmacs", "score"
GIGA = 10**9

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
    """

    candidate: int
    trials: tuple[TrialJob, ...]
    store: str
    metric: str
    within_stage: bool
    retries: int
    on_this_machine: bool
    verbose: bool


def train_candidate(config: dict[str, Any], board: Any) -> None:
    """Ray Tune's trainable: train what of `config["job"]` has not ended yet.

    Never raises for a trial that fails: its trial.json says why, and the others go on.
    """
    from ray import tune

    job: CandidateJob = config["job"]
    board.join.remote(job.candidate)
    try:
        _train_all(job, StopLight(board, job.candidate), tune.report)
    finally:
        board.leave.remote(job.candidate)


def _train_all(job: CandidateJob, light: StopLight, report: Report) -> None:
    for number, trial in enumerate(job.trials):
        if read_trial(open_place(trial.folder)).state in ENDED - {"failed"}:
            continue
        # Trials of further seeds repeat the first: what is compared is the candidate, once.
        if run_trial(job, trial, light, _to_nobody if number else report) == "stopped":
            return


def run_trial(job: CandidateJob, trial: TrialJob, light: StopLight, report: Report) -> str:
    """Train one trial to its end, or until it is asked to end.

    Returns:
        "done", "pruned", "stopped" or "failed".
    """
    place = open_place(trial.folder)
    write_trial(place, "running")
    error = ""
    for _ in range(1 + job.retries):
        try:
            with _log(place) as console:
                _train(job, trial, TrialWatch(job, trial, light, report), console)
        except Pruned:
            write_trial(place, "pruned")
            return "pruned"
        except Stopped:
            return "stopped"
        except UserError as failure:
            error = str(failure)
        except Exception as failure:
            error = f"{type(failure).__name__}: {failure}; the traceback is in {LOG}"
        else:
            write_trial(place, "done")
            return "done"
    write_trial(place, "failed", error)
    return "failed"


class TrialWatch(Watch):
    """Reports a trial to the scheduler, and looks at the board."""

    def __init__(self, job: CandidateJob, trial: TrialJob, light: StopLight, report: Report):
        self._job, self._trial, self._light, self._report = job, trial, light, report
        self._names = [stage.name for stage in trial.chain.stages]

    def event(self, entry: StageEntry, event: Event) -> None:
        if event.kind == "progress" and self._job.within_stage:
            self._report_loss(entry, event)
        self._light.look()

    def stage_done(self, entry: StageEntry) -> None:
        number = self._names.index(entry.name)
        if not self._job.within_stage and self._job.metric in entry.metrics:
            spent = sum(macs for _, macs in self._trial.planned[: number + 1])
            self._report({COST: max(1, spent // GIGA), SCORE: entry.metrics[self._job.metric]})
        # A chain that is complete has nothing left to prune.
        if number + 1 < len(self._names):
            self._light.look(now=True)

    def most_workers(self, entry: StageEntry) -> int | None:
        """This candidate's share of the cluster."""
        self._light.look()
        if self._light.running < 2:
            return None
        import ray

        chain = self._trial.chain
        stage = chain.stages[self._names.index(entry.name)]
        cluster = ray.cluster_resources()
        return fair_share(cluster, stage.workers, chain.data.reader_cpus, self._light.running)

    def waiting(self) -> None:
        self._light.look()

    def _report_loss(self, entry: StageEntry, event: Event) -> None:
        number = self._names.index(entry.name)
        steps, macs = self._trial.planned[number]
        before = sum(macs for _, macs in self._trial.planned[:number])
        spent = before + macs * event.values["step"] // steps
        self._report({COST: max(1, spent // GIGA), SCORE: event.values["scalars"]["task_loss"]})


def _train(job: CandidateJob, trial: TrialJob, watch: Watch, console: Console) -> None:
    train_chain(
        trial.chain,
        trial.folder,
        address=None if job.on_this_machine else "auto",
        console=console,
        verbose=job.verbose,
        watch=watch,
        store=job.store,
    )


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
            copy.push()


def _to_nobody(_: dict[str, float]) -> None:
    pass
