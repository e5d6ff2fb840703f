"""The steps whose growth `benchmarks.scaling` measures; a new step that could grow is a line in `CASES`.

Each `make` prepares a step of one size in an empty folder, which is not timed, and returns the step itself; a step that
returns a number has made so many bytes.
"""

from __future__ import annotations

import io
import json
import pickle
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

from ray_compt.chain.bad_samples import BadSamples
from ray_compt.chain.ledger import Ledger, StageEntry
from ray_compt.chain.listener import Listener
from ray_compt.chain.verify_samples import check_samples, read_steps
from ray_compt.config import load_chain
from ray_compt.config.schema import DataConfig
from ray_compt.data import BadSample, Index, Order, legal_world_sizes, open_index
from ray_compt.data.listing import load_listing, save_listing
from ray_compt.data.patterns import find_shards
from ray_compt.data.planned import Plan, Samples
from ray_compt.data.samples import Shard
from ray_compt.data.shard_table import Fields
from ray_compt.data.summary import Known, ShardFacts, save_summary, summary_name
from ray_compt.data.windows import window_reads
from ray_compt.plan import plan_chain
from ray_compt.report.board import Event
from ray_compt.report.terminal import StageLines, Terminal
from ray_compt.storage import JsonLines, open_place
from ray_compt.train.checkpoint import Progress, read_checkpoint, write_checkpoint
from ray_compt.train.metrics import MetricsWriter
from ray_compt.train.state import MOMENTS, EngineState
from tests.big_index import Simulated, empty_shards

DATA = DataConfig(train="unused", class_field="category")
# What is linear measures up to 1.2, because many objects cost more each than few; a square measures 1.8.
LINEAR, FLAT = 1.25, 0.3
PER_SHARD = 10_000
SEED, GLOBAL_BATCH, LANES, WINDOW_BATCHES = 0, 512, 8, 8
METRICS = ("loss", "task_loss", "distill_loss", "grad_norm", "logit_scale", "lr", "distill_weight", "wait_ms")

Step = Callable[[], Any]


@dataclass(frozen=True)
class Case:
    """A step of the work.

    Attributes:
        step: its name for people.
        axis: what grows.
        sizes: ascending.
        quick: the largest of them for a quick look.
        make: size, empty folder -> the step.
        most: the largest exponent that is allowed.
    """

    step: str
    axis: str
    sizes: tuple[int, ...]
    quick: int
    make: Callable[[int, Path], Step]
    most: float = LINEAR


