"""When does a chain pay? Individual models, chains, controls and options, on the emoji shards.

    python -m benchmarks.acceleration --data DIR [--jobs 2] [--minutes 60] [--seeds 0 1 2] [--parts frontier chain]

Trains what `results/FAMILY.jsonl` does not have yet and can be stopped and started again at any point;
`python -m benchmarks.acceleration.document` then brings docs/results.md up to date. The percentage printed first is
R@1, the mean of both ways of retrieval.
"""

from __future__ import annotations

import argparse
import time
from itertools import product
from pathlib import Path

from benchmarks.acceleration.family import FAMILIES
from benchmarks.acceleration.grid import PARTS
from benchmarks.acceleration.results import RESULTS, Results
from benchmarks.acceleration.run import train_missing
from benchmarks.acceleration.training import Bench


def main() -> None:
    options = _options()
    family = FAMILIES[options.family]
    device = "cuda" if options.family == "gpu" else "cpu"
    bench = Bench(family, family.data(options.data), Path(options.work) / options.family, device)
    results = Results(RESULTS / f"{options.family}.jsonl")
    deadline = time.monotonic() + 60 * options.minutes
    # Options last: a figure of the chain with an interval is worth more than one more setting.
    for last in (False, True):
        parts = [name for name in options.parts if (name == "options") == last]
        for seed, name in product(options.seeds, parts):
            cells = PARTS[name](results, seed, tuple(options.sizes))
            print(f"seed {seed}, {name}: {len(cells)} trainings", flush=True)
            if not train_missing(bench, cells, results, jobs=options.jobs, deadline=deadline):
                print("the time is over; the same command goes on")
                return


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, metavar="DIR", help="folder with train/*.tar and val/*.tar")
    parser.add_argument("--family", choices=list(FAMILIES), default="cpu", help="gpu: larger, on a GPU")
    parser.add_argument(
        "--work", default="/tmp/acceleration", metavar="DIR", help="epochs and finished models"
    )
    parser.add_argument("--sizes", nargs="+", default=["XS", "S", "M", "L"], choices=["XS", "S", "M", "L"])
    parser.add_argument(
        "--seeds", nargs="+", type=int, default=[0, 1, 2], help="learning rates are tuned on 0"
    )
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=list(PARTS), help="in this order")
    parser.add_argument("--jobs", type=int, default=2, help="processes of one core each")
    parser.add_argument("--minutes", type=float, default=1e6, help="begin nothing new after that long")
    return parser.parse_args()


if __name__ == "__main__":
    main()
