"""A small run folder as training leaves it, made by the code that makes real ones, without Ray and without training."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ray_compt.chain.folder import RunFolder, open_run
from ray_compt.chain.ledger import Ledger, StageEntry
from ray_compt.config import load_chain
from ray_compt.config.yaml_io import write_yaml
from ray_compt.data import Index, Order, open_index
from ray_compt.data.listing import save_listing
from ray_compt.data.sample_digest import to_text, total
from ray_compt.data.windows import Row, read_window, window_reads
from ray_compt.models import build_model, save_model
from ray_compt.models.checksums import write_checksums
from ray_compt.models.store import CONFIG_FILE, WEIGHTS_FILE
from ray_compt.storage import Place
from ray_compt.train.checkpoint import Progress, write_checkpoint
from ray_compt.train.state import EngineState
from tests.cli.small import MEAN, STD, small_model
from tests.shards import make_shards

GLOBAL_BATCH, LANES, WINDOW_BATCHES, SEED = 8, 4, 2, 7
SIZES = (7, 12, 9)
PER_EPOCH = sum(SIZES) // GLOBAL_BATCH
DROPPED = sum(SIZES) - PER_EPOCH * GLOBAL_BATCH
SMALL, LARGE = "01-small", "02-large"
SMALL_STEPS, LARGE_STEPS = 2 * PER_EPOCH, PER_EPOCH


def make_run(folder: Path) -> Path:
    """A run of two stages: the first one of two epochs is done, the second one broke off after two of three steps."""
    make_shards(folder / "shards", n=len(SIZES), per_shard=SIZES)
    file = folder / "chain.yaml"
    file.write_text(write_yaml(_chain(folder / "shards")))
    chain = load_chain(file)
    with open_run(str(folder / "run"), chain) as (run, ledger):
        pass
    index = open_index(chain.data.train, chain.data, run.index)
    save_listing(index, str(run.index))
    small, large = ledger.stages
    record(_path(run.stage(small)), index, SMALL_STEPS, workers=2)
    for step in (PER_EPOCH, SMALL_STEPS):
        checkpoint(_path(run.stage(small)), step)
    finish(run, ledger, small, index, SMALL_STEPS)
    record(_path(run.stage(large)), index, 2, workers=1)
    checkpoint(_path(run.stage(large)), 1)
    ledger.update(large, state="running", data=index.digest)
    return _path(run.path)


def _path(place: Place) -> Path:
    return Path(str(place))


def record(
    stage: Path,
    index: Index,
    last: int,
    *,
    workers: int,
    unreadable: Callable[[Row], bool] = lambda row: False,
) -> None:
    """Write metrics.jsonl for steps 1 to `last`, from the rows that `workers` workers read."""
    stage.mkdir(parents=True, exist_ok=True)
    order = Order(SEED, index.sizes, GLOBAL_BATCH, LANES, WINDOW_BATCHES)
    rows: list[list[Row]] = [[] for _ in range(last)]
    for rank in range(workers):
        reads = window_reads(index, order, rank=rank, world=workers, first_step=0, last_step=last)
        mine = [row for read in reads for row in read_window(index.source, read)]
        share = GLOBAL_BATCH // workers
        for step in range(last):
            rows[step] += mine[step * share : (step + 1) * share]
    lines = [
        {"step": step, "loss": 1.0, "unreadable": sum(map(unreadable, batch)), "digest": digest(batch)}
        for step, batch in enumerate(rows, start=1)
    ]
    (stage / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def digest(rows: list[Row]) -> str:
    return to_text(total(*np.array([row.words for row in rows], dtype=np.uint64).T))


def checkpoint(stage: Path, step: int) -> Path:
    folder = stage / "checkpoints" / f"checkpoint_{step:06d}"
    folder.mkdir(parents=True)
    weights, average, square = ({"clip.a": torch.arange(64.0) * step * k} for k in (1, 2, 3))
    state = EngineState(weights, {"exp_avg": average, "exp_avg_sq": square}, step, None)
    write_checkpoint(folder, state, Progress(step=step), "owner")
    return folder


def finish(run: RunFolder, ledger: Ledger, entry: StageEntry, index: Index, steps: int) -> None:
    """Export a stage's model, record an evaluation, and say that it is done."""
    folder, config = _path(run.stage(entry)), small_model(32)
    save_model(folder, build_model(config, 0).state_dict(), config, mean=MEAN, std=STD)
    write_checksums(folder, (WEIGHTS_FILE, CONFIG_FILE))
    with (folder / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"step": steps, "evaluation": {"zero_shot_top1": 0.5}}) + "\n")
    ledger.update(entry, state="done", steps=steps, data=index.digest)


def _chain(shards: Path) -> dict[str, Any]:
    return {
        "name": "made",
        "seed": SEED,
        "data": {
            "train": str(shards),
            "image_size": 16,
            "lanes": LANES,
            "window_batches": WINDOW_BATCHES,
        },
        "train": {"global_batch": GLOBAL_BATCH},
        "stages": [
            {"name": "small", "model": small_model(32), "epochs": 2},
            {"name": "large", "model": small_model(64), "epochs": 1},
        ],
    }
