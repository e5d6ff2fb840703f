"""Reading, decoding, augmenting and tokenising, ours against webdataset with open_clip's transforms.

Two comparisons, both in samples a CPU second. Alone: all work in one process with one thread, without anything that
carries samples from process to process. Delivered: with that, so torch's DataLoader with one worker against Ray Data
with one reading task, all their processes counted; Ray's own servers are among ours.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass

from benchmarks.throughput_parts.process import run
from benchmarks.throughput_parts.spread import Spread, ratio, spread
from benchmarks.throughput_parts.trainers import Ground
from tests.integration.harness import environment, ray_folder


@dataclass(frozen=True)
class LoaderResult:
    """Samples a CPU second of both, alone and delivered, and the ratios."""

    ours: Spread
    webdataset: Spread
    alone: Spread
    ours_delivered: Spread
    webdataset_delivered: Spread
    delivered: Spread

    def to_json(self) -> dict[str, object]:
        return {name: value.to_json() for name, value in vars(self).items()}


def compare_loaders(ground: Ground, repeats: int, samples: int) -> LoaderResult:
    """Let both read `samples` samples, `repeats` times in turns."""
    mine, theirs, mine_delivered, theirs_delivered = [], [], [], []
    for _ in range(repeats):
        found = _ours(ground, samples)
        mine.append(found["alone"])
        mine_delivered.append(found["pipeline"])
        theirs.append(_webdataset(ground, samples, workers=0))
        theirs_delivered.append(_webdataset(ground, samples, workers=1))
    return LoaderResult(
        spread(mine),
        spread(theirs),
        ratio(mine, theirs),
        spread(mine_delivered),
        spread(theirs_delivered),
        ratio(mine_delivered, theirs_delivered),
    )


def _ours(ground: Ground, samples: int) -> dict[str, float]:
    setting = ground.setting
    words = ["--size", setting.image_size, "--context", setting.context, "--batch", setting.batch]
    words += ["--steps", samples // setting.batch, "--readers", 1, "--json"]
    program = [sys.executable, "-m", "benchmarks.reader", *map(str, ground.shards), *map(str, words)]
    with ray_folder() as folder:
        finished = run(program, {**environment(folder), "OMP_NUM_THREADS": "1"}, cores=ground.cores)
    found = json.loads(finished.lines[-1][1])
    return {name: found[name]["samples"] / found[name]["cpu"] for name in ("alone", "pipeline")}


def _webdataset(ground: Ground, samples: int, workers: int) -> float:
    setting = ground.setting
    numbers = (samples, setting.image_size, setting.context, setting.batch, workers)
    program = [sys.executable, "-m", "benchmarks.peers.webdataset_loader", "::".join(map(str, ground.shards))]
    finished = run(
        program + [str(number) for number in numbers],
        {**os.environ, "OMP_NUM_THREADS": "1"},
        cores=ground.cores,
    )
    found = json.loads(finished.lines[-1][1])
    return found["samples"] / found["cpu"]
