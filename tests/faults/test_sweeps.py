"""Sweeps that are disturbed: trials that share a cluster, Ctrl-C in the middle of one, a trial's process killed, a
node lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from ray_compt.storage import open_place
from ray_compt.sweep.record import FILE, read_record
from tests.faults.harness import SmallCluster, small_cluster, wait_for
from tests.integration.harness import (
    TIMEOUT_S,
    command,
    compt,
    descendants,
    environment,
    interrupted,
    tiny_chain,
    tiny_model,
)


def _sweep(folder: Path, epochs: list[int], workers: dict[str, Any], **keys: Any) -> Path:
    """A sweep over the epochs of a chain of one model."""
    stages = [{"model": tiny_model(16), "epochs": 1, "name": "a"}]
    tiny_chain(folder, name="base", stages=stages, workers=workers, train={"checkpoint_every": 50})
    content = {
        "name": "disturbed",
        "chain": "base.yaml",
        "space": {"stages.a.epochs": {"choice": epochs}},
        "objective": {"metric": "zero_shot_top1"},
        **keys,
    }
    file = folder / "sweep.yaml"
    file.write_text(json.dumps(content))
    return file


def _starts(run: Path, trial: int) -> list[dict[str, Any]]:
    lines = (run / "trials" / f"{trial:04d}" / "01-a" / "events.jsonl").read_text().splitlines()
    return [event for event in map(json.loads, lines) if event["event"] == "started"]


def _assert_well(run: Path) -> None:
    trials = read_record(open_place(run / FILE)).trials
    assert [trial.state for trial in trials] == ["done"] * len(trials)
    for trial in trials:
        verified = compt("verify", run / trial.run)
        assert verified.returncode == 0, verified.stdout


def test_a_stage_gives_way_when_a_trial_begins_and_grows_again_when_it_ends(tmp_path: Path) -> None:
    sweep = _sweep(tmp_path, [24, 4], {"max": 4, "resize_s": 1}, max_concurrent=2)
    run = tmp_path / "run"
    with small_cluster(7) as cluster:
        result = subprocess.run(
            command("tune", sweep, "--run-dir", run, "--address", cluster.cluster.address),
            env=environment(cluster.folder),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )
    assert result.returncode == 0, result.stdout + result.stderr
    workers = [event["workers"] for event in _starts(run, 0)]
    assert workers[-1] == 4, f"it ends alone, with all workers: {workers}"
    assert 2 in workers, f"it has given way: {workers}"
    _assert_well(run)


def test_ctrl_c_saves_and_the_same_command_goes_on(tmp_path: Path) -> None:
    sweep, run = _sweep(tmp_path, [20, 1], {}), tmp_path / "run"
    metrics = run / "trials" / "0000" / "01-a" / "metrics.jsonl"
    stopped = interrupted(metrics.exists, signal.SIGINT, "tune", sweep, "--run-dir", run)
    assert stopped.returncode == 130
    result = compt("tune", sweep, "--run-dir", run)
    assert result.returncode == 0, result.stdout + result.stderr
    assert [event["step"] > 0 for event in _starts(run, 0)] == [False, True]
    _assert_well(run)


def test_a_trial_whose_process_is_killed_goes_on(tmp_path: Path) -> None:
    with small_cluster(6) as cluster:
        _disturbed(tmp_path, cluster, lambda: os.kill(_trial().pid, signal.SIGKILL))


def test_a_sweep_goes_on_when_the_node_of_its_trial_is_lost(tmp_path: Path) -> None:
    with small_cluster(1, 6) as cluster:

        def replace_the_node() -> None:
            cluster.kill_node(cluster.nodes[1])
            cluster.add(6)

        _disturbed(tmp_path, cluster, replace_the_node)


def _disturbed(folder: Path, cluster: SmallCluster, disturb: Callable[[], None]) -> None:
    """A sweep of a long and a short trial on a cluster that is disturbed once the long one has a checkpoint."""
    sweep, run = _sweep(folder, [20, 1], {}), folder / "run"
    driver = subprocess.Popen(
        command("tune", sweep, "--run-dir", run, "--address", cluster.cluster.address),
        env=environment(cluster.folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        checkpoints = run / "trials" / "0000" / "01-a" / "checkpoints"
        wait_for("a checkpoint", lambda: list(checkpoints.glob("checkpoint_*/state.json")), TIMEOUT_S)
        disturb()
        output = driver.communicate(timeout=TIMEOUT_S)[0]
    finally:
        driver.kill()
    assert driver.returncode == 0, output
    assert [event["step"] > 0 for event in _starts(run, 0)] == [False, True]
    _assert_well(run)


def _trial() -> psutil.Process:
    """The process of Ray Tune's trial, whose actor is an `ImplicitFunc`."""
    return next(one for one in descendants(os.getpid()) if "ImplicitFunc" in " ".join(one.cmdline()))
