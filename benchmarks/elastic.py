"""Seconds from a node's joining or dying to the next step, part by part, and what elasticity costs per step.

    python -m benchmarks.elastic --repeats 3

Ours and, in the same run, Ray Train's own elastic training of the same model (benchmarks/peers/ray_train.py), on a
small cluster on this machine. Parts: "notice" until the group is asked to pause, or until the death is known;
"save" the checkpoint before a resize; "replace" until the new process begins; "process" Python, Ray, torch and the
process group; "imports" the rest of them; "checkpoint" reading it; "engine" DeepSpeed; "data" the first batch; "step"
the first step.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.faults.chain import FIRST as STAGE
from tests.faults.harness import small_cluster, wait_for
from tests.integration.harness import environment, ledger, tiny_chain, tiny_model

IMPORTS = (
    "import ray_compt.train.worker as w; from ray_compt.train.deepspeed_setup import import_deepspeed as i; "
    "i(cpu=True)"
)
Parts = dict[str, float]


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="elastic") as name:
        folder = Path(name)
        print(f"imports alone: {_imports(options.repeats):.1f} s")
        _show("ray_compt", _ours(folder, options.repeats))
        _show("Ray Train", _peer(folder, options.repeats))
        _cost_per_step(folder, options.repeats, options.steps)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3, help="of each event and of each run")
    parser.add_argument("--steps", type=int, default=1100, help="of the runs that are timed step by step")
    return parser.parse_args()


def _imports(repeats: int) -> float:
    """Median seconds of importing all that a worker needs, in a process of its own."""

    def once() -> float:
        began = time.monotonic()
        subprocess.run([sys.executable, "-c", IMPORTS], check=True, stderr=subprocess.DEVNULL)
        return time.monotonic() - began

    return statistics.median(once() for _ in range(repeats))


def _chain(folder: Path, name: str, epochs: float, **workers: Any) -> Path:
    """A stage of one small model; steps an epoch: 22."""
    stages = [{"model": tiny_model(64, layers=2), "epochs": epochs, "name": "small"}]
    bounds = {"min": 1, "max": 2, "cpus": 1, "resize_s": 1, **workers}
    return tiny_chain(folder, stages=stages, name=name, workers=bounds, train={"checkpoint_every": 20})


def _ours(folder: Path, repeats: int) -> dict[str, list[Parts]]:
    found: dict[str, list[Parts]] = {"a node joins": [], "a node dies": []}
    with small_cluster(2) as cluster:
        driver = cluster.train(_chain(folder, "ours", epochs=1000), folder / "ours")
        driver.wait_for_event(STAGE, "running", 1)
        for number in range(repeats):
            time.sleep(5)
            node, began = cluster.add(2), time.time()
            running = driver.wait_for_event(STAGE, "running", 2 * number + 2)
            asked = driver.events(STAGE, "resize")[-1]
            told = asked["time"] - asked["pause_s"]
            notice = {"notice": told - began, "save": asked["pause_s"]}
            found["a node joins"].append(notice | _start(running, asked["time"]))
            time.sleep(5)
            taken, began = driver.steps(STAGE), time.time()
            cluster.kill_node(node)
            running = driver.wait_for_event(STAGE, "running", 2 * number + 3)
            failure = driver.events(STAGE, "failure")[-1]["time"]
            parts = {"notice": failure - began} | _start(running, failure)
            found["a node dies"].append(parts | {"steps repeated": taken - running["step"] + 1.0})
    return found


def _start(running: dict[str, Any], since: float) -> Parts:
    """Parts of a group's start that was decided at `since`."""
    began = running["time"] - sum(running["seconds"].values())
    return {"replace": began - since, **running["seconds"]}


def _peer(folder: Path, repeats: int) -> dict[str, list[Parts]]:
    """It has no readers, so nodes of one CPU hold one worker each, as nodes of two do for ours."""
    found: dict[str, list[Parts]] = {"a node joins": [], "a node dies": []}
    log = folder / "peer.jsonl"
    with small_cluster(1) as cluster:
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.peers.ray_train", cluster.cluster.address, str(log)],
            env=environment(cluster.folder),
            stdout=subprocess.DEVNULL,
            stderr=(folder / "peer.log").open("w"),
        )
        try:
            _steps_after(log, 0.0, 1)
            for _ in range(repeats):
                time.sleep(5)
                node, began = cluster.add(1), time.time()
                found["a node joins"].append(_peer_parts(log, began, workers=2))
                time.sleep(5)
                began = time.time()
                cluster.kill_node(node)
                found["a node dies"].append(_peer_parts(log, began, workers=1))
        finally:
            process.kill()
            process.wait()
    return found


def _peer_parts(log: Path, began: float, workers: int) -> Parts:
    before, first = _steps_after(log, began, workers)
    return {"total": first["time"] - began, "steps repeated": float(before["step"] - first["step"] + 1)}


def _steps_after(log: Path, began: float, workers: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """The first step of a group of `workers` after `began`, and the step before it."""

    def look() -> tuple[dict[str, Any], dict[str, Any]] | None:
        lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        for before, line in zip([{"step": 0}, *lines], lines):
            if line["time"] > began and line["workers"] == workers:
                return before, line
        return None

    return wait_for(f"a step of {workers} workers", look)


def _show(name: str, found: dict[str, list[Parts]]) -> None:
    for event, samples in found.items():
        for parts in samples:
            times = {part: value for part, value in parts.items() if part != "steps repeated"}
            total = times.pop("total", None) or sum(times.values())
            split = "  ".join(f"{part} {value:.1f}" for part, value in times.items())
            repeated = f"  steps repeated {parts['steps repeated']:g}" if "steps repeated" in parts else ""
            print(f"{name}: {event}: {total:.1f} s  {split}{repeated}", flush=True)


def _cost_per_step(folder: Path, repeats: int, steps: int) -> None:
    """Samples a second with and without elasticity, in turns, where nothing happens."""

    most = {"off": 1, "on": 4}
    rates: dict[str, list[str]] = {kind: [] for kind in most}
    with small_cluster(2) as cluster:
        for number in range(repeats):
            for kind, workers in most.items():
                name = f"{kind}{number}"
                chain = _chain(folder, name, steps / 22, max=workers)
                cluster.train(chain, folder / name).finish(timeout=600)
                rates[kind].append(f"{ledger(folder / name)['stages'][0]['samples_per_second']:.0f}")
    for kind, found in rates.items():
        print(f"elasticity {kind}: {', '.join(found)} samples/s")


if __name__ == "__main__":
    main()
