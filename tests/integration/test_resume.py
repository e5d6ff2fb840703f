"""A run that is cut off anywhere is completed by the same command, with the weights of an undisturbed run."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import ray
from typer.testing import CliRunner

from ray_compt.cli.main import app
from tests.integration.conftest import FinishedRun
from tests.integration.harness import (
    compt,
    interrupted,
    largest_difference,
    ledger,
    tiny_chain,
    tiny_model,
)


def _interrupt_at(run: FinishedRun, folder: Path, stage: str, number: int) -> subprocess.Popen[str]:
    """Send the driver a signal once `stage` has a checkpoint."""

    def has_checkpoint() -> bool:
        return bool(list((folder / stage).glob("checkpoints/checkpoint_*/state.json")))

    return interrupted(has_checkpoint, number, "train", run.chain, "--run-dir", folder)


def _assert_completes(run: FinishedRun, folder: Path) -> None:
    broken = compt("verify", folder)
    assert broken.returncode == 0 and "well so far" in broken.stdout, broken.stdout + broken.stderr
    again = compt("train", run.chain, "--run-dir", folder)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "01-small" in again.stdout or "small: done already" in again.stdout
    entries = ledger(folder)["stages"]
    assert [entry["state"] for entry in entries] == ["done"] * 3
    for entry in entries:
        assert largest_difference(folder / entry["folder"], run.folder / entry["folder"]) < 1e-5
    verified = compt("verify", folder)
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_a_killed_driver_is_taken_over_in_the_middle_of_stage_2(
    finished_run: FinishedRun, tmp_path: Path
) -> None:
    _interrupt_at(finished_run, tmp_path / "run", "02-medium", signal.SIGKILL)
    states = [entry["state"] for entry in ledger(tmp_path / "run")["stages"]]
    assert states == ["done", "running", "pending"]
    _assert_completes(finished_run, tmp_path / "run")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_the_run_cleanly(
    finished_run: FinishedRun, tmp_path: Path, number: int, code: int
) -> None:
    driver = _interrupt_at(finished_run, tmp_path / "run", "01-small", number)
    _, errors = driver.stdout.read(), driver.stderr.read()
    assert driver.returncode == code, errors
    assert "Traceback" not in errors
    assert "the same command goes on" in errors
    assert ledger(tmp_path / "run")["stages"][0]["state"] == "running"


def test_a_sigterm_that_breaks_off_a_call_of_ray_is_one_too(
    own_ray: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @ray.remote
    def sleep() -> None:
        time.sleep(60)

    def wait_for_ray(*_: Any) -> dict[str, Any]:
        kill = threading.Timer(1, os.kill, (os.getpid(), signal.SIGTERM))
        kill.start()
        try:
            return dict(ray.get(sleep.remote(), timeout=60))
        finally:
            kill.cancel()

    monkeypatch.setattr("ray_compt.cli.train._train", wait_for_ray)
    chain = tiny_chain(tmp_path, stages=[{"model": tiny_model(16), "epochs": 1, "name": "small"}])
    before = signal.getsignal(signal.SIGTERM)
    try:
        result = CliRunner().invoke(app, ["train", str(chain)])
    finally:
        signal.signal(signal.SIGTERM, before)
    assert result.exit_code == 143, result.output
    assert "the same command goes on" in result.output
