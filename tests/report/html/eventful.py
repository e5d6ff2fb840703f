"""A run folder with everything that a report can show, written by the code that writes real ones; nothing trains.

Two stages and one model alone; an evaluation of three tasks; resizes, a failure, a driver that was killed, bad samples.
Wherever a run's text may
come from strangers, it tries to become part of the page.
"""

from __future__ import annotations

import json
import math
import tarfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ray_compt.chain.bad_samples import BadSamples
from ray_compt.chain.environment import FILE, this_start
from ray_compt.chain.folder import RunFolder, add_individuals, open_run
from ray_compt.chain.ledger import Ledger, StageEntry
from ray_compt.chain.listener import EVENTS
from ray_compt.config import load_chain
from ray_compt.config.yaml_io import write_yaml
from ray_compt.data import BadSample
from ray_compt.evaluate.result import EVALUATION_FILE, TaskResult, document
from ray_compt.models import build_model, save_model
from ray_compt.plan import plan_chain
from ray_compt.storage import JsonLines, Place
from ray_compt.train.metrics import MetricsWriter
from tests.cli.small import MEAN, STD, small_chain, small_model
from tests.shards import add_member, picture

ATTACK = "<script>window.attacked=true</script><img src=x onerror=window.attacked=true>&lt;b>\"'"
SAMPLES = 640
SMALL, LARGE = "01-small", "02-large"
BEGIN = 1_790_000_000.0
METRICS = {"zero_shot_top1": 0.5, "image_to_text_r1": 0.25, "text_to_image_r1": 0.3, "samples": 12.0}


def make_eventful(folder: Path, *, alone: bool = True) -> Path:
    """The run folder, `folder / "run"`; with `alone` its models were trained alone too."""
    file = folder / "chain.yaml"
    file.write_text(write_yaml(_chain(write_val(folder / "val.tar"))))
    chain = load_chain(file)
    cost = plan_chain(chain, SAMPLES)
    with open_run(str(folder / "run"), chain) as (run, ledger):
        ledger.training_samples = SAMPLES
        if alone:
            add_individuals(ledger, chain)
        for number, entry in enumerate(ledger.stages):
            planned = cost.stages[number]
            _finish(
                run,
                ledger,
                entry,
                planned.steps,
                planned.macs,
                planned.teacher_macs,
                0.1 * number,
                start=number,
            )
        grown = {**METRICS, "zero_shot_top1": 0.45}
        ledger.update(ledger.stages[1], grown_metrics=grown, growth=f"lossless {ATTACK}", bad_samples=3)
        if alone:
            planned = cost.stages[1]
            steps, macs = cost.stages[0].steps, planned.individual_macs
            _finish(run, ledger, ledger.individual[1], steps, macs, 0, 0.2, start=2)
    BadSamples(run.stage(ledger.stages[1]), [BadSample(ATTACK, "s3://key:secret@bucket/0.tar", ATTACK, 3)])
    starts = [asdict(this_start(["compt", "train", ATTACK], [])) for _ in range(2)]
    starts[0]["packages"]["torch"] = "1.0"
    (run.path / FILE).write_text(json.dumps({"schema": 1, "starts": starts}))
    return Path(str(run.path))


def write_val(file: Path) -> str:
    """A validation shard of twelve pictures, whose captions are attacks."""
    with tarfile.open(file, "w") as archive:
        for number in range(12):
            key = f"{number:04d}"
            add_member(archive, f"{key}.png", picture(key))
            described = {"captions": [f"{number} {ATTACK}"], "category": ("cat", "dog")[number % 2]}
            add_member(archive, f"{key}.json", json.dumps(described).encode())
    return str(file)


def _chain(val: str) -> dict[str, Any]:
    content = small_chain()
    content["data"] |= {"val": val, "class_field": "category", "class_templates": [f"{ATTACK} {{}}"]}
    return content


