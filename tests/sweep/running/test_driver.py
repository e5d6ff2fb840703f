"""A new start takes up every candidate where it was, in the order of their numbers, and tries as many as asked for."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from ray_compt.report.terminal import Terminal
from ray_compt.storage import open_place
from ray_compt.sweep.plan import SweepPlan
from ray_compt.sweep.record import FILE, read_record
from ray_compt.sweep.running import driver
from ray_compt.sweep.running.driver import _Run
from ray_compt.sweep.running.folder import SweepFolder
from ray_compt.sweep.running.opening import open_record
from ray_compt.sweep.running.recorder import Recorder
from ray_compt.sweep.running.state import write_trial
from ray_compt.train.cluster import Needs
from tests.sweep.files import SWEEP, plan, with_space
from tests.sweep.running.folders import finish_trial

METRIC = "zero_shot_top1"
RANGE = with_space("train.lr: {loguniform: [1e-4, 1e-2]}")
SEARCHES = {
    "grid": SWEEP,
    "drawn": f"{SWEEP}search: {{algorithm: grid, trials: 6}}\n",
    "random": f"{RANGE}search: {{algorithm: random, trials: 6}}\n",
    "tpe": f"{RANGE}search: {{algorithm: tpe, trials: 6}}\n",
    "few": f"{SWEEP}search: {{algorithm: tpe, trials: 500}}\n",
}
COUNTS = {"grid": 16, "drawn": 6, "random": 6, "tpe": 6, "few": 16}


def open_run(made: SweepPlan, folder: SweepFolder, *, here: bool = True) -> _Run:
    recorder = Recorder(folder, open_record(made, folder, None), made.sweep.seeds)
    recorder.reopen()
    return _Run(made, folder, recorder, Terminal(Console(file=io.StringIO())), here, False)


@pytest.mark.parametrize("search", SEARCHES)
def test_a_new_start_goes_on_with_what_is_open_and_then_with_what_is_new(tmp_path: Path, search: str) -> None:
    made, folder = plan(tmp_path, SEARCHES[search]), SweepFolder(open_place(tmp_path / "sweep"))
    run = open_run(made, folder)
    queue, count = run._queue(run._known())
    assert count == COUNTS[search]
    first = []
    for number in range(4):
        candidate = queue.next()
        assert candidate is not None
        run.recorder.begin(number, candidate)
        first.append(candidate.key)
    finish_trial(folder.trial(0), {METRIC: 0.5})
    write_trial(folder.trial(1), "failed", "no room")
    write_trial(folder.trial(2), "running")

    again = open_run(made, folder)
    states = [trial.state for trial in again.recorder.record.trials]
    assert states == ["done", "pending", "pending", "pending"]
    known = again._known()
    assert [known[number].key for number in range(4)] == first
    queue, count = again._queue(known)
    assert count == COUNTS[search]
    fresh = []
    while (candidate := queue.next()) is not None:
        fresh.append(candidate.key)
    assert len(fresh) == count - 4
    assert len({*first, *fresh}) == count
    assert read_record(folder.path / FILE) == again.recorder.record


def test_a_sweep_may_be_asked_for_more_trials(tmp_path: Path) -> None:
    folder = SweepFolder(open_place(tmp_path / "sweep"))
    for trials, before in ((6, 0), (9, 6), (2, 9)):
        text = f"{RANGE}search: {{algorithm: random, trials: {trials}}}\n"
        run = open_run(plan(tmp_path, text), folder)
        known = run._known()
        assert len(known) == before
        queue, count = run._queue(known)
        assert count == max(trials, before)
        for number in range(before, count):
            candidate = queue.next()
            assert candidate is not None
            run.recorder.begin(number, candidate)
        assert queue.next() is None


@pytest.mark.parametrize(
    "cores, asked, needs, concurrent",
    [
        (2, "auto", Needs(1, 4, 1, 0), 1),
        (8, "auto", Needs(1, 4, 1, 0), 4),
        (8, "auto", Needs(2, 4, 1, 0, teacher_cpus=1), 2),
        (1, "auto", Needs(1, 4, 1, 0), 1),
        (2, "2", Needs(1, 4, 1, 0), 2),
        (2, "8", Needs(1, 4, 1, 0), 2),
        (2, "3", Needs(4, 4, 1, 0), 1),
    ],
)
def test_this_machine_runs_as_many_trials_as_it_has_room_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cores: int, asked: str, needs: Needs, concurrent: int
) -> None:
    monkeypatch.setattr(driver, "usable_cores", lambda: cores)
    run = open_run(
        plan(tmp_path, f"{SWEEP}max_concurrent: {asked}\n"), SweepFolder(open_place(tmp_path / "sweep"))
    )
    assert run._concurrent_here(needs) == concurrent
    assert run._concurrent(needs) == concurrent
