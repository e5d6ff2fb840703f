"""Train a small chain on a small cluster that keeps falling apart, then compare it with an undisturbed run.

    python -m benchmarks.chaos --minutes 30 --seed 0

Every few seconds something is killed, hung, drained, added, stopped or damaged, all of it drawn from the seed. A
driver that ends is followed by the same command. A run that completes is compared weight by weight with an
undisturbed one and verified, and the next begins, until the minutes are over; in the last one the harm then ends.
Prints one line an act and a table at the end; exit code 0 only where every run came out the same.
"""

from __future__ import annotations

import argparse
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ray_compt.chain.verify import verify_run
from tests.faults.chain import FIRST, SECOND, STEPS, TOLERANCE, Undisturbed, states, write_chain
from tests.faults.harness import READER, TEACHER, WORKER, Driver, SmallCluster, kill, small_cluster
from tests.harm import cut
from tests.integration.harness import compt

# Seconds between two acts; shorter than a start takes, now and then.
PAUSE_S = (3.0, 30.0)
NODES = 4
# Longest time that the undisturbed rest of the last run may take.
REST_S = 600


@dataclass
class Chaos:
    """A cluster, the driver on it, and what has been done to them."""

    cluster: SmallCluster
    chain: Path
    run: Path
    random: random.Random
    driver: Driver = field(init=False)
    acts: Counter[str] = field(default_factory=Counter)
    again: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.driver = self.cluster.train(self.chain, self.run)

    def act(self) -> None:
        """Do something that can be done now."""
        name = self.random.choice(list(ACTS))
        if ACTS[name](self):
            self.acts[name] += 1
            say(f"{name:22} {self.progress()}")

    def progress(self) -> str:
        done = {stage: self.driver.steps(stage) for stage in STEPS}
        return "  ".join(f"{stage} {count}/{STEPS[stage]}" for stage, count in done.items() if count)

    def go_on(self) -> None:
        """Where the driver has ended too early, type its command again."""
        code = self.driver.process.poll()
        if code is None or self.complete():
            return
        self.again[f"exit code {code}"] += 1
        if code not in (-9, 130, 143):
            say(f"driver ended with {code}: {self.driver.output.strip().splitlines()[-3:]}")
        self.driver = self.cluster.train(self.chain, self.run)

    def complete(self) -> bool:
        return self.driver.process.poll() == 0


def _one(title: str) -> Callable[[Chaos], bool]:
    def act(chaos: Chaos) -> bool:
        found = chaos.cluster.processes(title)
        if found:
            kill(chaos.random.choice(found))
        return bool(found)

    return act


def _all_workers(chaos: Chaos) -> bool:
    found = chaos.cluster.processes(WORKER)
    kill(*found)
    return bool(found)


def _hang(chaos: Chaos) -> bool:
    found = chaos.cluster.processes(WORKER)
    if found:
        chaos.random.choice(found).suspend()
    return bool(found)


def _kill_node(chaos: Chaos) -> bool:
    others = chaos.cluster.nodes[1:]
    if others:
        chaos.cluster.kill_node(chaos.random.choice(others))
    return bool(others)


def _drain_node(chaos: Chaos) -> bool:
    """A spot notice of some seconds, then the end."""
    others = chaos.cluster.nodes[1:]
    if others:
        node, seconds = chaos.random.choice(others), chaos.random.choice([5, 20, 40])
        chaos.cluster.drain_nodes(node, seconds=seconds)
        time.sleep(seconds)
        chaos.cluster.kill_node(node)
    return bool(others)


def _add_node(chaos: Chaos) -> bool:
    room = len(chaos.cluster.nodes) < NODES
    if room:
        chaos.cluster.add(2)
    return room


def _kill_driver(chaos: Chaos) -> bool:
    chaos.driver.kill()
    return True


def _stop_driver(number: int) -> Callable[[Chaos], bool]:
    def act(chaos: Chaos) -> bool:
        chaos.driver.process.send_signal(number)
        chaos.driver.process.wait(240)
        return True

    return act