def _open_samples(samples: int, folder: Path) -> Step:
    shards = max(1, samples // PER_SHARD)
    return _open(shards, samples // shards, folder)


def _open_shards(shards: int, folder: Path) -> Step:
    return _open(shards, 1000, folder)


def _open(shards: int, per_shard: int, folder: Path) -> Step:
    """Opening an index whose summary an earlier start has left."""
    data, cache = str(folder / "shards"), str(folder / "cache")
    empty_shards(folder / "shards", shards)
    stamps = {place.url: place.stamp for place in find_shards(data)}
    facts = {path: ShardFacts(per_shard, f"{number:032x}") for number, path in enumerate(stamps)}
    fields = Fields(DATA.caption_field, DATA.class_field)
    save_summary(cache, summary_name((data,), fields), stamps, Known(facts, {"cat", "dog"}))

    def step() -> None:
        assert open_index(data, DATA, cache).samples == shards * per_shard

    return step


def _index(shards: int, per_shard: int) -> Index:
    paths = (f"s3://bucket/data-of-some-name/{number:06d}.tar" for number in range(shards))
    return Index(
        Simulated(), tuple(Shard(path, per_shard, f"{n}:12345") for n, path in enumerate(paths)), [], [], "d"
    )


def _index_of(samples: int) -> Index:
    shards = max(1, samples // PER_SHARD)
    return _index(shards, samples // shards)


def _order(index: Index, *, global_batch: int = GLOBAL_BATCH, lanes: int = LANES) -> Order:
    return Order(SEED, index.sizes, global_batch, lanes, WINDOW_BATCHES)


def _first_window(index: Index, step: int = 0) -> None:
    order = _order(index)
    next(window_reads(index, order, rank=0, world=1, first_step=step, last_step=step + 1))


def _begin_samples(samples: int, folder: Path) -> Step:
    index = _index_of(samples)
    return lambda: _first_window(index)


def _begin_shards(shards: int, folder: Path) -> Step:
    index = _index(shards, 1000)
    return lambda: _first_window(index)


def _epoch(samples: int, folder: Path) -> Step:
    """All windows of an epoch, as one worker plans them."""
    index = _index_of(samples)

    def step() -> None:
        order = _order(index)
        for _ in window_reads(index, order, rank=0, world=1, first_step=0, last_step=order.batches_per_epoch):
            pass

    return step


def _resume(steps: int, folder: Path) -> Step:
    """The first window after so many steps on a hundred million samples, twenty times."""
    index = _index_of(10**8)
    return lambda: [_first_window(index, steps) for _ in range(20)]


def _workers(workers: int, folder: Path) -> Step:
    """What all workers plan of an epoch of a million samples, one after the other."""
    index = _index(1000, 1000)

    def step() -> None:
        order = _order(index, global_batch=4096, lanes=512)
        assert workers in legal_world_sizes(4096, 512)
        for rank in range(workers):
            reads = window_reads(
                index, order, rank=rank, world=workers, first_step=0, last_step=order.batches_per_epoch
            )
            for _ in reads:
                pass

    return step


def _job(shards: int, folder: Path) -> Step:
    """What each worker is sent of the data."""
    index = _index(shards, 1000)

    def step() -> int:
        content = pickle.dumps((index, _order(index)))
        pickle.loads(content)  # noqa: S301 (our own)
        return len(content)

    return step


def _listing(shards: int, folder: Path) -> Step:
    index = _index(shards, 1000)

    def step() -> None:
        save_listing(index, str(folder))
        load_listing("unused", DATA, str(folder), index.digest)

    return step


def _verify_plan(samples: int, folder: Path) -> Step:
    index = _index_of(samples)
    return lambda: Plan(_order(index), Samples(index)).epoch(0)


def _verify_steps(steps: int, folder: Path) -> Step:
    """metrics.jsonl held against a plan of a hundred batches an epoch."""
    index = _index(10, 5200)
    order, samples = _order(index), Samples(index)
    plan = Plan(order, samples)
    digests = [[plan.epoch(epoch).digest(b) for b in range(order.batches_per_epoch)] for epoch in range(2)]
    stage = open_place(folder)
    # Two epochs are worked out; later steps count as differing, which costs no less.
    with (folder / "metrics.jsonl").open("w") as file:
        for step in range(steps):
            epoch, b = divmod(step, order.batches_per_epoch)
            line = {"step": step + 1, **_values(), "digest": digests[epoch % 2][b]}
            file.write(json.dumps(line) + "\n")

    def check() -> None:
        report = check_samples(read_steps(stage), Plan(order, samples), planned=steps, due=steps)
        assert not report.unchecked

    return check


def _values() -> dict[str, float]:
    return dict.fromkeys(METRICS, 0.123456789) | {"samples": 1, "unreadable": 0, "skipped": 0}


def _write_metrics(steps: int, folder: Path) -> Step:
    """Lines of so many steps, flushed at a checkpoint every hundred."""
    stage = open_place(folder)

    def write() -> None:
        writer = MetricsWriter(stage, 0)
        for step in range(1, steps + 1):
            writer.write(step, _values())
            if step % 100 == 0:
                writer.flush()
        writer.close()

    return write


def _resume_metrics(steps: int, folder: Path) -> Step:
    """Going on ten steps before the end of the file."""
    lines = (json.dumps({"step": step, **_values()}) + "\n" for step in range(1, steps + 1))
    (folder / "metrics.jsonl").write_text("".join(lines))
    return lambda: MetricsWriter(open_place(folder), steps - 10).close()


def _listen(events: int, folder: Path) -> Step:
    """Progress, checkpoints and bad samples on their way to the files of a stage."""

    def step() -> None:
        stage = open_place(folder)
        entry = StageEntry("stage", "01-stage", "model", 1.0)
        ledger = Ledger(stage / "ledger.json", "chain", [entry], [])
        lines = StageLines(Terminal(Console(file=io.StringIO())), "stage", events)
        listener = Listener(
            ledger,
            entry,
            lines,
            BadSamples(stage, []),
            JsonLines(stage, "events.jsonl"),
            0.0,
            time.monotonic(),
        )
        for number in range(events):
            progress = {
                "step": number,
                "loss": 1.0,
                "seconds": 1.0,
                "samples": number,
                "scalars": {"loss": 1.0},
            }
            kinds = (
                Event("progress", progress),
                Event("checkpoint", {"step": number}),
                Event("bad_sample", {"key": f"{number}", "shard": "a.tar", "reason": "no picture"}),
            )
            listener(kinds[number % len(kinds)])
        listener.store()
        for file in folder.iterdir():
            file.unlink()

    return step


def _recall_bad(samples: int, folder: Path) -> Step:
    """The list of bad samples when a stage goes on."""
    BadSamples(open_place(folder), (BadSample(f"{n}", "a.tar", "no picture") for n in range(samples)))
    return lambda: BadSamples(open_place(folder), [])


def _ledger(stages: int, folder: Path) -> Step:
    """One change, and reading it back."""
    path = open_place(folder) / "ledger.json"
    entries = [
        StageEntry(f"{n}", f"{n:05d}", "model", 1.0, metrics={"zero_shot_top1": 0.5}) for n in range(stages)
    ]

    def step() -> None:
        Ledger(path, "chain", entries, []).update(entries[-1], steps=1)
        Ledger.open(path)

    return step


def _state(parameters: int) -> EngineState:
    def tensors() -> dict[str, torch.Tensor]:
        sizes = [len(part) for part in np.array_split(np.arange(parameters), 50)]
        return {f"blocks.{n}.weight": torch.rand(size) for n, size in enumerate(sizes)}

    return EngineState(tensors(), {key: tensors() for key in MOMENTS}, 1, {})


def _write_checkpoint(parameters: int, folder: Path) -> Step:
    state = _state(parameters)

    def step() -> int:
        write_checkpoint(folder, state, Progress(step=1), "stage")
        return sum(file.stat().st_size for file in folder.iterdir())

    return step


def _read_checkpoint(parameters: int, folder: Path) -> Step:
    write_checkpoint(folder, _state(parameters), Progress(step=1), "stage")
    return lambda: read_checkpoint(open_place(folder), "stage") and None


def _plan(samples: int, folder: Path) -> Step:
    chain = load_chain("chains/digits.yaml")
    # What is imported for it is no part of its growth.
    plan_chain(chain, samples)
    return lambda: plan_chain(chain, samples) and None


def _decades(first: int, last: int) -> tuple[int, ...]:
    return tuple(10**power for power in range(first, last + 1))


CASES = (
    Case("plan a chain", "samples", _decades(4, 8), 10**8, _plan, FLAT),
    Case("open a known index", "samples", _decades(3, 8), 10**7, _open_samples),
    Case("open a known index", "shards", _decades(0, 5), 10**4, _open_shards),
    Case("begin an epoch", "samples", _decades(3, 8), 10**8, _begin_samples),
    Case("begin an epoch", "shards", _decades(0, 5), 10**5, _begin_shards),
    Case("plan all windows of an epoch", "samples", _decades(3, 8), 10**7, _epoch),
    Case("go on after steps, 20 times", "steps taken", _decades(3, 8), 10**8, _resume, FLAT),
    Case("plan an epoch on every worker", "workers", tuple(2**n for n in range(10)), 512, _workers),
    Case("send a worker the index", "shards", _decades(0, 5), 10**5, _job),
    Case("keep and read the list of shards", "shards", _decades(0, 5), 10**4, _listing),
    Case("verify: the plan of an epoch", "samples", _decades(3, 7), 10**6, _verify_plan),
    Case("verify: the steps", "steps", _decades(2, 5), 10**4, _verify_steps),
    Case("write metrics and TensorBoard", "steps", _decades(2, 4), 10**3, _write_metrics),
    Case("go on with the metrics", "steps taken", _decades(3, 6), 10**5, _resume_metrics, FLAT),
    Case("write events, bad samples, ledger", "events", _decades(2, 5), 10**4, _listen),
    Case("recall bad samples", "bad samples", _decades(2, 5), 10**4, _recall_bad),
    Case("change and read the ledger", "stages", _decades(0, 4), 10**3, _ledger),
    Case("write a checkpoint", "parameters", (10**5, 10**6, 10**7, 3 * 10**7), 10**7, _write_checkpoint),
    Case("read a checkpoint", "parameters", (10**5, 10**6, 10**7, 3 * 10**7), 10**7, _read_checkpoint),
)
