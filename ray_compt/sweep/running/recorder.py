"""Keeps sweep.json true: what a trial is comes from its own folder, so that nothing is lost with a driver."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timezone

from ray_compt.chain.ledger import Ledger, StageEntry
from ray_compt.config.schema import Chain
from ray_compt.errors import StorageError, TrainingError, UserError
from ray_compt.models import model_name
from ray_compt.report.published import public, text_without_credentials
from ray_compt.storage import Place
from ray_compt.sweep.candidate import Candidate
from ray_compt.sweep.record import FILE, StageRecord, SweepRecord, TrialRecord, TrialState, write_record
from ray_compt.sweep.running.folder import TRIALS, SweepFolder, trial_name
from ray_compt.sweep.running.state import read_trial, write_trial
from ray_compt.sweep.scores import Score, score


class Recorder:
    """The record of a sweep that runs. Ray Tune's thread and the driver's own both use it.

    The record is public: URLs in it have lost their credentials.
    """

    def __init__(self, folder: SweepFolder, record: SweepRecord, seeds: Sequence[int]):
        self._folder, self._record, self._seeds = folder, record, tuple(seeds)
        self._lock = threading.RLock()
        self._stored = True

    @property
    def record(self) -> SweepRecord:
        return self._record

    def numbers(self, candidate: int) -> list[int]:
        """Numbers of a candidate's trials."""
        count = len(self._seeds)
        return list(range(candidate * count, candidate * count + count))

    def plan(self, trials: int) -> None:
        """Note how many trials there will be.

        Raises:
            TrainingError: the record cannot be stored.
        """
        with self._lock:
            self._record = replace(self._record, planned=trials)
            self._store()

    def begin(self, number: int, candidate: Candidate) -> list[Chain]:
        """Put a candidate's trials on record, unless they are there already, and return their chains.

        Raises:
            TrainingError: the record cannot be stored, so that nothing may begin.
        """
        chains = [candidate.trial(seed) for seed in self._seeds]
        with self._lock:
            known = {trial.number for trial in self._record.trials}
            fresh = [
                TrialRecord(
                    trial,
                    number,
                    seed,
                    candidate.stages,
                    public(dict(candidate.values)),
                    stages=_planned(chain),
                    run=f"{TRIALS}/{trial_name(trial)}",
                )
                for trial, seed, chain in zip(self.numbers(number), self._seeds, chains)
                if trial not in known
            ]
            before = self._record
            self._record = replace(self._record, ended=None)
            self._change([*self._record.trials, *fresh])
            try:
                self._store()
            except TrainingError:
                self._record = before
                raise
        return chains

    def refresh(self) -> SweepRecord:
        """Read how far every trial is that has not ended, and store the record where that has changed.

        A store that does not answer, or a full disk, costs what is new, and it is stored with the next.
        """
        with self._lock:
            trials = [trial if trial.ended else self._read(trial) for trial in self._record.trials]
            if tuple(trials) != self._record.trials:
                self._change(trials)
            if not self._stored:
                with suppress(TrainingError):
                    self._store()
            return self._record

    def reopen(self) -> None:
        """Take back up, for a new start, what an earlier one has left as failed, or running without an end."""
        with self._lock:
            for trial in self.refresh().trials:
                if trial.state in ("running", "failed"):
                    self._set(trial, "pending")
            self._store()

    def leave(self) -> None:
        """Note, when a sweep stops, that nobody runs its trials any more."""
        with self._lock:
            for trial in self.refresh().trials:
                if trial.state == "running":
                    with suppress(TrainingError):
                        self._set(trial, "pending")
            self.refresh()

    def lose(self, candidate: int, reason: str) -> None:
        """Note that a candidate's trials that have not ended will not end any more.

        Args:
            reason: cause and mend, for people.
        """
        with self._lock:
            for trial in self.refresh().trials:
                if trial.candidate == candidate and not trial.ended:
                    with suppress(TrainingError):
                        self._set(trial, "failed", reason)
            self.refresh()

    def score(self, candidate: int) -> Score:
        """What a candidate has reached so far."""
        mine = [trial for trial in self.refresh().trials if trial.candidate == candidate]
        return score(mine, self._record.objective)[0]

    def end(self) -> SweepRecord:
        """Note that the sweep has ended.

        Raises:
            TrainingError: the record cannot be stored.
        """
        with self._lock:
            self.leave()
            if self._record.ended is None:
                self._record = replace(self._record, ended=now())
            self._store()
            return self._record

    def _read(self, trial: TrialRecord) -> TrialRecord:
        """The trial as its own files have it; as it was where they cannot be read."""
        place = self._folder.trial(trial.number)
        try:
            found = read_trial(place)
            return _with_state(trial, found.state, found.error, _stages(place, trial))
        except StorageError:
            return trial

    def _set(self, trial: TrialRecord, state: TrialState, error: str | None = None) -> None:
        """Change a trial's state, in its own file too, which the next start reads."""
        changed = _with_state(trial, state, error, trial.stages)
        self._change(changed if other == trial else other for other in self._record.trials)
        write_trial(self._folder.trial(trial.number), state, error)

    def _change(self, trials: Iterable[TrialRecord]) -> None:
        listed = sorted(trials, key=lambda trial: trial.number)
        self._record = replace(self._record, trials=tuple(listed))
        self._stored = False

    def _store(self) -> None:
        write_record(self._folder.path / FILE, self._record)
        self._stored = True


def now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def _with_state(
    trial: TrialRecord, state: TrialState, error: str | None, stages: Iterable[StageRecord]
) -> TrialRecord:
    """The trial in this state. Its ledger goes on saying "running" of a stage that was broken off."""
    if state != "running":
        stages = (replace(stage, state=state) if stage.state == "running" else stage for stage in stages)
    said = text_without_credentials(error) if error else error
    return replace(trial, state=state, error=said, stages=tuple(stages))


def _planned(chain: Chain) -> tuple[StageRecord, ...]:
    return tuple(StageRecord(stage.name, model_name(stage.model), "", stage.epochs) for stage in chain.stages)


def _stages(place: Place, trial: TrialRecord) -> tuple[StageRecord, ...]:
    """The stages as the trial's ledger has them; as they were where it has none yet, or a damaged one."""
    try:
        ledger = Ledger.open(place / "ledger.json")
    except StorageError:
        raise
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
