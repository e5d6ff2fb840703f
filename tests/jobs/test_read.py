"""Reading how far a run is from its folder, on a disk and in an object store."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ray_compt.chain.folder import open_run
from ray_compt.chain.lock import NAME, only_driver, read_driver
from ray_compt.config.load import make_chain
from ray_compt.errors import UserError
from ray_compt.jobs.read import SweepStatus, read_status
from ray_compt.jobs.status import RunStatus
from ray_compt.jobs.words import sweep_lines
from ray_compt.storage import JsonLines, open_place
from ray_compt.sweep.record import FILE, write_record
from tests.cli.small import small_chain
from tests.s3 import S3
from tests.sweep import records


def _train(run: str, *, samples: int = 1000) -> None:
    """Leave a run as its driver does in the middle of its first stage."""
    chain = make_chain(small_chain(), (), "here")
    with open_run(run, chain) as (folder, ledger):
        ledger.training_samples = samples
        entry = ledger.update(ledger.stages[0], state="running", steps=124, samples_per_second=32.0)
        events = JsonLines(folder.stage(entry), "events.jsonl")
        events.append({"event": "started", "workers": 2, "step": 0, "time": 0.0})
        events.store()


def _read(run: object) -> RunStatus:
    status = read_status(str(run))
    assert isinstance(status, RunStatus)
    return status


def test_a_run_is_read_while_its_driver_holds_it_and_afterwards(tmp_path: Path) -> None:
    run = tmp_path / "run"
    _train(str(run))
    assert _read(run).state == "stopped"
    with only_driver(open_place(run)):
        before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
        status = _read(run)
        assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before
    stage = status.stages[0]
    assert (status.state, status.chain) == ("running", "tiny")
    assert (stage.step, stage.steps, stage.workers, stage.seconds_left) == (124, 248, 2, 62.0)
    assert status.driver is not None and status.driver.pid == os.getpid()
    assert status.heard_s is not None and status.heard_s < 600


def test_a_run_in_an_object_store_is_read_by_its_url(s3: S3) -> None:
    _train("s3://bucket/run")
    status = _read("s3://bucket/run")
    assert (status.state, status.stages[0].step, status.driver) == ("stopped", 124, None)
    assert status.heard_s is not None


def test_steps_are_unknown_before_the_samples_are_counted(tmp_path: Path) -> None:
    _train(str(tmp_path), samples=0)
    assert _read(tmp_path).stages[0].steps is None


def test_a_damaged_chain_file_costs_the_plan_alone(tmp_path: Path) -> None:
    _train(str(tmp_path))
    (tmp_path / "chain.yaml").write_text("name: [")
    assert _read(tmp_path).stages[0].steps is None


def test_a_sweep_is_read_with_its_running_trials(tmp_path: Path) -> None:
    sweep = records.sweep(
        records.trial(0), records.trial(1, state="running"), records.trial(2, state="running"), planned=4
    )
    write_record(open_place(tmp_path / FILE), sweep)
    _train(str(tmp_path / "trials" / "1"))
    status = read_status(str(tmp_path))
    assert isinstance(status, SweepStatus)
    assert list(status.running) == [1]
    lines = sweep_lines(status)
    assert lines[0].startswith("sweep digits_quick: stopped")
    assert "1/4 trials done, 2 running" in lines[1]
    assert lines[2].startswith("trial 1: chain tiny: stopped, stage 1/2 small, step 124/248")


@pytest.mark.parametrize("made, message", [(False, "no such folder"), (True, "no ledger here")])
def test_what_is_no_run_is_said(tmp_path: Path, made: bool, message: str) -> None:
    run = tmp_path / "nothing"
    if made:
        run.mkdir()
    with pytest.raises(UserError, match=message):
        read_status(str(run))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"host": "a"}', '{"host": "a", "pid": "x", "started": 0}'])
def test_nobody_holds_a_folder_whose_driver_is_unreadable(tmp_path: Path, text: str) -> None:
    (tmp_path / NAME).write_text(text)
    assert read_driver(open_place(tmp_path)) is None


@pytest.mark.parametrize(
    "host, more, alive",
    [("elsewhere", "", None), ("elsewhere", ', "beat": 0', False), ("elsewhere", ', "beat": 1e12', True)],
)
def test_of_a_driver_on_another_host_only_a_beat_tells(
    tmp_path: Path, host: str, more: str, alive: bool | None
) -> None:
    (tmp_path / NAME).write_text(f'{{"host": "{host}", "pid": 1, "started": 0{more}}}')
    driver = read_driver(open_place(tmp_path))
    assert driver is not None and driver.alive is alive
