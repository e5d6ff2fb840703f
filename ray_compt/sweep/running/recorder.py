"""Keeps sweep.json true: what a trial is comes from its own folder, so that nothing is lost with a driver."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timezone

from ray_compt.chain.ledger import Ledger, StageEntry
from ray_compt.config.schema import Chain
from ray_compt.errors import UserError
from ray_compt.models import model_name
from ray_compt.storage import Place
from ray_compt.sweep.candidate import Candidate
from ray_compt.sweep.record import FILE, StageRecord, SweepRecord, TrialRecord, write_record
from ray_compt.sweep.running.folder import TRIALS, SweepFolder, trial_name
from ray_compt.sweep.running.state import read_trial, write_trial
from ray_compt.sweep.scores import Score, score


class Recorder:
    """The record of a sweep that runs. Ray Tune's thread and the driver's own both use it."""

    def __init__(self, folder: SweepFolder, record: SweepRecord, seeds: Sequence[int]):
        self._folder, self._record, self._seeds = folder, record, tuple(seeds)
        self._lock = threading.RLock()

    @property
    def record(self) -> SweepRecord:
        return self._record

    def numbers(self, candidate: int) -> list[int]:
        """Numbers of a candidate's trials."""
        count = len(self._seeds)
        return list(range(candidate * count, candidate * count + count))

    def begin(self, number: int, candidate: Candidate) -> list[Chain]:
        """Put a candidate's trials on record, unless they are there already, and return their chains."""
        chains = [candidate.trial(seed) for seed in self._seeds]
        with self._lock:
            known = {trial.number for trial in self._record.trials}
            fresh = [
                TrialRecord(
                    trial,
                    number,
                    seed,
                    candidate.stages,
                    dict(candidate.values),
                    stages=_planned(chain),
                    run=f"{TRIALS}/{trial_name(trial)}",
                )
                for trial, seed, chain in zip(self.numbers(number), self._seeds, chains)
                if trial not in known
            ]
            self._replace([*self._record.trials, *fresh])
        return chains

    def refresh(self) -> SweepRecord:
        """Read how far every trial is that has not ended, and store the record where that has changed."""
        with self._lock:
            trials = [trial if trial.ended else self._read(trial) for trial in self._record.trials]
            if tuple(trials) != self._record.trials:
                self._replace(trials)
            return self._record

    def reopen(self) -> None:
        """Take back up, for a new start, what an earlier one has left as failed."""
        with self._lock:
            failed = [trial for trial in self._record.trials if trial.state == "failed"]
            for trial in failed:
                write_trial(self._folder.trial(trial.number), "pending")
            self._replace(
                replace(trial, state="pending", error=None) if trial in failed else trial
                for trial in self._record.trials
            )

    def score(self, candidate: int) -> Score:
        """What a candidate has reached so far."""
        mine = [trial for trial in self.refresh().trials if trial.candidate == candidate]
        return score(mine, self._record.objective)[0]

    def end(self) -> SweepRecord:
        """Note that the sweep has ended."""
        with self._lock:
            self.refresh()
            self._record = replace(self._record, ended=now())
            self._store()
            return self._record

    def _read(self, trial: TrialRecord) -> TrialRecord:
        place = self._folder.trial(trial.number)
        found = read_trial(place)
        if found.state == "pending":
            return trial
        return replace(trial, state=found.state, error=found.error, stages=_stages(place, trial))

    def _replace(self, trials: Iterable[TrialRecord]) -> None:
        listed = sorted(trials, key=lambda trial: trial.number)
        self._record = replace(self._record, trials=tuple(listed))
        self._store()

    def _store(self) -> None:
        write_record(self._folder.path / FILE, self._record)


def now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def _planned(chain: Chain) -> tuple[StageRecord, ...]:
    return tuple(StageRecord(stage.name, model_name(stage.model), "", stage.epochs) for stage in chain.stages)


def _stages(place: Place, trial: TrialRecord) -> tuple[StageRecord, ...]:
    """The stages as the trial's ledger has them; as they were where it has none yet."""
    try:
        ledger = Ledger.open(place / "ledger.json")
    except UserError:
        return trial.stages
    return tuple(map(_stage, ledger.stages))


def _stage(entry: StageEntry) -> StageRecord:
    return StageRecord(
        name=entry.name,
        model=entry.model,
        key=entry.key,
        epochs=entry.epochs,
        state=entry.state,
        reused=entry.reused,
        steps=entry.steps,
        macs=entry.macs,
        teacher_macs=entry.teacher_macs,
        seconds=entry.seconds,
        metrics=dict(entry.metrics),
    )
