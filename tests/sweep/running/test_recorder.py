"""The record of a sweep is true whenever its driver ends, and goes on from the trials' own files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from ray_compt.errors import TrainingError
from ray_compt.storage import open_place
from ray_compt.storage.place import LocalPlace
from ray_compt.sweep.candidate import Candidate
from ray_compt.sweep.record import FILE, SweepRecord, read_record
from ray_compt.sweep.running.folder import SweepFolder
from ray_compt.sweep.running.recorder import Recorder
from ray_compt.sweep.running.state import read_trial, write_trial
from tests.sweep.files import plan, with_space
from tests.sweep.records import METRIC, sweep
from tests.sweep.running.folders import entry, finish_trial, write_ledger

SEEDS = (0, 7)


@pytest.fixture
def folder(tmp_path: Path) -> SweepFolder:
    return SweepFolder(open_place(tmp_path / "sweep"))


@pytest.fixture
def candidates(tmp_path: Path) -> tuple[Candidate, ...]:
    return plan(tmp_path).candidates().candidates


@pytest.fixture
def recorder(folder: SweepFolder, candidates: tuple[Candidate, ...]) -> Recorder:
    """Two candidates have begun."""
    made = Recorder(folder, sweep(), SEEDS)
    for number in range(2):
        made.begin(number, candidates[number])
    return made


def states(record: SweepRecord) -> list[str]:
    return [trial.state for trial in record.trials]


def stored(folder: SweepFolder) -> SweepRecord:
    return read_record(folder.path / FILE)


def again(folder: SweepFolder) -> Recorder:
    """As the next start opens the folder."""
    return Recorder(folder, stored(folder), SEEDS)


def test_trials_are_on_record_before_they_start(
    recorder: Recorder, folder: SweepFolder, candidates: tuple[Candidate, ...]
) -> None:
    record = stored(folder)
    assert record == recorder.record
    assert [(one.number, one.candidate, one.seed) for one in record.trials] == [
        (0, 0, 0),
        (1, 0, 7),
        (2, 1, 0),
        (3, 1, 7),
    ]
    assert recorder.numbers(1) == [2, 3]
    assert states(record) == ["pending"] * 4
    assert record.trials[2].run == "trials/0002"
    assert [stage.name for stage in record.trials[2].stages] == list(candidates[1].stages)
    assert recorder.begin(1, candidates[1])[1].seed == 7
    assert stored(folder) == record, "what is there is not put there again"


def test_the_record_follows_the_trials_files(recorder: Recorder, folder: SweepFolder) -> None:
    write_trial(folder.trial(0), "running")
    assert recorder.refresh().trials[0].stages == recorder.record.trials[0].stages, "no ledger yet"
    stages = [entry("S", state="done", macs=3, reused=True, key="k"), entry("L", state="running", steps=4)]
    write_ledger(folder.trial(0), stages)
    finish_trial(folder.trial(2), {METRIC: 0.5})
    record = recorder.refresh()
    assert states(record) == ["running", "pending", "done", "pending"]
    assert [(one.name, one.state, one.steps) for one in record.trials[0].stages] == [
        ("S", "done", 0),
        ("L", "running", 4),
    ]
    assert (record.trials[0].macs_saved, record.trials[2].metrics) == (3, {METRIC: 0.5})
    assert stored(folder) == record


def test_what_has_ended_is_not_read_again(recorder: Recorder, folder: SweepFolder) -> None:
    finish_trial(folder.trial(0), {METRIC: 0.5})
    record = recorder.refresh()
    shutil.rmtree(str(folder.trial(0)))
    assert recorder.refresh() == record


def test_a_damaged_ledger_costs_nothing_that_is_known(recorder: Recorder, folder: SweepFolder) -> None:
    write_trial(folder.trial(0), "running")
    write_ledger(folder.trial(0), [entry("S", state="running", steps=4)])
    before = recorder.refresh()
    (folder.trial(0) / "ledger.json").write_text("{")
    assert recorder.refresh() == before


@pytest.mark.parametrize("state", ["pruned", "failed", "pending"])
def test_a_stage_that_was_broken_off_does_not_run(
    recorder: Recorder, folder: SweepFolder, state: str
) -> None:
    write_ledger(folder.trial(0), [entry("S", state="done"), entry("L", state="running", steps=4)])
    write_trial(folder.trial(0), state)  # type: ignore[arg-type]
    first = recorder.refresh().trials[0]
    assert [stage.state for stage in first.stages] == ["done", state]
    assert first.stages[1].steps == 4


def test_a_killed_driver_leaves_what_the_next_start_takes_up(recorder: Recorder, folder: SweepFolder) -> None:
    """After SIGKILL the record may be older than the trials' files, and says of a dead trial that it runs."""
    write_trial(folder.trial(1), "running")
    write_ledger(folder.trial(1), [entry("S", state="running", steps=4)])
    recorder.refresh()
    finish_trial(folder.trial(0), {METRIC: 0.5})
    write_trial(folder.trial(2), "failed", "the disk is full")
    assert states(stored(folder)) == ["pending", "running", "pending", "pending"]
    found = again(folder)
    found.reopen()
    assert states(found.record) == ["done", "pending", "pending", "pending"]
    assert states(stored(folder)) == states(found.record)
    assert found.record.trials[2].error is None
    assert found.record.trials[1].stages[0].steps == 4, "it goes on from there"
    assert [read_trial(folder.trial(number)).state for number in range(3)] == ["done", "pending", "pending"]


