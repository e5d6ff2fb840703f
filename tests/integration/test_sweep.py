"""Sweeps on a real Ray: shared stages are trained once, a killed driver costs nothing, pruning leaves nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import ray

from ray_compt.storage import open_place
from ray_compt.sweep.record import FILE, SweepRecord, read_record
from tests.faults.harness import small_cluster, wait_for
from tests.integration.harness import (
    TIMEOUT_S,
    command,
    compt,
    descendants,
    end,
    environment,
    hear_interrupts,
    ledger,
    ray_folder,
    tiny_chain,
    tiny_model,
)

STAGES = [
    {"model": tiny_model(16), "epochs": 0.3, "name": "a"},
    {"model": tiny_model(32), "epochs": 0.3, "name": "b"},
    {"model": tiny_model(48), "epochs": 0.3, "name": "c"},
]
# One of each a cluster, which Ray Data leaves there.
OF_RAY = ("_StatsActor", "_AutoscalingCoordinatorActor")


def _sweep(folder: Path, stages: list[dict[str, Any]], **keys: Any) -> Path:
    tiny_chain(folder, stages=stages, name="base")
    file = folder / "sweep.yaml"
    content = {"name": "tiny", "chain": "base.yaml", "objective": {"metric": "zero_shot_top1"}, **keys}
    file.write_text(json.dumps(content))
    return file


def _record(run: Path) -> SweepRecord:
    return read_record(open_place(run / FILE))


def _state(run: Path, trial: int) -> str:
    try:
        return next(one.state for one in _record(run).trials if one.number == trial)
    except Exception:
        return "unknown"


def _killed_while(running: int, sweep: Path, run: Path) -> None:
    """Start a sweep and kill its driver with SIGKILL once trial `running` is in a stage."""
    with ray_folder() as folder:
        process = subprocess.Popen(
            command("tune", sweep, "--run-dir", run), env=environment(folder), preexec_fn=hear_interrupts
        )
        family: list[psutil.Process] = []
        try:
            deadline = time.monotonic() + TIMEOUT_S
            while not list((run / "trials" / f"{running:04d}").glob("*/metrics.jsonl")):
                assert process.poll() is None
                assert time.monotonic() < deadline, "its moment never came"
                time.sleep(0.05)
            family = descendants(process.pid)
            os.kill(process.pid, signal.SIGKILL)
            process.wait(60)
        finally:
            process.kill()
            end(family or descendants(process.pid))


def test_a_sweep_goes_on_after_a_kill_and_its_winner_can_be_trained_again(tmp_path: Path) -> None:
    sweep, run = (
        _sweep(tmp_path, STAGES, chains={"list": [["a", "b"], ["a", "c"], ["b", "c"]]}),
        tmp_path / "run",
    )
    _killed_while(1, sweep, run)
    first = (run / "trials" / "0000" / "ledger.json").read_bytes()
    result = compt("tune", sweep, "--run-dir", run)
    assert result.returncode == 0, result.stdout + result.stderr
    assert (run / "trials" / "0000" / "ledger.json").read_bytes() == first, "what was done is not run again"
    record = _record(run)
    assert [trial.state for trial in record.trials] == ["done"] * 3
    assert [trial.chain for trial in record.trials] == [("a", "b"), ("a", "c"), ("b", "c")]
    taken = record.trials[1].stages[0]
    assert taken.reused
    assert taken.key == record.trials[0].stages[0].key
    assert record.macs_saved == taken.macs > 0
    assert all((run / name).stat().st_size for name in ("sweep.parquet", "sweep.html"))
    assert "Trials took" in result.stdout and "saved" in result.stdout
    for trial in record.trials:
        verified = compt("verify", run / trial.run)
        assert verified.returncode == 0, verified.stdout + verified.stderr
    written = compt("tune", "best", run, "--out", tmp_path / "best.yaml")
    assert written.returncode == 0, written.stderr
    again = compt("train", tmp_path / "best.yaml", "--run-dir", tmp_path / "again")
    assert again.returncode == 0, again.stdout + again.stderr
    winner = max(record.trials, key=lambda trial: trial.metrics["zero_shot_top1"])
    assert ledger(tmp_path / "again")["stages"][-1]["metrics"] == pytest.approx(winner.metrics)


def test_pruning_in_the_middle_of_stages_leaves_nothing_behind(tmp_path: Path) -> None:
    stages = [{"model": tiny_model(16), "epochs": 8, "name": "a"}]
    sweep = _sweep(
        tmp_path,
        stages,
        space={"train.lr": {"choice": [1e-3, 1e-9, 2e-3, 2e-9]}, "train.warmup_steps": 0},
        prune={"scheduler": "asha", "reduction": 2, "within_stage": True},
        max_concurrent=1,
    )
    run = tmp_path / "run"
    with small_cluster(8) as cluster:
        address = cluster.cluster.address
        result = subprocess.run(
            command("tune", sweep, "--run-dir", run, "--address", address),
            env=environment(cluster.folder),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        states = {trial.values["train.lr"]: trial.state for trial in _record(run).trials}
        assert states == {1e-3: "done", 1e-9: "pruned", 2e-3: "done", 2e-9: "pruned"}, result.stdout
        steps = [ledger(run / "trials" / f"{number:04d}")["stages"][0]["steps"] for number in range(4)]
        assert 0 < steps[1] < steps[0]
        assert 0 < steps[3] < steps[0]
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
        try:
            with suppress(AssertionError):
                wait_for("their end", lambda: not _alive_actors() and not _placement_groups(), timeout=30)
            assert _alive_actors() == []
            assert _placement_groups() == []
        finally:
            ray.shutdown()


def _alive_actors() -> list[str]:
    import ray._private.state

    actors = ray._private.state.actors().values()
    alive = [actor["ActorClassName"] for actor in actors if actor["State"] != "DEAD"]
    return [name for name in alive if name not in OF_RAY]


def _placement_groups() -> list[str]:
    return [
        group["name"] for group in ray.util.placement_group_table().values() if group["state"] != "REMOVED"
    ]