def _finish(
    run: RunFolder,
    ledger: Ledger,
    entry: StageEntry,
    steps: int,
    macs: int,
    teacher_macs: int,
    better: float,
    *,
    start: int,
) -> None:
    place = run.stage(entry)
    write_metrics(place, steps, taught=teacher_macs > 0)
    write_events(place, steps, BEGIN + 1000 * start)
    write_evaluation(place, better)
    config = small_model(64 if "large" in entry.name else 32)
    save_model(place, build_model(config, 0).state_dict(), config, mean=MEAN, std=STD)
    metrics = {**METRICS, "zero_shot_top1": 0.5 + better}
    counts = {
        "steps": steps,
        "samples": 16 * steps,
        "seconds": 100.0,
        "macs": macs,
        "teacher_macs": teacher_macs,
    }
    ledger.update(entry, state="done", metrics=metrics, **counts)


def write_metrics(place: Place, steps: int, *, taught: bool) -> None:
    writer = MetricsWriter(place, 0)
    for step in range(1, steps + 1):
        first = step == 1
        values = {
            "task_loss": math.nan if step == 3 else 4.0 / step,
            "distill_loss": 0.5 if taught else 0.0,
            "distill_weight": 2.0 if taught else 0.0,
            "grad_norm": 1.0 + step % 3,
            "lr": 1e-3 * step / steps,
            "unreadable": 0,
            "wait_ms": 30.0,
            "teacher_wait_ms": 10.0 if taught else 0.0,
            "step_ms": None if first else 100.0,
        }
        writer.write(step, values)
    writer.close()


def write_evaluation(place: Place, better: float) -> None:
    """Zero-shot with corruptions, retrieval, and a few-shot task, which has no interval."""
    top1, recall = 0.5 + better, {"image_to_text_r1": 0.25, "text_to_image_r1": 0.3}
    ends = {name: (value - 0.125, value + 0.0625) for name, value in recall.items()}
    worse = {"blur": {"top1": top1 - 0.25, "ece": 0.5}, "jpeg": {"top1": top1 - 0.125, "ece": 0.25}}
    results = [
        TaskResult(
            "zero_shot",
            "zero_shot",
            {"name": "val"},
            None,
            {"top1": top1, "ece": 0.125},
            {"top1": (top1 - 0.0625, top1 + 0.03125)},
            worse,
            {"classes": 2, "severity": 3},
        ),
        TaskResult("retrieval", "retrieval", {"name": "val"}, None, recall, ends, {}, {}),
        TaskResult(ATTACK, "few_shot", {}, {}, {"top1_4shot": 0.25, "top1_4shot_std": 0.01}, {}, {}, {}),
    ]
    found = document("tasks", 0, {"checksum": None, "step": 1}, results)
    (place / EVALUATION_FILE).write_text(json.dumps(found))


def write_events(place: Place, steps: int, begin: float) -> None:
    """A start, a resize, a failure, a driver that was killed without a word, and the end."""
    events = JsonLines(place, EVENTS)
    lines: list[tuple[float, str, dict[str, Any]]] = [
        (0, "started", {"workers": 2, "step": 0}),
        (10, "running", {"workers": 2, "step": 1, "seconds": {"imports": 1.5}}),
        (20, "checkpoint", {"step": 5}),
        (30, "resize", {"from": 2, "to": 4, "reason": "there is room for more", "pause_s": 1.2}),
        (40, "started", {"workers": 4, "step": 5}),
        (50, "failure", {"reason": ATTACK, "number": 1, "allowed": 3, "counted": True}),
        (60, "started", {"workers": 2, "step": 5}),
        (70, "checkpoint", {"step": 8}),
        (500, "started", {"workers": 1, "step": 8}),
        (510, "note", {"text": ATTACK}),
        (600, "checkpoint", {"step": steps}),
    ]
    for after, kind, values in lines:
        events.append({"time": begin + after, "event": kind, **values})