def _damage_checkpoint(chaos: Chaos) -> bool:
    """Cut a file of the newest of two checkpoints, the driver being dead."""
    stage = SECOND if (chaos.run / SECOND / "checkpoints").exists() else FIRST
    whole = sorted((chaos.run / stage).glob("checkpoints/checkpoint_2*/state.json"))
    if len(whole) < 2:
        return False
    chaos.driver.kill()
    newest = max((chaos.run / stage).glob("checkpoints/checkpoint_2*"))
    file = newest / chaos.random.choice(["weights.safetensors", "moments.safetensors"])
    if file.exists():
        cut(file)
    return True


ACTS: dict[str, Callable[[Chaos], bool]] = {
    "kill a worker": _one(WORKER),
    "kill all workers": _all_workers,
    "hang a worker": _hang,
    "kill a data task": _one(READER),
    "kill the teacher": _one(TEACHER),
    "kill a node": _kill_node,
    "drain a node": _drain_node,
    "add a node": _add_node,
    "add another node": _add_node,
    "kill the driver": _kill_driver,
    "Ctrl-C": _stop_driver(signal.SIGINT),
    "SIGTERM": _stop_driver(signal.SIGTERM),
    "damage a checkpoint": _damage_checkpoint,
}


def main() -> int:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="chaos") as name:
        folder = Path(name)
        undisturbed = _undisturbed(folder)
        end = time.monotonic() + 60 * options.minutes
        draw = random.Random(options.seed)
        outcomes = []
        while time.monotonic() < end:
            outcomes.append(_round(folder / f"run{len(outcomes)}", draw, end, undisturbed))
    return _report(outcomes, options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def _undisturbed(folder: Path) -> Undisturbed:
    say("the undisturbed run")
    chain = write_chain(folder, workers={"max": 1})
    result = compt("train", chain, "--run-dir", folder / "undisturbed")
    assert result.returncode == 0, result.stdout + result.stderr
    return Undisturbed(folder / "undisturbed")


def _round(folder: Path, draw: random.Random, end: float, undisturbed: Undisturbed) -> dict[str, Any]:
    """One run under fire."""
    folder.mkdir()
    began = time.monotonic()
    with small_cluster(2, 2) as cluster:
        chain = write_chain(folder, workers={"timeout_s": 30})
        chaos = Chaos(cluster, chain, folder / "run", draw)
        while not chaos.complete() and time.monotonic() < end + REST_S:
            _wait(draw.uniform(*PAUSE_S), chaos)
            if not chaos.complete() and time.monotonic() < end:
                chaos.act()
            chaos.go_on()
    return _outcome(chaos, undisturbed, time.monotonic() - began)


def _wait(seconds: float, chaos: Chaos) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until and chaos.driver.process.poll() is None:
        time.sleep(0.2)


def _outcome(chaos: Chaos, undisturbed: Undisturbed, seconds: float) -> dict[str, Any]:
    finished = chaos.complete() and states(chaos.run) == ["done", "done"]
    stages = (FIRST, SECOND)
    outcome = {
        "seconds": round(seconds),
        "acts": chaos.acts,
        "again": chaos.again,
        "failures": sum(len(chaos.driver.events(stage, "failure")) for stage in stages),
        "resizes": sum(len(chaos.driver.events(stage, "resize")) for stage in stages),
        "starts": sum(len(chaos.driver.events(stage, "running")) for stage in stages),
        "difference": max(undisturbed.difference(chaos.run, s) for s in stages) if finished else float("inf"),
        "verified": verify_run(chaos.run).well,
    }
    say(f"run: {outcome}")
    return outcome


def _report(outcomes: list[dict[str, Any]], options: argparse.Namespace) -> int:
    well = [one for one in outcomes if one["difference"] < TOLERANCE and one["verified"]]
    acts, again = Counter[str](), Counter[str]()
    for one in outcomes:
        acts += one["acts"]
        again += one["again"]
    print(f"\nseed {options.seed}, {sum(one['seconds'] for one in outcomes) / 60:.0f} minutes")
    print(f"{len(outcomes)} runs, {len(well)} came out as undisturbed and verified")
    print(f"largest difference of any weight: {max(one['difference'] for one in outcomes):.1e}")
    for name in ("starts", "failures", "resizes"):
        print(f"{name}: {sum(one[name] for one in outcomes)}")
    print("acts: " + ", ".join(f"{name} {count}" for name, count in acts.most_common()))
    print("the same command again after: " + ", ".join(f"{name} {n}" for name, n in again.most_common()))
    return 0 if len(well) == len(outcomes) else 1


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
