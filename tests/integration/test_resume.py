"""A run that is cut off anywhere is completed by the same command, with the weights of an undisturbed run."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.integration.conftest import FinishedRun
from tests.integration.harness import (
    command,
    compt,
    descendants,
    end,
    environment,
    largest_difference,
    ledger,
    ray_folder,
)

START_TIMEOUT_S = 300


def _interrupt_at(run: FinishedRun, folder: Path, stage: str, number: int) -> subprocess.Popen[str]:
    """Start a run, send signal `number` to the driver once `stage` has a checkpoint, return the ended driver."""
    with ray_folder() as ray_dir:
        driver = subprocess.Popen(
            command("train", run.chain, "--run-dir", folder),
            env=environment(ray_dir),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            _wait_for_checkpoint(driver, folder / stage)
            family = descendants(driver.pid)
            os.kill(driver.pid, number)
            driver.wait(60)
        finally:
            driver.kill()
            end(family if "family" in locals() else descendants(driver.pid))
    return driver


def _wait_for_checkpoint(driver: subprocess.Popen[str], stage: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not list(stage.glob("checkpoints/checkpoint_*/state.json")):
        assert driver.poll() is None, driver.communicate()
        assert time.monotonic() < deadline, "no checkpoint came"
        time.sleep(0.05)


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
    if number == signal.SIGINT:
        assert "the same command goes on" in errors
    assert ledger(tmp_path / "run")["stages"][0]["state"] == "running"
