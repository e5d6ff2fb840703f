"""What run folders say of trainings that are done, for `plan.design`; the folders are only read.

A sweep's folder stands for the runs of its trials, which its sweep.json names.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from ray_compt.chain.folder import RunFolder
from ray_compt.chain.ledger import Ledger, StageEntry
from ray_compt.errors import UserError
from ray_compt.plan.cost import FORWARDS_PER_TRAINED_SAMPLE
from ray_compt.plan.design import Finished, Stage
from ray_compt.report.published import without_credentials
from ray_compt.storage import Place, open_place

SWEEP = "sweep.json"
SCRATCH = "scratch"


def open_runs(references: Sequence[str]) -> list[RunFolder]:
    """Run folders, those of sweeps in place of the sweeps.

    Raises:
        UserError: a sweep's file that cannot be read.
    """
    return [folder for reference in references for folder in _folders(open_place(reference))]


def read_finished(folder: RunFolder) -> list[Finished]:
    """Every evaluated training of a run: stages of its chain, as far as all before them are done, and models alone.

    A chain that begins with a model from outside is left out: what that one has seen is not known.

    Raises:
        UserError: no run there, or a ledger that cannot be read.
    """
    ledger = Ledger.open(folder.ledger_file)
    where = without_credentials(str(folder.path))
    done = [entry.state == "done" for entry in ledger.stages]
    whole = ledger.stages[: done.index(False) if False in done else len(done)]
    if whole and whole[0].growth != SCRATCH:
        whole = []
    chained = [_finished(whole[: number + 1], where) for number in range(len(whole))]
    own = {entry.folder for entry in ledger.stages}
    alone = [
        _finished([entry], where)
        for entry in ledger.individual
        if entry.state == "done" and entry.folder not in own
    ]
    return [one for one in (*chained, *alone) if one.metrics]


def _finished(entries: Sequence[StageEntry], where: str) -> Finished:
    """The training of the last of a chain's entries."""
    entry = entries[-1]
    before = entries[-2] if len(entries) > 1 else None
    teacher = _forward(before) * entry.samples if before else 0.0
    return Finished(
        path=tuple(Stage(one.model, one.epochs) for one in entries),
        metrics=dict(entry.metrics),
        before=dict(before.metrics) if before else {},
        forward=_forward(entry),
        samples=entry.samples / entry.epochs,
        taught=min(1.0, _teacher_macs(entry, teacher) / teacher) if teacher else 0.0,
        recipe=_recipe(entry) if before else SCRATCH,
        data=entry.data,
        where=where,
        name=entry.name,
    )


def _forward(entry: StageEntry) -> float:
    """MACs of a forward pass on one sample; 0 where none were counted."""
    trained = FORWARDS_PER_TRAINED_SAMPLE * entry.samples
    return (entry.macs - entry.teacher_macs) / trained if trained else 0.0


def _teacher_macs(entry: StageEntry, whole: float) -> float:
    """What a teacher costs; a feature cache saved it this time, not for a chain that nobody has trained."""
    return whole if entry.teacher == "cache" or entry.teacher_samples else entry.teacher_macs


def _recipe(entry: StageEntry) -> str:
    return f"growth {entry.growth} {'with' if entry.distill_weight else 'without'} distillation"


def _folders(place: Place) -> Iterator[RunFolder]:
    run, sweep = RunFolder(place), place / SWEEP
    if run.ledger_file.is_file() or not sweep.is_file():
        yield run
        return
    for name in _trial_runs(sweep):
        trial = RunFolder(place / name)
        if trial.ledger_file.is_file():
            yield trial


def _trial_runs(sweep: Place) -> list[str]:
    try:
        runs = [str(trial["run"]) for trial in json.loads(sweep.read_text())["trials"]]
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise UserError(
            f"the sweep cannot be read ({type(error).__name__}: {error})",
            where=str(sweep),
            mend="give the run folders of its trials instead",
        ) from error
    return [run for run in runs if run and ".." not in run.split("/")]
