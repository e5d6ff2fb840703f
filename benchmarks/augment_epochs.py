"""What it costs in accuracy to repeat the augmentations of K epochs (`data.augment_epochs`).

    python -m benchmarks.augment_epochs emoji --epochs 1 2 4 --seeds 3 [--set KEY=VALUE] [--json OUT]

Trains the chain once for each K and seed, and as often without repeating (`null`), each in a run folder of its own,
and prints each stage's metrics as mean and range over the seeds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# Metrics by stage and name.
Metrics = dict[str, dict[str, float]]


def main() -> None:
    options = _options()
    found: dict[str, list[Metrics]] = {}
    with tempfile.TemporaryDirectory(prefix="augment_epochs") as folder:
        for seed in range(options.seeds):
            for count in ("null", *map(str, options.epochs)):
                run = Path(folder) / f"{count}-{seed}"
                found.setdefault(count, []).append(_train(options, count, seed, run))
                print(f"augment_epochs {count}, seed {seed}: {json.dumps(found[count][-1])}", flush=True)
    for count, runs in found.items():
        _show(count, runs)
    if options.json:
        Path(options.json).write_text(json.dumps(found, indent=1))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("chain", help="chain file; it needs a validation split")
    parser.add_argument("--epochs", type=int, nargs="+", default=[1, 2, 4], metavar="K")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each K, with seeds 0, 1, ...")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as of compt train")
    parser.add_argument("--json", metavar="OUT", help="write every run's metrics there")
    return parser.parse_args()


def _train(options: argparse.Namespace, count: str, seed: int, run: Path) -> Metrics:
    settings = [*options.set, f"seed={seed}", f"data.augment_epochs={count}"]
    overrides = [part for setting in settings for part in ("--set", setting)]
    command = ["train", options.chain, "--run-dir", str(run), "--json", *overrides]
    done = subprocess.run(
        [sys.executable, "-m", "ray_compt", *command], check=True, stdout=subprocess.PIPE, text=True
    )
    stages: list[dict[str, Any]] = json.loads(done.stdout)["stages"]
    return {stage["name"]: stage["metrics"] for stage in stages}


def _show(count: str, runs: Sequence[Metrics]) -> None:
    for stage, metrics in runs[0].items():
        for name in metrics:
            values = [run[stage][name] for run in runs]
            mean, low, high = statistics.mean(values), min(values), max(values)
            print(f"augment_epochs {count:>4}  {stage:12} {name:20} {mean:.4f} ({low:.4f} to {high:.4f})")


if __name__ == "__main__":
    main()
