"""Trials of a sweep share a cluster: one that is alone takes all of it, and gives way when another begins."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.faults.harness import small_cluster
from tests.integration.harness import TIMEOUT_S, command, environment, tiny_chain, tiny_model


def test_a_stage_gives_way_when_a_trial_begins_and_grows_again_when_it_ends(tmp_path: Path) -> None:
    tiny_chain(
        tmp_path,
        name="base",
        stages=[{"model": tiny_model(16), "epochs": 8, "name": "a"}],
        workers={"max": 4, "resize_s": 1},
    )
    sweep = tmp_path / "sweep.yaml"
    content = {
        "name": "shared",
        "chain": "base.yaml",
        "space": {"stages.a.epochs": {"choice": [60, 6]}},
        "objective": {"metric": "zero_shot_top1"},
        "max_concurrent": 2,
    }
    sweep.write_text(json.dumps(content))
    run = tmp_path / "run"
    with small_cluster(6.5) as cluster:
        result = subprocess.run(
            command("tune", sweep, "--run-dir", run, "--address", cluster.cluster.address),
            env=environment(cluster.folder),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )
    assert result.returncode == 0, result.stdout + result.stderr
    lines = (run / "trials" / "0000" / "01-a" / "events.jsonl").read_text().splitlines()
    workers = [event["workers"] for event in map(json.loads, lines) if event["event"] == "started"]
    assert workers[-1] == 4, f"it ends alone, with all workers: {workers}"
    assert 2 in workers, f"it has given way: {workers}"
    verified = subprocess.run(command("verify", run / "trials" / "0000"), capture_output=True, text=True)
    assert verified.returncode == 0, verified.stdout