def test_a_kill_while_reopening_changes_nothing(recorder: Recorder, folder: SweepFolder) -> None:
    write_trial(folder.trial(2), "failed", "the disk is full")
    recorder.refresh()
    assert states(stored(folder))[2] == "failed"
    # The trial's own file was written, the record was not.
    write_trial(folder.trial(2), "pending")
    found = again(folder)
    found.reopen()
    assert states(found.record)[2] == states(stored(folder))[2] == "pending"


def test_a_record_that_is_lost_with_its_last_lines_is_made_again(
    recorder: Recorder, folder: SweepFolder, candidates: tuple[Candidate, ...]
) -> None:
    older = (folder.path / FILE).read_text()
    recorder.begin(2, candidates[2])
    finish_trial(folder.trial(4), {METRIC: 0.75})
    (folder.path / FILE).write_text(older)
    found = again(folder)
    found.begin(2, candidates[2])
    assert found.refresh().trials[4].metrics == {METRIC: 0.75}


def test_when_a_sweep_stops_nobody_runs_its_trials(recorder: Recorder, folder: SweepFolder) -> None:
    write_trial(folder.trial(0), "running")
    recorder.refresh()
    recorder.leave()
    assert states(stored(folder))[0] == read_trial(folder.trial(0)).state == "pending"


def test_a_lost_candidates_trials_have_failed(recorder: Recorder, folder: SweepFolder) -> None:
    finish_trial(folder.trial(0), {METRIC: 0.5})
    write_trial(folder.trial(1), "running")
    recorder.lose(0, "its process was lost")
    assert states(stored(folder)) == ["done", "failed", "pending", "pending"]
    assert recorder.record.trials[1].error == read_trial(folder.trial(1)).error == "its process was lost"
    assert recorder.score(0).missing == "1 of 2 failed"


def test_an_end_is_noted_once(
    recorder: Recorder, folder: SweepFolder, candidates: tuple[Candidate, ...]
) -> None:
    ended = recorder.end().ended
    assert ended is not None
    found = again(folder)
    assert found.end().ended == ended
    found.begin(1, candidates[1])
    assert found.record.ended is None, "it goes on"


class Full(LocalPlace):
    """A disk without room for the record, while it says so."""

    full = False

    def __truediv__(self, name: str) -> LocalPlace:
        return Full(self.path / name)

    def write_text(self, text: str) -> None:
        if self.name == FILE and Full.full:
            raise TrainingError("cannot be written (No space left on device)")
        super().write_text(text)


@pytest.fixture
def full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SweepFolder:
    monkeypatch.setattr(Full, "full", False)
    return SweepFolder(Full(tmp_path / "sweep"))


def test_a_full_disk_stops_no_sweep_that_runs(
    full: SweepFolder, candidates: tuple[Candidate, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder(full, sweep(), SEEDS)
    recorder.begin(0, candidates[0])
    monkeypatch.setattr(Full, "full", True)
    finish_trial(full.trial(0), {METRIC: 0.5})
    assert states(recorder.refresh()) == ["done", "pending"]
    assert states(stored(full)) == ["pending", "pending"]
    with pytest.raises(TrainingError, match="No space left"):
        recorder.begin(1, candidates[1])
    assert len(recorder.record.trials) == 2, "what is not on record has not begun"
    monkeypatch.setattr(Full, "full", False)
    recorder.refresh()
    assert states(stored(full)) == ["done", "pending"], "what could not be stored comes with the next"


def test_the_record_holds_no_credentials(folder: SweepFolder, tmp_path: Path) -> None:
    secret = "s3://KEY:SECRET@bucket/shards"
    text = with_space(f"data.train: {{choice: [builtin:digits/train, '{secret}']}}")
    made = plan(tmp_path, text)
    second = next(one for one in made.candidates().candidates if one.values["data.train"] == secret)
    recorder = Recorder(folder, sweep(), (0,))
    assert recorder.begin(0, second)[0].data.train == secret
    write_trial(folder.trial(0), "failed", f"{secret}: nothing there\n  mend: look at {secret}/a.tar")
    recorder.refresh()
    assert "SECRET" not in (folder.path / FILE).read_text()
    assert json.loads((folder.path / FILE).read_text())["trials"][0]["values"] == {
        "data.train": "s3://bucket/shards"
    }
